import { expect, test } from 'vitest';
import { flatFrom, tensorHead, tensorOf } from '../../src/tensors/tensor.ts';

test('tensors: nested data is flattened row by row, flat data stays', () => {
  const head = tensorHead('x', 'INT64', [2, 2]);
  expect(
    flatFrom(head, [
      [1, 2],
      [3, 4],
    ]),
  ).toEqual([1, 2, 3, 4]);
  expect(flatFrom(head, [1, 2, 3, 4])).toEqual([1, 2, 3, 4]);
  expect(() => flatFrom(head, [[[1]]])).toThrow('inputs.x: wanted 2 levels of arrays at most, found 3');
  expect(() =>
    flatFrom(head, [
      [1, 2],
      [3, 4, 5],
    ]),
  ).toThrow('inputs.x: wanted 4 values, found more');
});

test.each([
  ['INT8', 128],
  ['INT8', -129],
  ['INT8', 1.5],
  ['UINT64', -1],
  ['UINT64', '18446744073709551616'],
  ['INT64', '9223372036854775808'],
  ['INT64', 9_007_199_254_740_992],
  ['INT64', '1e3'],
  ['INT64', ''],
  ['BOOL', 2],
  ['BOOL', 'true'],
  ['FP32', '1'],
  ['FP64', null],
  ['BYTES', 1],
])('tensors: %s does not take %s', (datatype, value) => {
  const wrong = () => tensorOf(tensorHead('x', datatype, [1]), [value]);
  expect(wrong).toThrow(expect.objectContaining({ code: 'MILL_BAD_REQUEST' }));
});

test('tensors: FP32 as JSON is what it would be as bytes', () => {
  expect(tensorOf(tensorHead('x', 'FP32', [1]), [0.1]).values).toEqual([Math.fround(0.1)]);
  expect(tensorOf(tensorHead('x', 'FP64', [1]), [0.1]).values).toEqual([0.1]);
});

test.each([
  ['INT65', [1], 'inputs.x.datatype: wanted one of BYTES'],
  ['INT64', [], 'inputs.x.shape: wanted 1 to 8 whole sizes, found []'],
  ['INT64', [-1], 'found [-1]'],
  ['INT64', [1.5], 'found [1.5]'],
  ['INT64', [1, 1, 1, 1, 1, 1, 1, 1, 1], 'found [1, 1, 1, 1, 1, 1, 1, 1, …]'],
  ['INT64', [2 ** 40, 2 ** 40], 'at most 2000000 values'],
  ['INT64', [2 ** 53, 0, 2 ** 53], 'found [9007199254740992'],
])('tensors: a head of %s %s is refused', (datatype, shape, message) => {
  expect(() => tensorHead('x', datatype, shape)).toThrow(message);
});
