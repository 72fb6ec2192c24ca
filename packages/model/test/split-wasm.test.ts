import { expect, test } from 'vitest';
import { splitRoomFor } from '../src/tfjs-split.ts';
import { netCases, wideCases } from './net-cases.ts';
import { splitConformance } from './split-conformance.ts';

splitConformance('wasm', [...netCases, ...wideCases]);

test('engine wasm: towers are split, but where an item attends to something, and layers are not', () => {
  const splitIn = ({ shape }: (typeof netCases)[number]) =>
    shape.parts.filter((part) => splitRoomFor(part, shape) !== null).map(({ kind }) => kind);
  const split = [...netCases, ...wideCases]
    .filter((one) => splitIn(one).length > 0)
    .map(({ title }) => title);
  expect(split).toEqual(['two towers', 'towers of one tanh unit', 'towers over dense fields alone']);
});
