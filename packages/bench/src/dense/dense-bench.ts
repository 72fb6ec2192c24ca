/** The whole benchmark: every engine that loads here, and ONNX Runtime bare, in turns, round by round. */
import {
  type EngineName,
  type EngineSpeed,
  engineNames,
  type NetInput,
  type NetShape,
  onnxSessionOptions,
  openEngine,
} from '@millrace/model';
import { invariant } from '@millrace/protocol';
import { scoringWork } from '../common/scoring-work.ts';
import { median, rounded } from '../common/statistics.ts';
import { type DenseNet, type DenseParameters, shapeOf } from './parameters.ts';
import { bareRunner, engineRunner, type OpenRunner, type Runner } from './runner.ts';

/** Rows a second, medians over the rounds; null where it was not measured, being too slow. */
export interface RunnerResult {
  readonly name: string;
  /** By place in parameters.rows. */
  readonly rowsPerSecond: readonly (number | null)[];
  /** Forward and backward at weights that are new each time, at headlineRows. */
  readonly stepRowsPerSecond: number | null;
}

export interface NetResult {
  readonly net: string;
  /** What `auto` takes for scores. */
  readonly defaultEngine: EngineName;
  /** What it was chosen by. */
  readonly speeds: readonly EngineSpeed[];
  readonly runners: readonly RunnerResult[];
  /** Median over the rounds of the default engine's rows a second over those of bare ONNX Runtime, at headlineRows; null without it. */
  readonly defaultToBareOnnx: number | null;
  /** The engine `onnx` over bare ONNX Runtime with the engine's options: what the engine itself costs. */
  readonly engineToBareOnnx: number | null;
}

export interface DenseResult {
  readonly nets: readonly NetResult[];
  /** The least of the nets. */
  readonly defaultToBareOnnx: number | null;
  readonly skipped: readonly string[];
}

/** A call that takes longer is measured once, and larger batches not at all. */
const slowMs = 100;
/** Engines may differ by this from the first one. */
const tolerance = 1e-4;

const bareName = 'bare onnxruntime-node';
const bareAlikeName = "bare, with the engine's options";

export async function runDenseBench(
  parameters: DenseParameters,
  onStep: (done: number, doing: string) => void,
): Promise<DenseResult> {
  const { present, skipped } = await runnersHere();
  const nets: NetResult[] = [];
  for (const [place, net] of parameters.nets.entries()) {
    const tell = (round: number, doing: string) =>
      onStep(place * parameters.rounds + round, `${net.name}, ${doing}`);
    nets.push(await measureNet(net, present, parameters, tell));
  }
  const ratios = nets.map(({ defaultToBareOnnx }) => defaultToBareOnnx);
  const known = ratios.filter((ratio) => ratio !== null);
  return { nets, defaultToBareOnnx: known.length === 0 ? null : Math.min(...known), skipped };
}

async function runnersHere() {
  const present = new Map<string, OpenRunner>();
  const skipped: string[] = [];
  const shape = shapeOf({ name: 'probe', slots: 2, dim: 2, dense: 1, layers: [2] });
  const candidates: [string, OpenRunner][] = [
    ...engineNames.map((name): [string, OpenRunner] => [name, engineRunner(name)]),
    [bareName, bareRunner({})],
    [bareAlikeName, bareRunner(onnxSessionOptions)],
  ];
  for (const [name, open] of candidates) {
    try {
      await (await open(shape, 1)).close();
      present.set(name, open);
    } catch (error) {
      skipped.push(`${name}: ${(error as Error).message}`);
    }
  }
  return { present, skipped };
}

/** Rows a second of each round. */
interface Samples {
  readonly scores: number[][];
  readonly steps: number[];
  /** From this place in parameters.rows on it is too slow to go on. */
  slowFrom: number;
  stepIsSlow: boolean;
}

async function measureNet(
  net: DenseNet,
  present: ReadonlyMap<string, OpenRunner>,
  parameters: DenseParameters,
  tell: (round: number, doing: string) => void,
): Promise<NetResult> {
  const { rows, rounds, headlineRows } = parameters;
  const shape = shapeOf(net);
  const { engine, speeds } = await openEngine({ wanted: 'auto', shape, work: scoringWork, onSkip() {} });
  engine.dispose();
  const inputs = rows.map((count) => inputOf(shape, count));
  const samples = new Map<string, Samples>();
  let wanted: Float32Array | null = null;
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, open] of present) {
      tell(round, name);
      const of = samples.get(name) ?? newSamples(rows.length);
      samples.set(name, of);
      const runner = await open(shape, rows[rows.length - 1]);
      try {
        const logits = Float32Array.from(await runner.score(inputs[0]));
        wanted ??= logits;
        invariant(
          wanted.every((value, b) => Math.abs(value - logits[b]) < tolerance),
          `${name}: logits differ from those of ${[...samples.keys()][0]}`,
        );
        await takeTurn(runner, inputs, of, parameters);
      } finally {
        await runner.close();
      }
    }
  }
  const headline = rows.indexOf(headlineRows);
  const ratio = (of: string, to: string) => {
    const [a, b] = [of, to].map((name) => samples.get(name)?.scores[headline] ?? []);
    return a.length === 0 || b.length === 0 ? null : rounded(median(b.map((rate, i) => a[i] / rate)), 3);
  };
  return {
    net: net.name,
    defaultEngine: engine.name,
    speeds,
    runners: [...samples].map(([name, of]) => resultOf(name, of)),
    defaultToBareOnnx: ratio(engine.name, bareName),
    engineToBareOnnx: ratio('onnx', bareAlikeName),
  };
}

function newSamples(sizes: number): Samples {
  return {
    scores: Array.from({ length: sizes }, () => []),
    steps: [],
    slowFrom: sizes,
    stepIsSlow: false,
  };
}

function resultOf(name: string, { scores, steps }: Samples): RunnerResult {
  const figure = (rates: readonly number[]) => (rates.length === 0 ? null : rounded(median(rates)));
  return { name, rowsPerSecond: scores.map(figure), stepRowsPerSecond: figure(steps) };
}

async function takeTurn(
  runner: Runner,
  inputs: readonly NetInput[],
  samples: Samples,
  { turnMs, headlineRows }: DenseParameters,
): Promise<void> {
  for (const [place, input] of inputs.entries()) {
    if (place >= samples.slowFrom) break;
    const { rate, callMs } = await drive(() => runner.score(input), input.rows, turnMs);
    samples.scores[place].push(rate);
    if (callMs > slowMs) samples.slowFrom = place;
  }
  const { step } = runner;
  const input = inputs.find(({ rows }) => rows === headlineRows);
  if (step === null || input === undefined || samples.stepIsSlow) return;
  const { rate, callMs } = await drive(() => step(input), input.rows, turnMs);
  samples.steps.push(rate);
  samples.stepIsSlow = callMs > slowMs;
}

/** One call to warm up, then calls until the turn is over. */
async function drive(call: () => Promise<unknown>, rows: number, turnMs: number) {
  const warmMs = performance.now();
  await call();
  const startMs = performance.now();
  // Slow enough that one call says all: code that is not compiled by now will not be.
  if (startMs - warmMs > 4 * slowMs) {
    return { rate: (1_000 * rows) / (startMs - warmMs), callMs: startMs - warmMs };
  }
  let calls = 0;
  let elapsedMs = 0;
  do {
    await call();
    calls += 1;
    elapsedMs = performance.now() - startMs;
  } while (elapsedMs < turnMs);
  return { rate: (1_000 * calls * rows) / elapsedMs, callMs: elapsedMs / calls };
}

function inputOf(shape: NetShape, rows: number): NetInput {
  const values = (count: number) =>
    Float32Array.from({ length: count }, (_, i) => ((i * 37) % 101) / 100 - 0.5);
  return {
    rows,
    wide: values(rows),
    embeddings: values(rows * shape.embeddingFloats),
    dense: values(rows * shape.denseFields),
    lengths: new Int32Array(0),
  };
}
