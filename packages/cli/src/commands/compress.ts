/** `millrace compress`: what making a model smaller costs and saves, measured on a log. */
import { randomUUID } from 'node:crypto';
import type { LocalLearner, SplitSpeeds } from '@millrace/learner';
import { type EngineName, engineNames } from '@millrace/model';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { AddedVersion } from '../compress/add-versions.ts';
import { type MethodName, methodNames } from '../compress/methods.ts';
import { type CompressParameters, type CompressResult, runCompress } from '../compress/run-compress.ts';
import { logReportJson } from '../log-file/index.ts';
import { openProgressBar } from '../screen/progress-bar.ts';
import { textTable } from '../screen/text-table.ts';
import { openLearner } from '../training/open-learner.ts';
import { tellLogReports } from './log-report.ts';
import {
  formatOption,
  jsonOption,
  type LogFlags,
  numberWithin,
  readModelFile,
  strictOption,
  wholeNumber,
} from './options.ts';

interface CompressFlags extends LogFlags {
  readonly data: string;
  readonly methods: readonly MethodName[];
  readonly holdout: number;
  readonly fineTune: number;
  readonly units: number;
  readonly student: number;
  readonly zeros: number;
  readonly teacher: number;
  readonly batch: number;
  readonly candidates: number;
  readonly engine: 'auto' | EngineName;
  readonly add?: string;
  readonly json: boolean;
}

/** Turns of each method's forward pass; the shortest counts. */
const timedRounds = 40;
const share = numberWithin({ min: 0, below: 1 });

export function compressCommand(): Command {
  return new Command('compress')
    .description('make a model smaller in several ways, and measure on a log what each costs and saves')
    .argument('<model>', 'model file')
    .requiredOption('--data <file>', 'log in time order, in any format that `train` reads')
    .option(
      '--methods <names>',
      `with commas between, of ${methodNames.join(', ')}`,
      methodsFrom,
      methodNames,
    )
    .option(
      '--holdout <share>',
      'share of the file, from its end, that is scored and never learned',
      share,
      0.2,
    )
    .option(
      '--fine-tune <share>',
      'share of the learned part by which pruned nets are fine-tuned',
      share,
      0.3,
    )
    .option('--units <share>', "share of each hidden layer's units that prune-units keeps", share, 0.5)
    .option('--student <share>', "share of each hidden layer's units that a student has", share, 0.25)
    .option('--zeros <share>', 'share of the weights that prune-weights sets to 0', share, 0.8)
    .option(
      '--teacher <share>',
      "how much the whole net's score counts against the label in what smaller ones learn",
      share,
      0.5,
    )
    .option('--batch <n>', 'events of one gradient step', wholeNumber({ min: 1, max: 1_000_000 }), 1)
    .option(
      '--candidates <n>',
      'items of the requests that split is timed with',
      wholeNumber({ min: 1, max: 10_000 }),
      100,
    )
    .addOption(
      new Option('--engine <name>', 'what runs the nets').choices(['auto', ...engineNames]).default('auto'),
    )
    .option(
      '--add <model>',
      'make this model in the running cluster, of what was learned, with the smaller nets as versions',
    )
    .addOption(formatOption())
    .addOption(strictOption())
    .addOption(jsonOption())
    .action(compress);
}

async function compress(modelPath: string, flags: CompressFlags): Promise<void> {
  const { data, format, strict, batch, holdout, fineTune, zeros, candidates } = flags;
  const parameters: CompressParameters = {
    holdout,
    fineTune,
    batch,
    zeros,
    candidates,
    unitsKept: { narrow: flags.units, student: flags.student },
    fromTeacher: flags.teacher,
  };
  const file = readModelFile(modelPath);
  const learner = await openLearner({ file, engine: flags.engine, batchExamples: batch });
  const engine = learner.net.engine.name;
  const bar = openProgressBar('compress');
  const startMs = performance.now();
  const result = await runCompress({
    learner,
    log: { path: data, format, strict },
    methods: flags.methods,
    parameters,
    timing: { rounds: timedRounds, nowMs: () => performance.now() },
    onProgress: (done, total, note) => bar.set(done, total, note),
    onSkip: (method) =>
      void process.stderr.write(`${method} skipped: the net has nothing that it would change\n`),
  }).finally(() => bar.end());
  const figures = figuresFrom(result);
  const { add } = flags;
  const versions = add === undefined ? [] : await addTo(add, learner, result);
  if (flags.json) {
    const { learned, heldOut, timedRows, log } = result;
    const told = {
      model: file.name,
      engine,
      learned,
      heldOut,
      timedRows,
      parameters,
      methods: figures,
      versions,
    };
    process.stdout.write(`${JSON.stringify({ ...told, ...logReportJson(log) })}\n`);
  } else process.stdout.write(`${tableOf(figures)}\n`);
  tellLogReports([result.log]);
  for (const { requests } of figures) {
    if (requests !== undefined) process.stderr.write(`${requestsText(requests, parameters.candidates)}\n`);
  }
  for (const { method, version } of versions)
    process.stderr.write(`${method} is version ${version} of model "${add}"\n`);
  const seconds = (performance.now() - startMs) / 1_000;
  process.stderr.write(
    `${result.learned} events learned, ${result.heldOut} held out and scored by each method, engine ${engine}, ${seconds.toFixed(1)} s\n`,
  );
  result.dispose();
  learner.dispose();
}

/** Only who wants a cluster loads what reaches one. */
async function addTo(
  name: string,
  learner: LocalLearner,
  result: CompressResult,
): Promise<readonly AddedVersion[]> {
  const { withHistory } = await import('./open-history.ts');
  const { addVersions } = await import('../compress/add-versions.ts');
  return withHistory({}, (source) =>
    addVersions(source, { name, producer: `compress-${randomUUID()}` }, learner, result),
  );
}

/** One line of the table; Δ and ratios are against `none`. */
interface Figures {
  readonly method: MethodName | 'none';
  readonly units: readonly number[];
  readonly rowBytes: number;
  readonly rowBytesRatio: number;
  readonly denseBytes: number;
  readonly denseBytesRatio: number;
  readonly auc: number;
  readonly aucDelta: number;
  readonly logloss: number;
  readonly loglossDelta: number;
  readonly forwardMs: number;
  /** How many times as fast a forward pass is. */
  readonly forwardSpeedup: number;
  /** How many times as fast rows are read. */
  readonly readSpeedup: number;
  /** Of requests, where the method splits them. */
  readonly requests?: RequestFigures;
}

/** Items a second, from features to scores; ratios are against `whole`. */
interface RequestFigures {
  readonly whole: number;
  /** Split, where nothing is known of items from before, and where most are known. */
  readonly fresh: number;
  readonly freshSpeedup: number;
  readonly known: number;
  readonly knownSpeedup: number;
  /** Largest difference of a score from the whole net's. */
  readonly scoreDifference: number;
}

function figuresFrom({ results }: CompressResult): readonly Figures[] {
  const [none] = results;
  return results.map(({ method, units, rowBytes, denseBytes, quality, forwardMs, readMs, split }) => ({
    method,
    units,
    rowBytes,
    rowBytesRatio: rounded(rowBytes / none.rowBytes, 4),
    denseBytes,
    denseBytesRatio: none.denseBytes === 0 ? 1 : rounded(denseBytes / none.denseBytes, 4),
    auc: rounded(quality.auc),
    aucDelta: rounded(quality.auc - none.quality.auc),
    logloss: rounded(quality.logloss),
    loglossDelta: rounded(quality.logloss - none.quality.logloss),
    forwardMs: rounded(forwardMs),
    forwardSpeedup: rounded(none.forwardMs / forwardMs, 2),
    readSpeedup: rounded(none.readMs / readMs, 2),
    ...(split === null ? {} : { requests: requestFiguresFrom(split) }),
  }));
}

function requestFiguresFrom({ whole, fresh, known, scoreDifference }: SplitSpeeds): RequestFigures {
  return {
    whole: Math.round(whole),
    fresh: Math.round(fresh),
    freshSpeedup: rounded(fresh / whole, 2),
    known: Math.round(known),
    knownSpeedup: rounded(known / whole, 2),
    scoreDifference: Number(scoreDifference.toPrecision(2)),
  };
}

function tableOf(figures: readonly Figures[]): string {
  const signed = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(5)}`;
  const bytes = (count: number, ratio: number) => `${count.toLocaleString('en')} (${ratio.toFixed(2)})`;
  return textTable([
    [
      'method',
      'hidden units',
      'row bytes',
      'dense bytes',
      'AUC',
      'Δ',
      'logloss',
      'Δ',
      'forward',
      'requests, new / known',
    ],
    ...figures.map((line) => [
      line.method,
      line.units.join('-') || '–',
      bytes(line.rowBytes, line.rowBytesRatio),
      bytes(line.denseBytes, line.denseBytesRatio),
      line.auc.toFixed(5),
      line.method === 'none' ? '' : signed(line.aucDelta),
      line.logloss.toFixed(5),
      line.method === 'none' ? '' : signed(line.loglossDelta),
      `${line.forwardSpeedup.toFixed(2)}×`,
      line.requests === undefined
        ? ''
        : `${line.requests.freshSpeedup.toFixed(2)}× / ${line.requests.knownSpeedup.toFixed(2)}×`,
    ]),
  ]).join('\n');
}

function requestsText({ whole, fresh, known, scoreDifference }: RequestFigures, candidates: number): string {
  const count = (n: number) => n.toLocaleString('en');
  return `requests of ${candidates} items: ${count(whole)} items a second whole, ${count(fresh)} split, ${count(known)} where items are known from requests before; scores differ by ${scoreDifference.toExponential(0)} at most`;
}

function methodsFrom(text: string): readonly MethodName[] {
  return text.split(',').map((name) => {
    if ((methodNames as readonly string[]).includes(name)) return name as MethodName;
    throw new InvalidArgumentError(
      `wanted names of ${methodNames.join(', ')} with commas between, found "${name}".`,
    );
  });
}

function rounded(value: number, digits = 6): number {
  return Number(value.toFixed(digits));
}
