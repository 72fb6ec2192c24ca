import { encodeGradientBlock, isMillraceError } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  applyGradients,
  createPartitionState,
  type PartitionState,
  partitionBytes,
  partitionRows,
} from '../../src/fold/partition-fold.ts';
import { partitionHash } from '../../src/fold/partition-hash.ts';
import { changedCount, clearChanged, findRow, rowTableBytes } from '../../src/row-table.ts';
import { tableLayouts, writeInitialRow } from '../../src/table-layout.ts';
import { withTables } from '../model-files.ts';
import {
  anyDisturbances,
  anyLog,
  disturbed,
  emptyState,
  type LogMessage,
  layouts,
  payloadOf,
  sectionOf,
} from './logs.ts';

function folded(log: readonly LogMessage[], state = emptyState()): PartitionState {
  for (const message of log) applyGradients(state, message, 'report');
  return state;
}

/** A copy that shares no memory with `state`, as a snapshot would bring it. */
function copyOf(state: PartitionState): PartitionState {
  return {
    ...state,
    tables: state.tables.map((table) => {
      const optimizerState = table.state.slice();
      return {
        ...table,
        slots: table.slots.slice(),
        keys: table.keys.slice(),
        weights: table.weights.slice(),
        state: optimizerState,
        stateWords: new Uint32Array(optimizerState.buffer),
        changed: table.changed.slice(),
      };
    }),
    producers: new Map(state.producers),
    counts: { ...state.counts },
  };
}

/** Bytes of all that a state holds, in memory order. */
function bytesOfState(state: PartitionState): unknown {
  const { tables, sequence, producers } = state;
  const rows = tables.map(({ keys, weights, state: optimizerState, count, layout }) => [
    keys.slice(0, 2 * count),
    new Uint32Array(weights.slice(0, layout.dim * count).buffer),
    new Uint32Array(optimizerState.slice(0, layout.stateFloats * count).buffer),
  ]);
  return [sequence, [...producers].sort(), rows];
}

function kindOf(state: PartitionState, sequence: number, payload: Uint8Array): string {
  const outcome = applyGradients(state, { sequence, payload }, 'report');
  return outcome.kind === 'rejected' ? outcome.error.code : outcome.kind;
}

test('partition fold: a block steps the rows of its keys by the optimizer of each segment', () => {
  const state = emptyState();
  const rows = sectionOf(0, [[5, 6, 0.5, 1, -1, 0.25]]);
  const payload = payloadOf({ sections: [rows] });
  const outcome = applyGradients(state, { sequence: 9, payload }, 'report');
  expect(outcome.kind === 'applied' && outcome.block.sections).toEqual([rows]);

  const [layout] = layouts;
  const w = new Float32Array(4);
  const s = new Float32Array(5);
  writeInitialRow(layout, 5, 6, w, 0);
  for (const { optimizer, weightsAt, stateAt, dim } of layout.segments) {
    const row = { w, wAt: weightsAt, s, sAt: stateAt, dim };
    optimizer.start(row);
    optimizer.step(row, { g: rows.gradients, h: rows.gradients, at: weightsAt });
  }
  const users = state.tables[0];
  expect(findRow(users, 5, 6)).toBe(0);
  expect([users.weights.slice(0, 4), users.state.slice(0, 5)]).toEqual([w, s]);
  expect([state.sequence, [...state.producers], state.counts]).toEqual([
    9,
    [['u', 1]],
    { applied: 1, duplicates: 0, rejected: 0, brokenRows: 0 },
  ]);
  expect([partitionRows(state), state.tables.map((table) => table.count)]).toEqual([1, [1, 0, 0]]);
  expect(partitionBytes(state)).toBe(state.tables.reduce((sum, table) => sum + rowTableBytes(table), 0));
});

test('partition fold: an SGD step, hand-computed', () => {
  // bias: learning rate 0.1, first weight 0: 0 − 0.1 · 0.5, then − 0.1 · (−2).
  const state = emptyState();
  applyGradients(state, { sequence: 1, payload: payloadOf() }, 'report');
  expect(state.tables[1].weights[0]).toBe(Math.fround(-0.05));
  const next = payloadOf({ sequence: 2, previous: 1, sections: [sectionOf(1, [[5, 6, -2]])] });
  applyGradients(state, { sequence: 2, payload: next }, 'report');
  expect(state.tables[1].weights[0]).toBeCloseTo(0.15, 7);
});

test('partition fold: curvature reaches the optimizer that needs it', () => {
  const tables = [{ name: 'bias', wide: { optimizer: { type: 'newton' } } }] as const;
  const state = createPartitionState({
    model: 'ads',
    fingerprint: 77,
    partition: 3,
    layouts: tableLayouts(withTables(tables)),
  });
  const keys = Uint32Array.of(1, 2);
  const section = { table: 0, dim: 1, count: 1, keys, gradients: Float32Array.of(2) };
  const with3 = { ...section, curvature: Float32Array.of(3) };
  expect(kindOf(state, 1, payloadOf({ sections: [{ ...section, curvature: null }] }))).toBe(
    'MILL_BLOCK_FOREIGN',
  );
  expect(kindOf(state, 2, payloadOf({ sections: [with3] }))).toBe('applied');
  // 0 − 2 / (1 + 3)
  expect(state.tables[0].weights[0]).toBe(-0.5);
});

test('partition fold: applies a repeated block once (duplicate publication)', () => {
  const state = emptyState();
  expect(kindOf(state, 5, payloadOf())).toBe('applied');
  const weights = state.tables[1].weights.slice();
  expect(kindOf(state, 6, payloadOf())).toBe('duplicate');
  expect(state.tables[1].weights).toEqual(weights);
  expect([state.sequence, state.counts.applied, state.counts.duplicates]).toEqual([6, 1, 1]);
});

test('partition fold: passes over what was delivered before (stale delivery), and changes nothing', () => {
  const state = emptyState();
  applyGradients(state, { sequence: 5, payload: payloadOf() }, 'report');
  const before = bytesOfState(state);
  const counts = { ...state.counts };
  const next = payloadOf({ sequence: 2, previous: 1 });
  for (const sequence of [5, 4, 0]) expect(kindOf(state, sequence, next)).toBe('stale');
  expect([bytesOfState(state), state.counts]).toEqual([before, counts]);
});

test('partition fold: a gap is reported and changes nothing, then accepted', () => {
  const state = emptyState();
  applyGradients(state, { sequence: 5, payload: payloadOf() }, 'report');
  const before = bytesOfState(state);
  const counts = { ...state.counts };
  const message = { sequence: 9, payload: payloadOf({ sequence: 3, previous: 2 }) };
  for (let look = 0; look < 2; look += 1) {
    const outcome = applyGradients(state, message, 'report');
    expect(outcome.kind === 'gap' && outcome.block.previous).toBe(2);
    expect([bytesOfState(state), state.counts]).toEqual([before, counts]);
  }
  expect(applyGradients(state, message, 'accept').kind).toBe('applied');
  expect([state.sequence, state.producers.get('u'), state.counts.applied]).toEqual([9, 3, 2]);
});

test('partition fold: a gap closes when the missing block comes', () => {
  const late = { sequence: 9, payload: payloadOf({ sequence: 3, previous: 2 }) };
  const missing = { sequence: 8, payload: payloadOf({ sequence: 2, previous: 1 }) };
  const first = { sequence: 7, payload: payloadOf() };
  const state = folded([first, late, missing, late]);
  expect(state.counts.applied).toBe(3);
  expect(partitionHash(state)).toBe(partitionHash(folded([first, missing, late])));
});

test('partition fold: producers have chains of their own', () => {
  const state = emptyState();
  expect(kindOf(state, 1, payloadOf({ producer: 'a', sequence: 9 }))).toBe('applied');
  expect(kindOf(state, 2, payloadOf({ producer: 'b', sequence: 2 }))).toBe('applied');
  expect(kindOf(state, 3, payloadOf({ producer: 'b', sequence: 5, previous: 3 }))).toBe('gap');
  expect(kindOf(state, 3, payloadOf({ producer: 'a', sequence: 9 }))).toBe('duplicate');
  expect([...state.producers]).toEqual([
    ['a', 9],
    ['b', 2],
  ]);
});

/** Rows of all tables, with curvature in one section: every region that a block has. */
const richSections = [
  sectionOf(0, [
    [1, 2, 0.5, -1, 0.25, 1],
    [5, 6, 1, 1, 1, 1],
  ]),
  sectionOf(1, [[5, 6, 0.5]]),
  { ...sectionOf(2, [[9, 0, 0.5, 0.5]]), curvature: Float32Array.of(0.25, 0.25) },
];

test('partition fold: a block with any one bit flipped is rejected and changes no row', () => {
  const payload = payloadOf({ sections: richSections });
  const state = folded([{ sequence: 1, payload: payloadOf({ producer: 'other', sections: richSections }) }]);
  for (const table of state.tables) clearChanged(table);
  const before = bytesOfState(state);
  let sequence = 1;
  for (let at = 0; at < payload.length; at += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const flipped = new Uint8Array(payload);
      flipped[at] ^= 1 << bit;
      sequence += 1;
      const kind = kindOf(state, sequence, flipped);
      if (kind !== 'MILL_BLOCK_INVALID') expect.fail(`bit ${bit} of byte ${at}: ${kind}`);
    }
  }
  expect([state.sequence, state.counts]).toEqual([
    1 + 8 * payload.length,
    { applied: 1, duplicates: 0, rejected: 8 * payload.length, brokenRows: 0 },
  ]);
  state.sequence = 1;
  expect([bytesOfState(state), state.tables.map(changedCount)]).toEqual([before, [0, 0, 0]]);
  // Its producer's block, sent again whole, is applied.
  expect(kindOf(state, sequence + 1, payload)).toBe('applied');
}, 60_000);

test('partition fold: a block cut short at any length, or longer, is rejected and changes no row', () => {
  const payload = payloadOf({ sections: richSections });
  const state = folded([{ sequence: 1, payload: payloadOf({ producer: 'other' }) }]);
  const before = bytesOfState(state);
  const lengths = Array.from({ length: payload.length + 9 }, (_, length) => length);
  for (const length of lengths.filter((length) => length !== payload.length)) {
    const cut = new Uint8Array(length);
    cut.set(payload.subarray(0, length));
    expect([length, kindOf(state, 2 + length, cut)]).toEqual([length, 'MILL_BLOCK_INVALID']);
  }
  expect(state.counts.rejected).toBe(lengths.length - 1);
  state.sequence = 1;
  expect(bytesOfState(state)).toEqual(before);
});

test('partition fold: rows that a block steps or adds are marked as changed, no others', () => {
  const state = folded([
    {
      sequence: 1,
      payload: payloadOf({
        sections: [
          sectionOf(1, [
            [1, 0, 1],
            [2, 0, 1],
            [3, 0, 1],
          ]),
        ],
      }),
    },
  ]);
  expect(state.tables.map(changedCount)).toEqual([0, 3, 0]);
  for (const table of state.tables) clearChanged(table);
  const next = { sequence: 2, previous: 1 };
  const rows = sectionOf(1, [
    [2, 0, 1],
    [3, 0, Number.NaN],
    [4, 0, 1],
    [5, 0, Number.NaN],
  ]);
  // What is not applied marks nothing.
  kindOf(state, 2, payloadOf({ sections: [rows] }));
  kindOf(state, 3, payloadOf({ ...next, sequence: 9, previous: 8, sections: [rows] }));
  expect(state.tables.map(changedCount)).toEqual([0, 0, 0]);
  kindOf(state, 4, payloadOf({ ...next, sections: [rows] }));
  expect([state.tables.map(changedCount), state.tables[1].changed[0]]).toEqual([[0, 2, 0], 0b1010]);
});

const [bias, users] = [sectionOf(1, [[5, 6, 0.5]]), sectionOf(0, [[1, 2, 1, 1, 1, 1]])];

test.each([
  { what: 'another model', parts: { model: 'feed' } },
  { what: 'another model file', parts: { fingerprint: 78 } },
  { what: 'another partition', parts: { partition: 4 } },
  { what: 'a table that the model lacks', parts: { sections: [users, { ...bias, table: 3 }] } },
  { what: 'rows of another length', parts: { sections: [users, { ...bias, table: 0 }] } },
])('partition fold: a block of $what is counted and passed over whole', ({ parts }) => {
  const state = emptyState();
  expect(kindOf(state, 4, payloadOf(parts))).toBe('MILL_BLOCK_FOREIGN');
  expect([state.sequence, state.counts.rejected, state.producers.size, partitionRows(state)]).toEqual([
    4, 1, 0, 0,
  ]);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  'partition fold: a row with a gradient of %d is passed over, the others are applied',
  (broken) => {
    const state = emptyState();
    const rows = sectionOf(2, [
      [1, 0, 0.5, 0.5],
      [2, 0, 0.5, broken],
      [3, 0, broken, 0.5],
      [4, 0, 0.5, 0.5],
    ]);
    const curvature = Float32Array.of(0, 0, 0, 0, 0, 0, broken, 0);
    const payload = payloadOf({
      sections: [rows, { ...rows, keys: rows.keys.map((key) => key + 10), curvature }],
    });
    expect(kindOf(state, 1, payload)).toBe('applied');
    const items = state.tables[2];
    const found = [1, 2, 3, 4, 11, 12, 13, 14].filter((low) => findRow(items, low, low > 10 ? 10 : 0) >= 0);
    expect([found, state.counts.brokenRows]).toEqual([[1, 4, 11], 5]);
    expect([...items.weights, ...items.state].every(Number.isFinite)).toBe(true);
  },
);

test('partition fold: a block without sections moves sequence and chain on', () => {
  const state = emptyState();
  expect(kindOf(state, 4, payloadOf({ sections: [] }))).toBe('applied');
  expect([state.sequence, state.producers.get('u'), partitionRows(state)]).toEqual([4, 1, 0]);
});

test('partition fold: the time of a block does not enter the state', () => {
  const early = folded([{ sequence: 1, payload: payloadOf({ timeMs: 0 }) }]);
  const late = folded([{ sequence: 1, payload: payloadOf({ timeMs: 9e12 }) }]);
  expect(partitionHash(late)).toBe(partitionHash(early));
});

test('partition fold: the same log folded twice gives the same bytes (property)', () => {
  fc.assert(
    fc.property(anyLog, (log) => {
      const [once, again] = [folded(log), folded(log)];
      expect(once.counts.applied).toBe(log.length);
      expect(bytesOfState(again)).toEqual(bytesOfState(once));
      expect(partitionHash(again)).toBe(partitionHash(once));
    }),
    { numRuns: 50 },
  );
});

test('partition fold: repeated, redelivered and damaged messages anywhere change nothing in the end (property)', () => {
  fc.assert(
    fc.property(anyLog, anyDisturbances, (log, disturbances) => {
      const plain = folded(log);
      const other = folded(disturbed(log, disturbances));
      expect(bytesOfState(other)).toEqual(bytesOfState(plain));
      expect(partitionHash(other)).toBe(partitionHash(plain));
      const effective = log.length > 1 ? disturbances : [];
      const count = (kind: string) => effective.filter((disturbance) => disturbance.kind === kind).length;
      expect(other.counts).toEqual({
        applied: log.length,
        duplicates: count('published again'),
        rejected: count('damaged'),
        brokenRows: 0,
      });
    }),
    { numRuns: 100 },
  );
});

test('partition fold: a log cut anywhere and read on from any earlier place gives the same bytes (property)', () => {
  fc.assert(
    fc.property(anyLog, anyDisturbances, fc.nat(100), fc.nat(100), (log, disturbances, cutAt, back) => {
      const whole = disturbed(log, disturbances);
      const cut = cutAt % (whole.length + 1);
      const before = folded(whole.slice(0, cut));
      const restored = copyOf(before);
      folded(whole.slice(Math.max(0, cut - back)), restored);
      const plain = folded(log);
      expect(bytesOfState(restored)).toEqual(bytesOfState(plain));
      expect(partitionHash(restored)).toBe(partitionHash(plain));
    }),
    { numRuns: 100 },
  );
});

/** Few values among many, so that keys share a word. */
const anyWord = fc.oneof(fc.constantFrom(0, 1, 0xffff_ffff), fc.nat(2 ** 32 - 1));

test('partition hash: does not depend on the order in which rows were created (property)', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(anyWord, anyWord, fc.nat(9)), {
        selector: ([low, high]) => `${low},${high}`,
        maxLength: 40,
      }),
      fc.infiniteStream(fc.nat(1_000)),
      (rows, stream) => {
        const shuffled = rows
          .map((row) => ({ row, place: stream.next().value }))
          .sort((a, b) => a.place - b.place)
          .map(({ row }) => row);
        const stateOf = (order: typeof rows) =>
          folded([{ sequence: 1, payload: payloadOf({ sections: [sectionOf(1, order)] }) }]);
        expect(partitionHash(stateOf(shuffled))).toBe(partitionHash(stateOf(rows)));
      },
    ),
    { numRuns: 50 },
  );
});

test('partition hash: is pinned: owners of different releases must agree', () => {
  // SHA-256 by another program: of the text ["ads",77,3,0,[]] and then users:0, bias:0, items:0.
  expect(partitionHash(emptyState())).toBe(
    'e86b2d4445ccc1bd3a506aef60bde33a54f4aa495b03ef4f37b13373c2a3c76e',
  );
  // Behind bias:1 the words 5 and 6 and the float32 −0.05.
  const state = folded([{ sequence: 5, payload: payloadOf() }]);
  expect(partitionHash(state)).toBe('9225ef1025aca5fb0dbf2233e5f816c245031269683b1436681e4352113c848e');
});

test('partition hash: does not depend on the order in which producers came', () => {
  const sections = [sectionOf(1, [])];
  const [a, b] = ['a', 'b'].map((producer) => payloadOf({ producer, sections }));
  const hashes = [
    [a, b],
    [b, a],
  ].map((payloads) => {
    return partitionHash(folded(payloads.map((payload, i) => ({ sequence: i + 1, payload }))));
  });
  expect(hashes[0]).toBe(hashes[1]);
});

/** `state` with one of its numbers changed. */
function bump(state: PartitionState, array: Float32Array | Uint32Array, at: number): PartitionState {
  array[at] += 1;
  return state;
}

test('partition hash: changes with every part of the state', () => {
  const make = () => folded([{ sequence: 5, payload: payloadOf({ sections: [users, bias] }) }]);
  const changes: ((state: PartitionState) => PartitionState)[] = [
    (state) => state,
    (state) => ({ ...state, model: 'feed' }),
    (state) => ({ ...state, fingerprint: 78 }),
    (state) => ({ ...state, partition: 4 }),
    (state) => ({ ...state, sequence: 6 }),
    (state) => ({ ...state, producers: new Map([['u', 2]]) }),
    (state) => ({ ...state, producers: new Map([['v', 1]]) }),
    (state) => ({ ...state, producers: new Map([...state.producers, ['v', 1]]) }),
    (state) => ({ ...state, tables: [...state.tables].reverse() }),
    (state) => ({ ...state, tables: state.tables.slice(0, 2) }),
    (state) => bump(state, state.tables[0].keys, 0),
    (state) => bump(state, state.tables[0].keys, 1),
    (state) => bump(state, state.tables[1].keys, 1),
    ...[0, 1, 2, 3].map((at) => (state: PartitionState) => bump(state, state.tables[0].weights, at)),
    ...[0, 1, 2, 3, 4].map((at) => (state: PartitionState) => bump(state, state.tables[0].state, at)),
    (state) => bump(state, state.tables[1].weights, 0),
    (state) => ({ ...state, tables: state.tables.map((table) => ({ ...table, count: 0 })) }),
  ];
  const hashes = changes.map((change) => partitionHash(change(make())));
  expect(new Set(hashes).size).toBe(changes.length);
});

test('partition hash: does not depend on what was counted, nor on free room in the arenas', () => {
  const plain = folded([{ sequence: 5, payload: payloadOf() }]);
  const hash = partitionHash(plain);
  plain.counts.duplicates = 9;
  plain.tables[1].weights[1] = 9;
  expect(partitionHash(plain)).toBe(hash);
});

test('partition fold: an error that is no Millrace error is a defect and comes out', () => {
  const broken = { sequence: 1, payload: null as unknown as Uint8Array };
  let thrown: unknown;
  try {
    applyGradients(emptyState(), broken, 'report');
  } catch (error) {
    thrown = error;
  }
  expect([thrown instanceof Error, isMillraceError(thrown)]).toEqual([true, false]);
});

test('partition fold: a block whose message is unaligned in memory is applied all the same', () => {
  const payload = encodeGradientBlock({
    producer: 'u',
    sequence: 1,
    previous: 0,
    model: 'ads',
    fingerprint: 77,
    partition: 3,
    timeMs: 0,
    sections: [users],
  });
  const moved = new Uint8Array(payload.length + 3).subarray(3);
  moved.set(payload);
  const plain = folded([{ sequence: 1, payload }]);
  expect(partitionHash(folded([{ sequence: 1, payload: moved }]))).toBe(partitionHash(plain));
});
