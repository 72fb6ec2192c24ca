import { expect, test } from 'vitest';
import { calibrationCurveFromScores, calibrationRatioFromScores } from '../../src/metrics/calibration.ts';

test('calibration: ratio is predicted over observed clicks', () => {
  const labels = new Uint8Array([1, 0, 0, 1]);
  expect(calibrationRatioFromScores(new Float64Array([0.5, 0.25, 0.75, 0.5]), labels, 4)).toBe(1);
  expect(calibrationRatioFromScores(new Float64Array([1, 0.5, 0.5, 1]), labels, 4)).toBe(1.5);
});

test('calibration: ratio is not a number without a positive', () => {
  expect(calibrationRatioFromScores(new Float64Array([0.5]), new Uint8Array([0]), 1)).toBeNaN();
});

test('calibration: curve has ten buckets of equal count for distinct scores', () => {
  const scores = Float64Array.from({ length: 100 }, (_, i) => ((i * 37) % 100) / 100);
  const labels = Uint8Array.from(scores, (score) => (score >= 0.9 ? 1 : 0));
  const curve = calibrationCurveFromScores(scores, labels, 100);
  expect(curve.map((bucket) => bucket.count)).toEqual(new Array(10).fill(10));
  expect(curve[0]).toMatchObject({ scoreMin: 0, scoreMax: 0.09, observed: 0 });
  // (0.90 + … + 0.99) / 10
  expect(curve[9].predicted).toBeCloseTo(0.945, 12);
  expect(curve[9].observed).toBe(1);
});

test('calibration: curve keeps equal scores in one bucket and leaves empty ones out', () => {
  const curve = calibrationCurveFromScores(
    new Float32Array([0.5, 0.5, 0.25, 0.5]),
    new Uint8Array([1, 0, 0, 1]),
    4,
  );
  expect(curve).toEqual([
    { count: 1, scoreMin: 0.25, scoreMax: 0.25, predicted: 0.25, observed: 0 },
    { count: 3, scoreMin: 0.5, scoreMax: 0.5, predicted: 0.5, observed: 2 / 3 },
  ]);
});

test('calibration: curve of nothing is empty', () => {
  expect(calibrationCurveFromScores(new Float64Array(0), new Uint8Array(0), 0)).toEqual([]);
});
