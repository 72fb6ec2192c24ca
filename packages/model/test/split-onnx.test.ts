import { expect, test } from 'vitest';
import { requestsGraph } from '../src/onnx-requests.ts';
import { netCase, netCases, wideCases } from './net-cases.ts';
import { splitConformance } from './split-conformance.ts';

splitConformance('onnx', [...netCases, ...wideCases]);

test('onnx requests: towers are split, layers where it saves 8,192 multiply-adds a row, and what stands beside them', () => {
  const isSplit = ({ shape }: { shape: (typeof netCases)[number]['shape'] }) => requestsGraph(shape) !== null;
  // The even ones of the slots are the request's, of 16 floats each.
  const layersOf = (units: number) =>
    netCase('layers', { layers: [{ units }] }, { slots: 8, dense: 0, dim: 16 });
  expect(isSplit(layersOf(127))).toBe(false);
  expect(isSplit(layersOf(128))).toBe(true);
  expect(netCases.filter(isSplit).map(({ title }) => title)).toEqual([
    'two towers',
    'towers of one tanh unit',
    'towers over dense fields alone',
  ]);
  expect(wideCases.map(({ shape }) => requestsGraph(shape)?.readsRows)).toEqual([false, false, false, true]);
});
