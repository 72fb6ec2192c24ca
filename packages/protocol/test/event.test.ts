import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeEvent, type Event, encodeEvent, type Impression } from '../src/event.ts';
import { scoreItemsMax } from '../src/limits.ts';
import { jsonBytes, packed } from '../src/packing.ts';
import { anyCount, anyText } from './blocks.ts';
import { eachFlip, eachTruncation, expectCode, expectNothingBut } from './damage.ts';
import { fromHex, golden, misaligned, toHex } from './golden.ts';

const impression: Impression = {
  type: 'impression',
  requestId: 'r-1',
  timeMs: 1_700_000_000_000,
  user: { id: 'u7', age: 34 },
  context: { hour: 21, weekend: true, place: null },
  items: [
    { item: 'a', price: 9.5 },
    { item: 'Zürich 😀', tags: ['x', 'y', 3] },
  ],
  // float32 0.25 is 0x3e800000, 0.75 is 0x3f400000.
  scores: Uint8Array.of(0, 0, 0x80, 0x3e, 0, 0, 0x40, 0x3f),
  version: 41,
};

const ranked: Impression = {
  ...impression,
  policy: 'softmax',
  // float32 0.5 is 0x3f000000, 1 is 0x3f800000.
  propensities: Uint8Array.of(0, 0, 0, 0x3f, 0, 0, 0x80, 0x3f),
  places: [4, 1],
};

const greedy: Impression = {
  ...ranked,
  greedy: { place: 1, score: 0.75 },
  shadow: {
    arm: 'x/dark',
    unit: 7,
    version: 3,
    scores: Uint8Array.of(0, 0, 0, 0x3f, 0, 0, 0x80, 0x3f),
    greedy: { place: 4, score: 0.25 },
  },
};

const goldenEvents: readonly { name: string; event: Event }[] = [
  { name: 'impression', event: impression },
  { name: 'impression-ranked', event: ranked },
  { name: 'impression-greedy', event: greedy },
  { name: 'impression-rounded', event: { ...impression, rowFormat: 'int8' } },
  {
    name: 'outcome',
    event: { type: 'outcome', requestId: 'r-1', timeMs: 1_700_000_002_500, index: 1, value: 1 },
  },
  {
    name: 'outcome-item',
    event: { type: 'outcome', requestId: 'r-1', timeMs: 1_700_000_002_500, item: 'a', value: 0 },
  },
  {
    name: 'outcome-kind',
    event: {
      type: 'outcome',
      requestId: 'r-1',
      timeMs: 1_700_000_002_500,
      index: 1,
      outcome: 'purchase',
      value: 19.5,
    },
  },
  {
    name: 'impression-decided',
    event: {
      ...impression,
      negativeRate: 0.25,
      arm: 'b',
      policy: 'softmax',
      propensities: Uint8Array.of(0, 0, 0, 0x3f, 0, 0, 0x80, 0x3e),
    },
  },
  { name: 'tick', event: { type: 'tick', timeMs: 1_700_000_003_000 } },
];

const anyTime = fc.double({ noNaN: true, noDefaultInfinity: true }).map((time) => time + 0);
const anyRequestId = fc.stringMatching(/^[A-Za-z0-9_.:-]{1,64}$/);
const anyNumber = fc.double({ noNaN: true }).map((number) => number + 0);
const anyValue = fc.oneof(
  anyText,
  anyNumber,
  anyCount,
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.oneof(anyText, anyNumber), { maxLength: 3 }),
);
const anyFeatures = fc
  .dictionary(fc.stringMatching(/^[a-z_]{1,20}$/), anyValue, { maxKeys: 5, noNullPrototype: true })
  .filter((features) => !Object.hasOwn(features, '__proto__'));
const anyAmount = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }).map((amount) => amount + 0);
const anyKind = fc.stringMatching(/^[a-z]{1,64}$/);
const anyOutcome = { type: fc.constant('outcome' as const), requestId: anyRequestId, timeMs: anyTime };
const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ type: fc.constant('tick' as const), timeMs: anyTime }),
  fc.record({ ...anyOutcome, index: fc.nat(scoreItemsMax - 1), value: anyAmount }),
  fc.record({ ...anyOutcome, item: anyText, outcome: anyKind, value: anyAmount }),
  fc.array(anyFeatures, { minLength: 1, maxLength: 4 }).chain((items) =>
    fc.record({
      type: fc.constant('impression' as const),
      requestId: anyRequestId,
      timeMs: anyTime,
      user: anyFeatures,
      context: anyFeatures,
      items: fc.constant(items),
      scores: fc.uint8Array({ minLength: 4 * items.length, maxLength: 4 * items.length }),
      version: anyCount,
    }),
  ),
);

test.each(goldenEvents)('event: $name encodes to the golden bytes', ({ name, event }) => {
  expect(toHex(encodeEvent(event))).toBe(toHex(golden(name)));
});

test.each(goldenEvents)('event: the golden $name is read at any address', ({ name, event }) => {
  expect(decodeEvent(golden(name))).toEqual(event);
  expect(decodeEvent(misaligned(golden(name), 1))).toEqual(event);
});

test('event: an impression as other writers of MessagePack write it is read', () => {
  expect(decodeEvent(golden('impression-compact'))).toEqual(impression);
});

test('event: decoding gives back what was encoded (property)', () => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      expect(decodeEvent(encodeEvent(event))).toEqual(event);
    }),
  );
});

test('event: what was read does not change with the bytes of its message', () => {
  const message = golden('impression');
  const read = decodeEvent(message);
  message.fill(0);
  expect(read).toEqual(impression);
});

test('event: outcomes and ticks are read from JSON as from MessagePack', () => {
  for (const { event } of goldenEvents.filter(({ event }) => event.type !== 'impression'))
    expect(decodeEvent(jsonBytes(event))).toEqual(event);
});

test('event: an outcome is a click on the first item unless it says otherwise', () => {
  const bare = { type: 'outcome', requestId: 'r', timeMs: 5 };
  expect(decodeEvent(jsonBytes(bare))).toEqual({ ...bare, index: 0, value: 1 });
});

test('event: an item given as a number is its decimal text', () => {
  const event = decodeEvent(jsonBytes({ type: 'outcome', requestId: 'r', timeMs: 5, item: 17 }));
  expect(event).toEqual({ type: 'outcome', requestId: 'r', timeMs: 5, item: '17', value: 1 });
});

test('event: null counts as absent in index and item, as writers of other languages have it', () => {
  const outcome = { type: 'outcome', requestId: 'r', timeMs: 5 };
  const byItem = { ...outcome, item: 'a', value: 1 };
  expect(decodeEvent(jsonBytes({ ...outcome, item: 'a', index: null }))).toEqual(byItem);
  const byPlace = { ...outcome, index: 3, value: 1 };
  expect(decodeEvent(jsonBytes({ ...outcome, item: null, index: 3 }))).toEqual(byPlace);
});

test('event: surplus properties are left out', () => {
  expect(decodeEvent(packed({ type: 'tick', timeMs: 5, more: 1 }))).toEqual({ type: 'tick', timeMs: 5 });
});

test.each([
  { fault: 'a value that is no map', value: [1] },
  { fault: 'no time', value: { type: 'tick' } },
  { fault: 'a time that is not finite', value: { type: 'tick', timeMs: Number.POSITIVE_INFINITY } },
  { fault: 'an unknown type', value: { type: 'click', timeMs: 5 } },
  { fault: 'a request id with a space', value: { type: 'outcome', requestId: 'a b', timeMs: 5 } },
  { fault: 'a value below 0', value: { type: 'outcome', requestId: 'r', timeMs: 5, value: -0.5 } },
  { fault: 'a value that is text', value: { type: 'outcome', requestId: 'r', timeMs: 5, value: '1' } },
  { fault: 'a kind that is no text', value: { type: 'outcome', requestId: 'r', timeMs: 5, outcome: 3 } },
  { fault: 'a kind without a name', value: { type: 'outcome', requestId: 'r', timeMs: 5, outcome: '' } },
  { fault: 'a rate of 0', value: { ...impression, negativeRate: 0 } },
  { fault: 'a rate above 1', value: { ...impression, negativeRate: 1.5 } },
  { fault: 'propensities of another length', value: { ...impression, propensities: new Uint8Array(4) } },
  { fault: 'index and item', value: { type: 'outcome', requestId: 'r', timeMs: 5, index: 0, item: 'a' } },
  { fault: 'an index over the limit', value: { type: 'outcome', requestId: 'r', timeMs: 5, index: 2_000 } },
  { fault: 'an index below zero', value: { type: 'outcome', requestId: 'r', timeMs: 5, index: -1 } },
  { fault: 'an item that is a map', value: { type: 'outcome', requestId: 'r', timeMs: 5, item: {} } },
  { fault: 'an impression without items', value: { ...impression, items: [], scores: new Uint8Array(0) } },
  { fault: 'an item that is no map', value: { ...impression, items: [1, 2] } },
  { fault: 'scores of another length', value: { ...impression, scores: new Uint8Array(7) } },
  { fault: 'propensities of another length', value: { ...ranked, propensities: new Uint8Array(4) } },
  { fault: 'places of another length', value: { ...ranked, places: [1] } },
  { fault: 'a place twice', value: { ...ranked, places: [1, 1] } },
  { fault: 'a place over the limit', value: { ...ranked, places: [0, 2_000] } },
  { fault: 'scores as a list', value: { ...impression, scores: [0.25, 0.75] } },
  { fault: 'a user that is bytes', value: { ...impression, user: new Uint8Array(3) } },
  { fault: 'a version that is text', value: { ...impression, version: '41' } },
])('event: $fault is refused', ({ value }) => {
  expectCode('MILL_EVENT_INVALID', () => decodeEvent(packed(value)));
});

test('event: an extension type in a feature is refused (a date, 1 January 1970)', () => {
  // { type: 'tick', timeMs: 5, at: timestamp 32 of 0 }
  const message = fromHex('83 a474797065 a47469636b a674696d654d73 05 a26174 d6ff00000000');
  expectCode('MILL_EVENT_INVALID', () => decodeEvent(message));
});

test('event: every truncation of a MessagePack or JSON event is noticed', () => {
  const outcome = { type: 'outcome', requestId: 'r', timeMs: 5, item: 'a', value: 0 };
  for (const message of [golden('impression'), golden('outcome'), jsonBytes(outcome)]) {
    for (let length = 0; length < message.length; length += 1) {
      expectCode('MILL_EVENT_INVALID', () => decodeEvent(message.slice(0, length)));
    }
  }
});

test('event: damaged events are read as something or refused with MILL_EVENT_INVALID', () => {
  const json = jsonBytes({ type: 'outcome', requestId: 'r', timeMs: 5, item: 'ä', value: 0 });
  const look = (damaged: Uint8Array) => {
    expectNothingBut(['MILL_EVENT_INVALID'], () => decodeEvent(damaged));
  };
  for (const message of [golden('impression'), golden('outcome-item'), json]) {
    eachFlip(message, [1, 16, 64, 128, 255], look);
    eachTruncation(message, look);
  }
});

test('event: random bytes and random values give nothing but MILL_EVENT_INVALID (property)', () => {
  const anyMessage = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Uint8Array.of(0x7b, ...bytes)),
    fc.jsonValue().map(packed),
    fc.record({ type: fc.constantFrom('tick', 'outcome', 'impression'), timeMs: fc.jsonValue() }).map(packed),
  );
  fc.assert(
    fc.property(anyMessage, (message) => {
      expectNothingBut(['MILL_EVENT_INVALID'], () => decodeEvent(message));
    }),
    { numRuns: 200 },
  );
});
