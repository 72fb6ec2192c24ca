/** Event logs for the tests of the joiner: written by hand, or made up by fast-check. */
import type { Event, Impression, Outcome, OutcomeSpec } from '@millrace/protocol';
import fc from 'fast-check';
import type { Example } from '../src/example.ts';
import { createJoiner, type Joiner, type StoredAs } from '../src/joiner.ts';
import type { JoinerOptions } from '../src/joiner-options.ts';

export interface Logged {
  readonly sequence: number;
  readonly event: Event;
  /** Default: of no size, and without a time. */
  readonly stored?: StoredAs;
}

export const unstamped: StoredAs = { timeMs: null, bytes: 0 };

export const plainOptions: JoinerOptions = {
  negatives: 'after-window',
  windowMs: 100,
  latePositives: 'wait',
  lateMs: 0,
  kinds: [{ name: 'click' }],
  itemField: 'ad',
  seed: 1,
  eventsMax: 1_000,
  bytesMax: 1_000_000,
};

/** An impression whose items are named `<requestId>/0`, `<requestId>/1`, … and scored 0, 1/8, 2/8, … */
export function impression(requestId: string, timeMs: number, items = 1): Impression {
  const scores = Float32Array.from({ length: items }, (_, i) => i / 8);
  return {
    type: 'impression',
    requestId,
    timeMs,
    user: { who: `user of ${requestId}` },
    context: { hour: timeMs },
    items: Array.from({ length: items }, (_, i) => ({ ad: `${requestId}/${i}` })),
    scores: new Uint8Array(scores.buffer),
    version: 1,
  };
}

export function outcome(requestId: string, index = 0, value = 1): Outcome {
  return { type: 'outcome', requestId, timeMs: 0, index, value };
}

export function tick(timeMs: number): Event {
  return { type: 'tick', timeMs };
}

/** Numbers events 1, 2, 3, … */
export function logOf(...events: Event[]): readonly Logged[] {
  return events.map((event, i) => ({ sequence: i + 1, event }));
}

export interface Folded {
  readonly joiner: Joiner;
  readonly examples: readonly Example[];
  readonly rejections: readonly {
    readonly sequence: number;
    readonly requestId: string;
    readonly reason: string;
  }[];
}

export function fold(log: readonly Logged[], options: JoinerOptions, watermarkMs = 0): Folded {
  const examples: Example[] = [];
  const rejections: { sequence: number; requestId: string; reason: string }[] = [];
  const joiner = createJoiner(
    options,
    {
      onExample: (example) => examples.push(example),
      onRejection: ({ requestId, reason }, sequence) => rejections.push({ sequence, requestId, reason }),
    },
    watermarkMs,
  );
  for (const { sequence, event, stored = unstamped } of log) joiner.take(sequence, event, stored);
  return { joiner, examples, rejections };
}

/** `5:2/0 +` : the example completed by event 5, of the impression at event 2, item 0; + click, − none, ± a click's own part. */
export function shortly({ place, shown, clicked }: Example): string {
  return `${place[0]}:${place[1]}/${place[2]} ${shown === 0 ? '±' : clicked > 0 ? '+' : '−'}`;
}

/** Kinds whose outcomes weigh 1 to 5, by value too. */
export const manyKinds: readonly OutcomeSpec[] = [
  { name: 'click' },
  { name: 'purchase', weight: 0.5, valueMin: 2, valueWeight: 'linear', valueMax: 4 },
  { name: 'dwell', valueMin: 0, valueWeight: 'log1p' },
];

/**
 * Logs with few request ids, so that repeats, early outcomes and reused ids are many; times that mostly go on and
 * sometimes back, and now and then those of a clock far ahead; sequences with holes, since the log has other subjects.
 */
export const anyLog: fc.Arbitrary<readonly Logged[]> = fc
  .array(
    fc.record({
      kind: fc.constantFrom('impression', 'impression', 'outcome', 'outcome', 'outcome', 'tick'),
      id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      stepMs: fc.constantFrom(0, 0, 1, 1, 2, 5, 12, -3),
      aheadMs: fc.constantFrom(0, 0, 0, 0, 0, 0, 7, 1_000),
      skip: fc.constantFrom(1, 1, 1, 2),
      items: fc.integer({ min: 1, max: 3 }),
      index: fc.integer({ min: 0, max: 3 }),
      value: fc.constantFrom(0, 1, 1, 1, 3, 9),
      outcome: fc.constantFrom('click', 'click', 'purchase', 'dwell', 'like'),
      rate: fc.constantFrom(1, 1, 0.5, 0.01),
      bytes: fc.integer({ min: 1, max: 20 }),
    }),
    { maxLength: 60, size: 'max' },
  )
  .map((steps) => {
    let timeMs = 100;
    let sequence = 0;
    return steps.map(
      ({ kind, id, stepMs, aheadMs, skip, items, index, value, outcome: name, rate, bytes }) => {
        timeMs += stepMs;
        sequence += skip;
        const event: Event =
          kind === 'impression'
            ? { ...impression(id, timeMs + aheadMs, items), negativeRate: rate }
            : kind === 'outcome'
              ? { ...outcome(id, index, value), outcome: name }
              : tick(timeMs + aheadMs);
        return { sequence, event, stored: { timeMs: timeMs + 2, bytes } };
      },
    );
  });

export const anyOptions: fc.Arbitrary<JoinerOptions> = fc.record({
  negatives: fc.constantFrom('after-window', 'at-once'),
  windowMs: fc.constantFrom(0, 5, 10, 30),
  latePositives: fc.constantFrom('wait', 'ignore', 'fake-negative-weighted'),
  lateMs: fc.constantFrom(0, 5, 40),
  kinds: fc.constantFrom([{ name: 'click' }], manyKinds),
  itemField: fc.constant('ad'),
  seed: fc.constantFrom(1, 2),
  eventsMax: fc.constantFrom(4, 12, 1_000),
  bytesMax: fc.constantFrom(30, 120, 1_000_000),
});
