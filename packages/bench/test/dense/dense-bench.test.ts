import { engineNames } from '@millrace/model';
import { expect, test } from 'vitest';
import { runDenseBench } from '../../src/dense/dense-bench.ts';
import { smokeSize } from '../../src/dense/parameters.ts';

test('bench: dense: the smoke size gives a figure for every engine that loads, and for bare ONNX Runtime', async () => {
  const steps: number[] = [];
  const { nets, defaultToBareOnnx, skipped } = await runDenseBench(smokeSize, (done) => steps.push(done));
  const [{ runners, defaultEngine, engineToBareOnnx, speeds }] = nets;
  const names = runners.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['onnx', 'wasm', 'cpu', 'plain', 'bare onnxruntime-node']));
  for (const { rowsPerSecond, stepRowsPerSecond, name } of runners) {
    expect(rowsPerSecond).toHaveLength(2);
    expect(rowsPerSecond.every((rate) => rate !== null && rate > 0)).toBe(true);
    expect(stepRowsPerSecond !== null).toBe(!name.startsWith('bare'));
  }
  expect(speeds.map(({ name }) => name)).toContain(defaultEngine);
  expect(defaultToBareOnnx).toBeGreaterThan(0);
  expect(engineToBareOnnx).toBeGreaterThan(0);
  // Every engine, and the bare library twice.
  expect(names.length + skipped.length).toBe(engineNames.length + 2);
  expect(new Set(steps)).toEqual(new Set([0]));
}, 60_000);
