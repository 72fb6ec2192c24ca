import { latencyCellOf, latencyOfCell } from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import { type ArmFigures, armFiguresKind, createArmWindow } from '../src/arm-window.ts';
import { guardReason } from '../src/guard.ts';

const bounds = { logloss: 0.1, calibration: 0.5, nan: 0, errors: 0.02, p99: 1 };

function figures(part: Partial<ArmFigures>): ArmFigures {
  return { ...armFiguresKind.create(), ...part };
}

/** A minute of 2,000 items at a click rate of 10 %, well predicted. */
const well = figures({
  requests: 2_000,
  shown: 2_000,
  clicked: 200,
  predicted: 200,
  loss: 600,
  lossSquares: 500,
});

function latencies(entries: readonly (readonly [ms: number, count: number])[]): Float64Array {
  const cells = armFiguresKind.create().latencies;
  for (const [ms, count] of entries) cells[latencyCellOf(ms)] += count;
  return cells;
}

describe('experiments: guard', () => {
  test('experiments: guard: an arm as good as the control stays', () => {
    expect(guardReason(bounds, well, well)).toBeNull();
    expect(guardReason(bounds, figures({}), well)).toBeNull();
  });

  test.each([
    ['no number', { notFinite: 1 }, /no numbers/],
    ['failures', { errors: 100 }, /failed in the last minute/],
    ['a higher logloss', { loss: 900, lossSquares: 900 }, /logloss/],
    ['clicks that never come', { predicted: 900 }, /predicted 900 clicks/],
    ['clicks not foreseen', { predicted: 20 }, /predicted 20 clicks/],
  ] as const)('experiments: guard: %s take an arm out', (_, part, reason) => {
    expect(guardReason(bounds, figures({ ...well, ...part }), well)).toMatch(reason);
  });

  test('experiments: guard: a slow tail takes an arm out, one that is slow with all does not', () => {
    const [fast, slow] = [
      latencies([
        [2, 990],
        [4, 10],
      ]),
      latencies([
        [2, 900],
        [40, 100],
      ]),
    ];
    const own = figures({ ...well, latencies: slow });
    expect(guardReason(bounds, own, figures({ ...well, latencies: fast }))).toMatch(/99 % of its requests/);
    expect(guardReason(bounds, own, own)).toBeNull();
  });

  test('experiments: guard: nothing is said of few, nor where no bound is', () => {
    const few = figures({
      requests: 20,
      errors: 20,
      shown: 20,
      predicted: 20,
      loss: 400,
      lossSquares: 9_000,
    });
    expect(guardReason(bounds, few, well)).toBeNull();
    const none = { logloss: null, calibration: null, nan: null, errors: null, p99: null };
    expect(guardReason(none, figures({ ...well, notFinite: 9, errors: 900, loss: 9e3 }), well)).toBeNull();
  });

  test('experiments: guard: what chance makes of equal arms takes none out', () => {
    // A logloss 12 % above, of items whose losses spread so much that chance makes it.
    const noisy = figures({ ...well, shown: 300, clicked: 30, predicted: 30, loss: 100, lossSquares: 400 });
    expect(guardReason(bounds, noisy, figures({ ...noisy, loss: 89 }))).toBeNull();
  });
});

describe('experiments: arm window', () => {
  test('experiments: arm window: holds a minute of what was told, then forgets it', () => {
    const window = createArmWindow();
    const counts = { requests: 10, errors: 1, notFinite: 0, dropped: 2 };
    const cells = Array.from(latencies([[3, 10]]));
    window.noteScoring({ node: 'n', model: 'shop', arms: [{ arm: 'x/a', ...counts, latencies: cells }] });
    window.noteExample(example({ makesPositive: false, score: 0.25 }));
    expect(window.scoring().get('x/a')).toMatchObject({ ...counts, p99Ms: latencyOfCell(latencyCellOf(3)) });
    expect(window.figuresOf('x/a')).toMatchObject({
      shown: 1,
      clicked: 0,
      predicted: 0.25,
      loss: -Math.log(0.75),
    });
    for (let slot = 0; slot < 11; slot += 1) window.advance();
    expect(window.figuresOf('x/a')?.requests).toBe(10);
    window.advance();
    expect(window.figuresOf('x/a')).toBeNull();
  });

  test('experiments: arm window: what was shown before an arm was forgotten counts no more, whenever it is joined', () => {
    const window = createArmWindow();
    const joined = (shownAt: number, joinedAt: number) =>
      window.noteExample({
        ...example({ makesPositive: false, score: 0.25 }),
        place: [joinedAt, shownAt, 0],
      });
    // Shown and not joined yet.
    for (const sequence of [3, 4]) window.noteShown(sequence);
    window.forget('x/a');
    joined(4, 90);
    expect(window.figuresOf('x/a')).toBeNull();
    expect(window.figuresOf('@0')?.shown).toBe(1);
    joined(5, 91);
    expect(window.figuresOf('x/a')?.shown).toBe(1);
  });

  test('experiments: arm window: an item counts once, however it was taught', () => {
    const window = createArmWindow();
    window.noteExample(example({ makesPositive: false, score: 0.5 }));
    window.noteExample(example({ makesPositive: true, isFirst: false, score: 0.5 }));
    const own = window.figuresOf('x/a');
    expect(own).toMatchObject({ shown: 1, clicked: 1, predicted: 0.5 });
    expect(own?.loss).toBeCloseTo(Math.log(2), 12);
  });

  test('experiments: arm window: cells of latency are at most a quarter wide', () => {
    for (const ms of [0.01, 0.05, 0.3, 1, 7, 250, 9_999]) {
      const edge = latencyOfCell(latencyCellOf(ms));
      expect(edge).toBeGreaterThanOrEqual(ms * (1 - 1e-9));
      if (ms > 0.05) expect(edge).toBeLessThanOrEqual(ms * 1.25 * (1 + 1e-9));
    }
  });
});

function example(part: {
  readonly makesPositive: boolean;
  readonly isFirst?: boolean;
  readonly score: number;
}) {
  const origin = { sequence: 1, watermarkMs: 0 };
  return { place: [1, 1, 0] as const, offset: 0, isFirst: true, arm: 'x/a', units: [1], origin, ...part };
}
