import { comparePlaces, type ExamplePlace } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JoinerOptions } from '../src/joiner-options.ts';
import {
  anyLog,
  anyOptions,
  fold,
  impression,
  type Logged,
  logOf,
  outcome,
  plainOptions,
  shortly,
  tick,
  unstamped,
} from './event-logs.ts';

const options = plainOptions;
const atOnce: JoinerOptions = { ...options, negatives: 'at-once' };

const examplesOf = (log: readonly Logged[], of: JoinerOptions = options) =>
  fold(log, of).examples.map(shortly);

test('joiner: a click is a positive at once, with the features and the score of its item', () => {
  const { examples } = fold(logOf(impression('r', 1_000, 3), outcome('r', 2)), options);
  expect(examples).toEqual([
    {
      place: [2, 1, 2],
      user: { who: 'user of r' },
      context: { hour: 1_000 },
      item: { ad: 'r/2' },
      shown: 1,
      clicked: 1,
      offset: 0,
      weighting: 'none',
      isFirst: true,
      makesPositive: true,
      kind: 0,
      value: 1,
      score: 0.25,
      origin: { sequence: 1, watermarkMs: 0 },
    },
  ]);
});

test('joiner: of an order the item shown first says how it came there, and whether scores alone would have shown it', () => {
  const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
  const shadow = { arm: 'dark/next', unit: 9, version: 4, scores: floats(0.5, 0.75) };
  const shown = {
    ...impression('r', 1_000, 2),
    arm: 'x/a',
    units: [7],
    propensities: floats(0.25, 1),
    places: [4, 1],
    greedy: { place: 4, score: 0.5 },
    shadow: { ...shadow, greedy: { place: 1, score: 0.125 } },
  };
  const examplesOfShown = (event: typeof shown) => fold(logOf(event, tick(2_000)), options).examples;
  const [first, second] = examplesOfShown(shown);
  expect(first.ranked).toEqual({ propensity: 0.25, greedy: { isShown: true, score: 0.5 } });
  expect(first.shadow?.greedy).toEqual({ isShown: false, score: 0.125 });
  expect([second.ranked, second.shadow?.greedy]).toEqual([undefined, undefined]);
  // What cannot have been drawn is judged by nobody.
  const [never] = examplesOfShown({ ...shown, propensities: floats(0, 1) });
  expect([never.ranked, never.shadow?.greedy]).toEqual([undefined, undefined]);
});

test('joiner: an example says in which arms its impression is, and what a shadow made of its item', () => {
  const shadow = {
    arm: 'dark/next',
    unit: 9,
    version: 4,
    scores: new Uint8Array(Float32Array.of(0.5, 0.75).buffer),
  };
  const shown = { ...impression('r', 1_000, 2), arm: 'x/a y/b', units: [7, 8], shadow };
  const { examples } = fold(logOf(shown, outcome('r', 1, 12.5)), options);
  expect(examples).toMatchObject([
    {
      arm: 'x/a y/b',
      units: [7, 8],
      shadow: { arm: 'dark/next', unit: 9, score: 0.75 },
      kind: 0,
      value: 12.5,
    },
  ]);
});

test('joiner: an outcome that was sent to several models is passed over where its impression is not', () => {
  const log = logOf(
    { ...outcome('elsewhere', 0), spread: true },
    outcome('nowhere', 0),
    tick(1_000),
    tick(9_000),
  );
  const { rejections, joiner } = fold(log, options);
  expect(rejections.map(({ requestId }) => requestId)).toEqual(['nowhere']);
  expect(joiner.counts).toMatchObject({ ignored: 1, rejected: 1 });
});

test('joiner: an outcome that was sent to several models is refused where its impression has no such item', () => {
  const log = logOf(impression('r', 1_000, 2), { ...outcome('r', 5), spread: true });
  const { rejections, joiner } = fold(log, options);
  expect(rejections).toMatchObject([{ requestId: 'r', reason: 'the impression has no item 5' }]);
  expect(joiner.counts).toMatchObject({ ignored: 0, rejected: 1 });
});

test('joiner: an outcome of 0 is a negative at once', () => {
  expect(examplesOf(logOf(impression('r', 1_000), outcome('r', 0, 0)))).toEqual(['2:1/0 −']);
});

test('joiner: what has no outcome is a negative once the window is over, in item order, and not before', () => {
  const log = logOf(impression('r', 1_000, 3), outcome('r', 1), tick(1_099), tick(1_100), tick(9_000));
  expect(examplesOf(log)).toEqual(['2:1/1 +', '4:1/0 −', '4:1/2 −']);
});

test('joiner: windows close oldest first, at the event that moves the time', () => {
  const log = logOf(
    impression('r', 1_000),
    impression('s', 1_010),
    impression('t', 1_200, 2),
    tick(1_299),
    tick(1_300),
  );
  expect(examplesOf(log)).toEqual(['3:1/0 −', '3:2/0 −', '5:3/0 −', '5:3/1 −']);
});

test('joiner: time is the highest of impressions and ticks; outcomes do not move it, and it does not go back', () => {
  const late = { ...outcome('s'), timeMs: 9_999 };
  const { joiner, examples } = fold(
    logOf(impression('r', 1_000), late, impression('old', 500), tick(700)),
    options,
  );
  expect([joiner.watermarkMs, examples]).toEqual([1_000, []]);
  joiner.take(5, tick(1_099), unstamped);
  joiner.take(6, tick(1_100), unstamped);
  // The one that came late waits from when it came, not from its own time.
  expect(examples.map(shortly)).toEqual(['6:1/0 −', '6:3/0 −']);
});

test('joiner: a repeated outcome is counted and nothing else, also after all items are decided', () => {
  const log = logOf(
    impression('r', 1_000),
    outcome('r'),
    outcome('r'),
    tick(1_050),
    outcome('r', 0, 0),
    tick(1_100),
  );
  const { examples, joiner } = fold(log, options);
  expect(examples.map(shortly)).toEqual(['2:1/0 +']);
  expect(joiner.counts).toEqual({
    impressions: 1,
    duplicateImpressions: 0,
    duplicateOutcomes: 2,
    rejected: 0,
    early: 0,
    late: 0,
    ignored: 0,
    dropped: 0,
    sampledOut: 0,
  });
});

test('joiner: a repeated impression is counted and nothing else', () => {
  const log = logOf(
    impression('r', 1_000),
    impression('r', 1_010, 3),
    outcome('r'),
    impression('r', 1_020),
    tick(2_000),
  );
  const { examples, joiner } = fold(log, options);
  expect(examples.map(shortly)).toEqual(['3:1/0 +']);
  expect(joiner.counts).toMatchObject({ impressions: 1, duplicateImpressions: 2 });
});

test('joiner: a request id that is used again after its window is a new impression', () => {
  const log = logOf(impression('r', 1_000), impression('r', 1_100), outcome('r'), tick(1_200));
  expect(examplesOf(log)).toEqual(['2:1/0 −', '3:2/0 +']);
});

test('joiner: an outcome that comes before its impression waits for it', () => {
  const log = logOf(
    outcome('r', 2),
    outcome('r', 0, 0),
    outcome('r', 2),
    impression('r', 1_000, 3),
    tick(1_100),
  );
  const { examples, joiner } = fold(log, options);
  // In item order at the event of the impression; the third outcome repeats the first.
  expect(examples.map(shortly)).toEqual(['4:4/0 −', '4:4/2 +', '5:4/1 −']);
  expect([joiner.counts.duplicateOutcomes, joiner.counts.rejected]).toEqual([1, 0]);
});

test('joiner: after a quiet time an outcome still waits for the impression that comes next', () => {
  const log = logOf(tick(1_000), outcome('r'), outcome('r', 1), impression('r', 900_000, 2), tick(900_100));
  expect(examplesOf(log)).toEqual(['4:4/0 +', '4:4/1 +']);
});

test('joiner: an outcome whose impression does not come within the window is refused', () => {
  const { rejections, joiner, examples } = fold(
    logOf(
      tick(1_000),
      outcome('r'),
      tick(1_050),
      outcome('r', 1),
      tick(1_149),
      tick(1_150),
      impression('r', 1_151),
    ),
    options,
  );
  const reason = 'no impression of that requestId is within its join window';
  expect(rejections).toEqual([
    { sequence: 6, requestId: 'r', reason },
    { sequence: 6, requestId: 'r', reason },
  ]);
  expect([joiner.counts.rejected, joiner.counts.impressions, examples]).toEqual([2, 1, []]);
});

test('joiner: an outcome that comes after its window is refused a window later', () => {
  const { rejections, joiner } = fold(logOf(impression('r', 1_000), tick(1_100), outcome('r')), options);
  joiner.take(4, tick(1_110), unstamped);
  joiner.take(5, tick(1_209), unstamped);
  expect([rejections, joiner.openEntries]).toEqual([[], 1]);
  joiner.take(6, tick(1_210), unstamped);
  expect([rejections.map(({ sequence }) => sequence), joiner.openEntries]).toEqual([[6], 0]);
});

test('joiner: of one unknown request at most 2,000 outcomes wait', () => {
  const { rejections, joiner } = fold([], { ...options, eventsMax: 10_000 });
  for (let sequence = 1; sequence <= 2_003; sequence += 1)
    joiner.take(sequence, outcome('r', sequence - 1), unstamped);
  expect(rejections.map(({ sequence }) => sequence)).toEqual([2_001, 2_002, 2_003]);
  expect(rejections[0].reason).toBe('2000 outcomes of that requestId wait for its impression already');
});

test('joiner: an outcome for a place that the impression has not is refused', () => {
  const { rejections, examples } = fold(
    logOf(impression('r', 1_000, 2), outcome('r', 2), outcome('s', 7), impression('s', 1_000, 7)),
    options,
  );
  expect(rejections).toEqual([
    { sequence: 2, requestId: 'r', reason: 'the impression has no item 2' },
    { sequence: 4, requestId: 's', reason: 'the impression has no item 7' },
  ]);
  expect(examples).toEqual([]);
});

test('joiner: outcomes of a ranked impression name places of the request, whatever was shown first', () => {
  // Of a request of at least five items the fifth was shown first, then the second.
  const ranked = { ...impression('r', 1_000, 2), places: [4, 1] };
  const { examples, rejections } = fold(
    logOf(ranked, outcome('r', 4), outcome('r', 0), outcome('r', 1, 0)),
    options,
  );
  expect(examples.map(({ item, clicked, score }) => [item.ad, clicked, score])).toEqual([
    ['r/0', 1, 0],
    ['r/1', 0, 0.125],
  ]);
  expect(rejections).toEqual([{ sequence: 3, requestId: 'r', reason: 'the impression has no item 0' }]);
});

const byItem = (requestId: string, item: string) =>
  ({ type: 'outcome', requestId, timeMs: 0, item, value: 1 }) as const;

test('joiner: outcomes may name an item by its value', () => {
  const shown = { ...impression('r', 1_000, 4), items: [{ ad: 5 }, { ad: 'x' }, { ad: 'x' }, { ad: true }] };
  const log = logOf(shown, byItem('r', 'x'), byItem('r', '5'), byItem('r', 'true'), byItem('r', 'y'));
  const { examples, rejections } = fold(log, options);
  // Of two equal items the first.
  expect(examples.map(shortly)).toEqual(['2:1/1 +', '3:1/0 +', '4:1/3 +']);
  expect(rejections).toEqual([{ sequence: 5, requestId: 'r', reason: 'the impression has no item y' }]);
});

test('joiner: an item without the field has no value, whatever its objects inherit', () => {
  const shown = { ...impression('r', 1_000, 2), items: [{}, { ad: null }] };
  for (const item of ['undefined', 'null', '']) {
    expect(fold(logOf(shown, byItem('r', item)), options).examples).toEqual([]);
  }
  const inherited = { ...options, itemField: 'constructor' };
  expect(fold(logOf(shown, byItem('r', String(Object))), inherited).examples).toEqual([]);
});

test('joiner: a model without an item field takes places alone', () => {
  const { examples, rejections } = fold(logOf(impression('r', 1_000), byItem('r', 'r/0'), outcome('r')), {
    ...options,
    itemField: undefined,
  });
  expect([examples.map(shortly), rejections.length]).toEqual([['3:1/0 +'], 1]);
});

test('joiner: nothing waits longer than eventsMax later events', () => {
  const few = { ...options, eventsMax: 3 };
  const log = [
    { sequence: 10, event: impression('r', 1_000) },
    { sequence: 11, event: outcome('s') },
    { sequence: 13, event: tick(1_000) },
    { sequence: 14, event: tick(1_000) },
    { sequence: 15, event: tick(1_000) },
  ];
  expect(fold(log.slice(0, 3), few).joiner.openEntries).toBe(2);
  const { examples, rejections, joiner } = fold(log, few);
  expect(examples.map(shortly)).toEqual(['14:10/0 −']);
  expect(rejections.map(({ sequence }) => sequence)).toEqual([15]);
  expect(joiner.openEntries).toBe(0);
});

test('joiner: no window at all: outcomes count only before any other event', () => {
  const none = { ...options, windowMs: 0 };
  expect(examplesOf(logOf(impression('r', 1_000), outcome('r')), none)).toEqual(['2:1/0 −']);
  expect(examplesOf(logOf(outcome('r'), impression('r', 1_000), tick(0)), none)).toEqual(['3:2/0 −']);
});

test('joiner: open entries are what waits: impressions to the end of their window, and early outcomes', () => {
  const { joiner } = fold(logOf(impression('r', 1_000), outcome('r'), outcome('s'), outcome('s')), options);
  expect(joiner.openEntries).toBe(2);
  joiner.take(5, tick(1_050), unstamped);
  joiner.take(6, tick(1_100), unstamped);
  // What came before the tick waits from then on.
  expect(joiner.openEntries).toBe(1);
  joiner.take(7, tick(1_150), unstamped);
  expect(joiner.openEntries).toBe(0);
});

test('joiner: at once: all items are negatives when they are shown, and a click adds its own part', () => {
  const log = logOf(
    impression('r', 1_000, 2),
    outcome('r', 1),
    outcome('r', 1),
    outcome('r', 0, 0),
    outcome('r', 0, 1),
    tick(1_100),
    impression('s', 1_101),
  );
  const { examples, joiner } = fold(log, atOnce);
  // An outcome of 0 says what is known already, and decides the item all the same.
  expect(examples.map(shortly)).toEqual(['1:1/0 −', '1:1/1 −', '2:1/1 ±', '7:7/0 −']);
  expect(examples[2]).toMatchObject({ shown: 0, clicked: 1, item: { ad: 'r/1' }, score: 0.125 });
  expect(joiner.counts).toMatchObject({ impressions: 2, duplicateOutcomes: 2 });
});

test('joiner: at once: early clicks follow their impression, behind the places of its items', () => {
  const log = logOf(outcome('r', 2), outcome('r', 0), outcome('r', 1, 0), impression('r', 1_000, 3));
  expect(examplesOf(log, atOnce)).toEqual(['4:4/0 −', '4:4/1 −', '4:4/2 −', '4:4/3 ±', '4:4/5 ±']);
});

test('joiner: at once: a click after the window is refused, and a repeated impression shows nothing', () => {
  const log = logOf(
    impression('r', 1_000),
    impression('r', 1_001),
    tick(1_100),
    outcome('r'),
    tick(1_101),
    tick(1_201),
  );
  const { examples, rejections } = fold(log, atOnce);
  expect([examples.map(shortly), rejections.map(({ sequence }) => sequence)]).toEqual([['1:1/0 −'], [6]]);
});

test('joiner: places ascend', () => {
  fc.assert(
    fc.property(anyLog, anyOptions, (log, of) => {
      let before: ExamplePlace = [0, 0, -1];
      for (const { place } of fold(log, of).examples) {
        expect(comparePlaces(before, place)).toBeLessThan(0);
        before = place;
      }
    }),
    { numRuns: 200 },
  );
}, 20_000);

/** Folds what the log still has from a place on. */
function foldFrom(
  log: readonly Logged[],
  of: JoinerOptions,
  start: { sequence: number; watermarkMs: number },
) {
  const rest = log.filter(({ sequence }) => sequence >= start.sequence);
  return fold(rest, of, start.watermarkMs).examples;
}

test('joiner: refold: from the origin of an example it and all later ones are found again, and nothing else', () => {
  fc.assert(
    fc.property(anyLog, anyOptions, fc.nat(400), fc.nat(60), (log, of, pick, pickAgain) => {
      const { examples } = fold(log, of);
      if (examples.length === 0) return;
      const first = pick % examples.length;
      const after = (place: ExamplePlace) => (example: { place: ExamplePlace }) =>
        comparePlaces(example.place, place) > 0;
      const from: ExamplePlace = first === 0 ? [0, 0, -1] : examples[first - 1].place;
      const found = foldFrom(log, of, examples[first].origin).filter(after(from));
      const plain = (many: typeof examples) => many.map(({ origin: _origin, ...rest }) => rest);
      expect(plain(found)).toEqual(plain(examples.slice(first)));
      // And from where that fold itself would have it begin the next time.
      const second = pickAgain % found.length;
      const next: ExamplePlace = second === 0 ? from : found[second - 1].place;
      const again = foldFrom(log, of, found[second].origin).filter(after(next));
      expect(plain(again)).toEqual(plain(found.slice(second)));
    }),
    { numRuns: 600 },
  );
}, 20_000);

test('joiner: refold: from oldest() the examples of all later events are found again', () => {
  fc.assert(
    fc.property(anyLog, anyOptions, fc.nat(60), (log, of, cut) => {
      const { joiner } = fold(log.slice(0, cut), of);
      const last = log[Math.min(cut, log.length) - 1]?.sequence ?? 0;
      const start = joiner.oldest() ?? { sequence: last + 1, watermarkMs: joiner.watermarkMs };
      const later = (examples: readonly { place: ExamplePlace }[]) =>
        examples.filter(({ place }) => place[0] > last).map(({ place }) => place);
      expect(later(foldFrom(log, of, start))).toEqual(later(fold(log, of).examples));
    }),
    { numRuns: 600 },
  );
}, 20_000);

test('joiner: refold: a repeated impression that outlives the first one is still known for a repeat', () => {
  // "other" is the oldest that is open after event 4, and the repeat of "r" came behind it.
  const log = logOf(
    impression('r', 1_000),
    impression('other', 1_005),
    impression('r', 1_010),
    tick(1_100),
    tick(1_200),
  );
  const { joiner } = fold(log.slice(0, 4), options);
  expect(joiner.oldest()).toEqual({ sequence: 1, watermarkMs: 0 });
  const again = foldFrom(log, options, joiner.oldest()!).filter(({ place }) => place[0] > 4);
  expect(again.map(shortly)).toEqual(['5:2/0 −']);
});

test('joiner: refold: where it begins moves on with the log', () => {
  const { joiner } = fold([], options);
  const lags: number[] = [];
  for (let n = 1; n <= 500; n += 1) {
    joiner.take(2 * n - 1, impression(`r${n}`, 10 * n), unstamped);
    joiner.take(2 * n, outcome(`r${n}`), unstamped);
    lags.push(2 * n - joiner.oldest()!.sequence);
  }
  // Ten impressions and ten clicks a window.
  expect(Math.max(...lags.slice(20))).toBeLessThanOrEqual(21);
  joiner.take(1_001, tick(1e6), unstamped);
  joiner.take(1_002, tick(2e6), unstamped);
  expect(joiner.oldest()).toBeNull();
});

test('joiner: refold: an id that is used without end does not hold it back for ever', () => {
  const { joiner } = fold([], options);
  for (let n = 1; n <= 2_000; n += 1) joiner.take(n, impression('probe', 30 * n), unstamped);
  // Four events an entry and 64 entries a story.
  expect(2_000 - joiner.oldest()!.sequence).toBeLessThanOrEqual(4 * 64);
});
