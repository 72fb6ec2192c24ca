import type { ModelFile } from '@millrace/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { type MethodName, methodNames } from '../../src/compress/methods.ts';
import { type CompressParameters, runCompress } from '../../src/compress/run-compress.ts';
import { openLearner } from '../../src/training/open-learner.ts';
import { runTrain } from '../../src/training/run-train.ts';
import { ads, temporaryFolder, writeLog } from '../training/made-up-log.ts';

/** A net that carries the score alone. */
const layers: ModelFile = {
  ...ads,
  tables: [
    {
      name: 'ids',
      embedding: {
        dim: 8,
        optimizer: { type: 'adagrad', learningRate: 0.1, initialAccumulator: 0.1 },
        initializer: { type: 'uniform', scale: 0.1 },
      },
    },
  ],
  bias: false,
  net: { layers: [{ units: 16 }, { units: 8 }], optimizer: { type: 'adam', learningRate: 0.01 } },
};
const parameters: CompressParameters = {
  holdout: 0.25,
  fineTune: 0.3,
  batch: 4,
  candidates: 20,
  zeros: 0.75,
  unitsKept: { narrow: 0.5, student: 0.25 },
  fromTeacher: 0.5,
};

async function compressed(
  file: ModelFile,
  names: readonly MethodName[] = methodNames,
  over: Partial<CompressParameters> = {},
) {
  const log = await writeLog(await temporaryFolder(), 'item', 4_000);
  const open = () => openLearner({ file, engine: 'plain', batchExamples: parameters.batch });
  const learner = await open();
  const skipped: MethodName[] = [];
  const result = await runCompress({
    ...{ learner, log, parameters: { ...parameters, ...over }, methods: names },
    timing: { rounds: 2, nowMs: () => performance.now() },
    onProgress: () => {},
    onSkip: (method) => skipped.push(method),
  });
  onTestFinished(() => {
    result.dispose();
    learner.dispose();
  });
  return { log, open, result, skipped, of: new Map(result.results.map((one) => [one.method, one])) };
}

test('compress: the uncompressed line is what a training pass gives on the same split', async () => {
  const { log, open, result, of } = await compressed(layers, ['rows-int8']);
  const learner = await open();
  const { record } = await runTrain({
    ...{ learner, log, onProgress: () => {}, onPass: () => {} },
    parameters: { passes: 1, holdout: 0.25, patience: 1, batch: 4, seed: layers.seed, engine: 'plain' },
    save: async () => {},
  });
  learner.dispose();
  const none = of.get('none')?.quality;
  expect([result.learned, result.heldOut, none?.count]).toEqual([3_000, 1_000, 1_000]);
  expect(none?.auc).toBeCloseTo(record.passes[0].holdoutAuc ?? Number.NaN, 6);
  expect(none?.logloss).toBeCloseTo(record.passes[0].holdoutLogloss ?? Number.NaN, 6);
});

test('compress: every method is judged by the same events, takes fewer bytes, and still tells items apart', async () => {
  const { result, skipped, of } = await compressed(layers);
  expect(skipped).toEqual([]);
  expect(result.results.map(({ method }) => method)).toEqual(['none', ...methodNames]);
  const [none] = result.results;
  // Even items are clicked four times in five, odd ones once: no score does better than 0.8.
  expect(none.quality.auc).toBeGreaterThan(0.75);
  for (const { method, quality, rowBytes, denseBytes, forwardMs, readMs } of result.results.slice(1)) {
    expect([method, quality.count]).toEqual([method, 1_000]);
    expect(Math.abs(quality.auc - none.quality.auc), method).toBeLessThan(0.02);
    // To split a net leaves it as it is.
    if (method !== 'split')
      expect(rowBytes + denseBytes, method).toBeLessThan(none.rowBytes + none.denseBytes);
    expect(forwardMs).toBeGreaterThan(0);
    expect(readMs).toBeGreaterThan(0);
  }
  const share = (method: MethodName) => (of.get(method)?.rowBytes ?? 0) / none.rowBytes;
  expect([share('rows-float16'), share('rows-int8'), share('distill-int8')]).toEqual([0.5, 0.375, 0.375]);
  expect(of.get('prune-units')?.units).toEqual([8, 4]);
  expect(of.get('distill')?.units).toEqual([4, 2]);
  const zeros = of.get('prune-weights')?.candidate.weights.filter((weight) => weight === 0).length ?? 0;
  expect(zeros).toBeGreaterThanOrEqual(Math.floor(0.75 * (16 * 16 + 16 * 8 + 8)));
  // Rounding changes scores, if only a little: each method is what it says.
  expect(of.get('rows-int8')?.quality.logloss).not.toBe(none.quality.logloss);
  expect(of.get('dense-int8')?.quality.logloss).not.toBe(none.quality.logloss);
});

test('compress: split requests are timed, and score each event as it is scored alone', async () => {
  const { of, result } = await compressed(layers, ['split']);
  const [none] = result.results;
  const split = of.get('split');
  expect(none.split).toBeNull();
  expect(split?.quality).toEqual(none.quality);
  const { whole = 0, fresh = 0, known = 0, scoreDifference = 1 } = split?.split ?? {};
  expect(Math.min(whole, fresh, known)).toBeGreaterThan(0);
  expect(scoreDifference).toBeLessThan(1e-5);
});

test('compress: what changes nothing of a model is skipped and said', async () => {
  const { result, skipped } = await compressed(ads);
  expect(result.results.map(({ method }) => method)).toEqual(['none', 'rows-float16', 'rows-int8', 'split']);
  expect(skipped).toEqual(methodNames.filter((name) => !name.startsWith('rows-') && name !== 'split'));
  const { skipped: alsoSplit } = await compressed({
    ...ads,
    fields: ads.fields.map((field) => ({ ...field, scope: 'item' as const })),
  });
  expect(alsoSplit).toContain('split');
});

test('compress: nets are pruned also where nearly all that is learned fine-tunes them', async () => {
  const { of } = await compressed(layers, ['prune-units'], { fineTune: 0.9999 });
  expect(of.get('prune-units')?.units).toEqual([8, 4]);
});
