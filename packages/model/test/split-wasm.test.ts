import { expect, test } from 'vitest';
import { splitRoomFor } from '../src/tfjs-split.ts';
import { netCases, wideCases } from './net-cases.ts';
import { splitConformance } from './split-conformance.ts';

splitConformance('wasm', [...netCases, ...wideCases]);

test('engine wasm: towers and layers are split, but where an item attends to something or all inputs are crossed first', () => {
  const splitIn = ({ shape }: (typeof netCases)[number]) =>
    shape.parts.filter((part) => splitRoomFor(part, shape) !== null).map(({ kind }) => kind);
  const whole = [...netCases, ...wideCases]
    .filter(({ shape }) => shape.parts.some(({ kind }) => kind === 'deep' || kind === 'towers'))
    .filter((one) => splitIn(one).length === 0)
    .map(({ title }) => title);
  const mixes = /cross|dcn|dots|dlrm|attention|sequence|everything/;
  expect(whole.filter((title) => !mixes.test(title))).toEqual([]);
  expect(whole.length).toBeGreaterThan(0);
});
