import { expect, test } from 'vitest';
import { gpuReport } from '../scripts/gpu-report.mjs';

const absent = { name: 'onnx-cuda', reason: 'no CUDA here' };
const passed = { name: 'webgpu', device: 'a GPU', isSoftware: false, passed: true };

test('test:gpu: says on which device each engine ran, or why not, and is content with what passed', () => {
  expect(gpuReport([absent, passed])).toEqual({
    lines: ['onnx-cuda  not run: no CUDA here', 'webgpu     passed on a GPU'],
    exitCode: 0,
  });
});

test('test:gpu: fails when an engine that ran has failed', () => {
  const { lines, exitCode } = gpuReport([
    absent,
    passed,
    { ...passed, name: 'tfjs-node-gpu', passed: false },
  ]);
  expect(lines.at(-1)).toBe('tfjs-node-gpu  FAILED on a GPU');
  expect(exitCode).toBe(1);
});

test('test:gpu: fails with a sentence when none could run', () => {
  const { lines, exitCode } = gpuReport([absent, { name: 'webgpu', reason: 'no adapter' }]);
  expect(lines.at(-1)).toBe('no engine that uses a GPU could be run here: of onnx-cuda, webgpu none loads');
  expect(exitCode).toBe(1);
});

test('test:gpu: says when all that ran was software', () => {
  const { lines, exitCode } = gpuReport([absent, { ...passed, device: 'SwiftShader', isSoftware: true }]);
  expect(lines.slice(1)).toEqual([
    'webgpu     passed on SwiftShader (software, no GPU)',
    'no GPU was found: what ran, ran on a processor that plays one',
  ]);
  expect(exitCode).toBe(0);
});
