/**
 * What an engine takes for a net on this machine, measured in the moment in which one is to be chosen. Sizes, cores and what
 * else the machine does decide between loops and a library, so no table of ours can.
 */
import type { Engine, Gradients, NetInput, Program } from './engine.ts';
import { initialParameters } from './initial-parameters.ts';
import type { NetShape } from './net-shape.ts';

/** What the net will be used for. */
export interface EngineWork {
  /** Logits of requests' items, or steps with gradients at weights that are new each time. */
  readonly kind: 'scores' | 'steps';
  /** Sizes of batches, ascending; scores are those of requests of up to `itemsMax` items. */
  readonly rows: readonly number[];
}

export interface Stopwatch {
  /** Milliseconds since some moment; never goes back. */
  readonly nowMs: () => number;
  /** Resolves once others have had their turn: who is being served meanwhile waits for one call, not for all of them. */
  readonly turn: () => Promise<void>;
  /** Time for one size of batches; one call is always made. */
  readonly sliceMs: number;
}

/** Items of a request that is measured. */
const itemsMax = 32;
/** Calls of a size are not repeated more often than this. */
const callsMax = 50;
/** An engine that takes so many times the best one's time for a size has lost; the other sizes are not tried. */
const lostAt = 4;

/**
 * Medians over some calls.
 * @param best microseconds that the best engine so far takes, by place in work.rows; null: there is none.
 * @returns microseconds a call, by place in work.rows; fewer of them when it has lost before the end.
 */
export async function measureEngine(
  engine: Engine,
  shape: NetShape,
  work: EngineWork,
  best: readonly number[] | null,
  { nowMs, turn, sliceMs }: Stopwatch,
): Promise<readonly number[]> {
  const program = engine.compile(shape);
  const found: number[] = [];
  try {
    for (const [place, rows] of work.rows.entries()) {
      const call = callOf(program, shape, work.kind, rows);
      const times: number[] = [];
      const start = nowMs();
      // The first half of the time warms up: code is compiled, sessions and memory are made.
      await call.run();
      for (let n = 0; n < callsMax && nowMs() - start < sliceMs / 2; n += 1) {
        call.prepare();
        await turn();
        await call.run();
      }
      const warm = nowMs();
      do {
        call.prepare();
        await turn();
        const before = nowMs();
        await call.run();
        times.push(1_000 * (nowMs() - before));
      } while (times.length < callsMax && nowMs() - warm < sliceMs / 2);
      call.end();
      found.push(times.sort((a, b) => a - b)[times.length >> 1]);
      if (best !== null && found[place] > lostAt * best[place]) break;
    }
    return found;
  } finally {
    program.dispose();
  }
}

interface Call {
  /** Makes the inputs those of another call. */
  prepare(): void;
  run(): Promise<void> | undefined;
  end(): void;
}

function callOf(program: Program, shape: NetShape, kind: EngineWork['kind'], rows: number): Call {
  const parameters = initialParameters(shape, 1);
  const input = inputOf(shape, rows);
  if (kind === 'scores') {
    const loaded = program.load(parameters);
    const logits = new Float32Array(rows);
    const asked = { ...input, requests: requestsOf(rows) };
    const place = shape.sides.slice(0, shape.slotFloats).indexOf('item');
    let calls = 0;
    return {
      prepare() {
        calls += 1;
        // Every other item is a new one, so what an engine keeps of items counts by half.
        for (let b = 0; place >= 0 && b < rows; b += 2)
          input.embeddings[b * shape.embeddingFloats + place] = calls / 1_024;
      },
      run: () => program.forward(loaded, asked, logits),
      end: () => loaded.dispose(),
    };
  }
  const [shown, clicked] = [new Float32Array(rows).fill(1), new Float32Array(rows)];
  const out: Gradients = {
    logits: new Float32Array(rows),
    logitGradients: new Float32Array(rows),
    embeddings: new Float32Array(rows * shape.embeddingFloats),
    parameters: new Float32Array(shape.parameters),
  };
  return {
    prepare() {},
    async run() {
      const loaded = program.load(parameters);
      await program.gradients(loaded, input, shown, clicked, out);
      loaded.dispose();
    },
    end() {},
  };
}

function requestsOf(rows: number): NonNullable<NetInput['requests']> {
  const count = Math.ceil(rows / itemsMax);
  return { starts: Int32Array.from({ length: count }, (_, r) => r * itemsMax), count };
}

/** Values between −0.5 and 0.5, sequences full. */
function inputOf(shape: NetShape, rows: number): NetInput {
  const values = (count: number) =>
    Float32Array.from({ length: count }, (_, i) => ((i * 37) % 101) / 100 - 0.5);
  return {
    rows,
    wide: values(rows),
    embeddings: values(rows * shape.embeddingFloats),
    dense: values(rows * shape.denseFields),
    lengths: Int32Array.from(
      { length: rows * shape.attention.length },
      (_, i) => shape.attention[i % shape.attention.length].lengthMax,
    ),
  };
}
