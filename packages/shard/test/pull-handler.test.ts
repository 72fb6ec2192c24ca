import { applyGradients, pullRowsPlainly, writeInitialRow } from '@millrace/core';
import {
  type Frame,
  frameHeaderBytes,
  frameKinds,
  type PartitionMap,
  packedFrame,
  packedValueOf,
  pullFrameBytes,
  writeFrameHeader,
} from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createModelShard, type ModelShard, openPartition, takePartition } from '../src/model-shard.ts';
import { answerFrame, type Holdings, refusalFrame } from '../src/pull-handler.ts';
import {
  blockOf,
  dim,
  file,
  frameFrom,
  idsTable,
  keysOn,
  layouts,
  pullFrame,
  rowsFrom,
  wideTable,
} from './small-cluster.ts';

const map: PartitionMap = { model: 'ads', epoch: 6, shards: ['a', 'b'], owners: [[0], [0], [1], [1]] };

function holdingsOf(shard: ModelShard, known: PartitionMap | null = map): Holdings {
  return {
    models: new Map([[shard.file.name, shard]]),
    tables: new Map(shard.layouts.map(({ tableId }, table) => [tableId, { shard, table }])),
    mapOf: (model) => (model === shard.file.name ? known : null),
  };
}

/** A shard that holds and reads all four partitions. */
function openShard(): ModelShard {
  const shard = createModelShard(file);
  for (let partition = 0; partition < 4; partition += 1) {
    takePartition(shard, partition);
    openPartition(shard, partition);
  }
  return shard;
}

/** The answer; memory from `take` comes dirty, as a reused buffer does. */
function answer(holdings: Holdings, frame: Uint8Array): Frame {
  return frameFrom(answerFrame(holdings, frameFrom(frame), (bytes) => new Uint8Array(bytes + 13).fill(0xab)));
}

function refusal(holdings: Holdings, frame: Uint8Array): Readonly<Record<string, unknown>> {
  const { header, bytes } = answer(holdings, frame);
  expect(header.kind).toBe(frameKinds.refusal);
  return packedValueOf(bytes);
}

const initialRow = (low: number, high: number): number[] => {
  const row = new Float32Array(dim);
  writeInitialRow(layouts[0], low, high, row, 0);
  return Array.from(row);
};

test('pull: unknown keys answer their first values and create nothing', () => {
  const shard = openShard();
  const keys = [...keysOn(2, 2), ...keysOn(0, 1)];
  const { rows } = rowsFrom(answer(holdingsOf(shard), pullFrame({ table: idsTable, keys })));
  expect(rows).toEqual([
    initialRow(keys[0], keys[1]),
    initialRow(keys[2], keys[3]),
    initialRow(keys[4], keys[5]),
  ]);
  // The wide weight starts at 0, the embedding does not.
  expect([rows[0][0], rows[0][1] !== 0, rows[0][1] !== rows[1][1]]).toEqual([0, true, true]);
  expect(shard.states.map((state) => state!.tables[0].count)).toEqual([0, 0, 0, 0]);
});

test('pull: rows come in the order of the keys, with the applied sequence of every partition met, ascending', () => {
  const shard = openShard();
  const [a0, a1] = keysOn(3, 1);
  const [b0, b1] = keysOn(1, 1);
  applyGradients(
    shard.states[3]!,
    { sequence: 41, payload: blockOf({ partition: 3, sequence: 1, keys: [a0, a1], gradient: 4 }) },
    'report',
  );
  shard.states[1]!.sequence = 2 ** 32 + 9;
  const frame = pullFrame({ table: idsTable, keys: [a0, a1, b0, b1, a0, a1], requestId: 0xffff_ffff });
  const { header, bytes } = answer(holdingsOf(shard), frame);
  // SGD at rate 0.5 with gradient 4.
  const stepped = initialRow(a0, a1).map((w) => Math.fround(w - 2));
  expect(rowsFrom({ header, bytes })).toEqual({
    rows: [stepped, initialRow(b0, b1), stepped],
    applied: [
      [1, 2 ** 32 + 9],
      [3, 41],
    ],
  });
  expect([header.requestId, header.epoch, header.bytes]).toEqual([0xffff_ffff, 6, bytes.length]);
});

test('pull: no keys at all, and tables of other widths', () => {
  const holdings = holdingsOf(openShard());
  expect(rowsFrom(answer(holdings, pullFrame({ table: idsTable, keys: [] })))).toEqual({
    rows: [],
    applied: [],
  });
  const wide = rowsFrom(answer(holdings, pullFrame({ table: wideTable, keys: keysOn(0, 2) })));
  expect(wide).toEqual({ rows: [[0], [0]], applied: [[0, 0]] });
});

test('pull: agrees with the plain twin for any keys, known, unknown and repeated', () => {
  const shard = openShard();
  const known = [0, 1, 2, 3].flatMap((partition) => {
    const keys = keysOn(partition, 30);
    const payload = blockOf({ partition, sequence: 1, keys, gradient: partition + 0.25 });
    applyGradients(shard.states[partition]!, { sequence: partition + 1, payload }, 'report');
    return Array.from({ length: 30 }, (_, i) => [keys[2 * i], keys[2 * i + 1]]);
  });
  const word = fc.integer({ min: 0, max: 0xffff_ffff });
  const key = fc.oneof(fc.constantFrom(...known), fc.tuple(word, word));
  fc.assert(
    fc.property(fc.array(key, { maxLength: 300, size: 'max' }), (keys) => {
      const words = keys.flat();
      const plain = new Float32Array(dim * keys.length);
      pullRowsPlainly(shard.readable[0], Uint32Array.from(words), keys.length, plain);
      const { rows } = rowsFrom(answer(holdingsOf(shard), pullFrame({ table: idsTable, keys: words })));
      expect(rows.flat()).toEqual(Array.from(plain));
    }),
    { numRuns: 50 },
  );
  expect(shard.states.map((state) => state!.tables[0].count)).toEqual([30, 30, 30, 30]);
});

test('pull: a partition that is not held is refused with the map', () => {
  const shard = createModelShard(file);
  for (const partition of [0, 1]) {
    takePartition(shard, partition);
    openPartition(shard, partition);
  }
  const keys = [...keysOn(0, 1), ...keysOn(2, 1)];
  expect(refusal(holdingsOf(shard), pullFrame({ table: idsTable, keys }))).toEqual({
    code: 'MILL_MAP_STALE',
    message: 'cannot pull ads/2: it is not on this shard at epoch 6',
    map,
  });
  expect(refusal(holdingsOf(shard, null), pullFrame({ table: idsTable, keys }))).toEqual({
    code: 'MILL_MAP_STALE',
    message: 'cannot pull ads/2: it is not on this shard at epoch 0',
  });
});

test('pull: a partition that is held and behind its log is refused as not ready', () => {
  const shard = openShard();
  takePartition(shard, 1);
  for (const tables of shard.readable) tables[1] = null;
  expect(
    refusal(holdingsOf(shard), pullFrame({ table: idsTable, keys: keysOn(1, 1), requestId: 5 })),
  ).toMatchObject({ code: 'MILL_NOT_READY' });
  expect(
    rowsFrom(answer(holdingsOf(shard), pullFrame({ table: idsTable, keys: keysOn(0, 1) }))).rows,
  ).toEqual([initialRow(keysOn(0, 1)[0], 7)]);
});

test('pull: a table of another model, or of a model that this shard does not know yet, is unknown', () => {
  const holdings = holdingsOf(openShard());
  expect(refusal(holdings, pullFrame({ table: 99, keys: [] }))).toMatchObject({ code: 'MILL_TABLE_UNKNOWN' });
});

test('pull: frames whose count and length disagree, or that are over a limit, are refused', () => {
  const holdings = holdingsOf(openShard());
  const good = pullFrame({ table: idsTable, keys: keysOn(0, 2) });
  const withCount = (count: number) => {
    const bytes = new Uint8Array(good);
    new DataView(bytes.buffer).setUint32(frameHeaderBytes + 4, count, true);
    return bytes;
  };
  for (const count of [0, 1, 3, 65_537, 0xffff_ffff]) {
    expect(refusal(holdings, withCount(count)).code, `${count} keys`).toBe('MILL_FRAME_INVALID');
  }
  for (const bytes of [16, 20]) {
    const short = good.slice(0, bytes);
    new DataView(short.buffer).setUint32(0, bytes, true);
    expect(refusal(holdings, short).code, `${bytes} bytes`).toBe('MILL_FRAME_INVALID');
  }
  const many = new Uint8Array(pullFrameBytes(65_537));
  writeFrameHeader(new DataView(many.buffer), 0, {
    bytes: many.length,
    kind: frameKinds.pull,
    requestId: 1,
    epoch: 0,
  });
  new Uint32Array(many.buffer, frameHeaderBytes).set([idsTable, 65_537]);
  expect(refusal(holdings, many).code).toBe('MILL_FRAME_INVALID');
});

test('pull: an answer over the frame limit is refused before memory is taken for it', () => {
  const wide = {
    ...file,
    tables: [{ name: 'ids', embedding: { ...file.tables[0].embedding!, dim: 1_024 } }],
  };
  const shard = createModelShard(wide);
  const holdings = holdingsOf(shard);
  // 4,096 rows of 4,096 bytes are the limit itself, and there is a header.
  const frame = frameFrom(
    pullFrame({ table: shard.layouts[0].tableId, keys: new Array<number>(2 * 4_096).fill(1) }),
  );
  const refused = answerFrame(holdings, frame, () => {
    throw new Error('memory was taken');
  });
  expect(packedValueOf(refused)).toMatchObject({ code: 'MILL_FRAME_TOO_LARGE' });
});

test.each(['hello', 'welcome', 'rows', 'report', 'refusal'] as const)(
  'pull: a frame of kind %s is no request',
  (kind) => {
    const frame = packedFrame(frameKinds[kind], { requestId: 3, epoch: 0 }, {});
    expect(refusal(holdingsOf(openShard()), frame)).toMatchObject({ code: 'MILL_FRAME_INVALID' });
  },
);

test('inspect: one report for each partition held, with the hash of its state', () => {
  const shard = createModelShard(file);
  takePartition(shard, 1);
  takePartition(shard, 2);
  openPartition(shard, 2);
  const apply = (sequence: number, payload: Uint8Array) =>
    applyGradients(shard.states[2]!, { sequence, payload }, 'report');
  apply(5, blockOf({ partition: 2, sequence: 1, keys: keysOn(2, 3) }));
  apply(6, blockOf({ partition: 2, sequence: 1, keys: keysOn(2, 3) }));
  apply(7, Uint8Array.of(1, 2, 3));
  const frame = packedFrame(frameKinds.inspect, { requestId: 9, epoch: 0 }, { model: 'ads' });
  const { header, bytes } = answer(holdingsOf(shard), frame);
  expect([header.kind, header.requestId, header.epoch]).toEqual([frameKinds.report, 9, 6]);
  const empty = { sequence: 0, rows: 0, applied: 0, duplicates: 0, rejected: 0 };
  const stateHash = expect.stringMatching(/^[0-9a-f]{64}$/);
  expect(packedValueOf(bytes)).toEqual({
    partitions: [
      { partition: 1, ready: false, ...empty, stateHash },
      { partition: 2, ready: true, sequence: 7, rows: 3, applied: 1, duplicates: 1, rejected: 1, stateHash },
    ],
  });
});

test('inspect: one partition alone when it is named, none when it is not held', () => {
  const shard = createModelShard(file);
  takePartition(shard, 1);
  takePartition(shard, 2);
  const reported = (which: { partition?: number }) => {
    const frame = packedFrame(frameKinds.inspect, { requestId: 9, epoch: 0 }, { model: 'ads', ...which });
    const { partitions } = packedValueOf(answer(holdingsOf(shard), frame).bytes);
    return (partitions as { partition: number }[]).map((report) => report.partition);
  };
  const found = [
    reported({ partition: 2 }),
    reported({ partition: 0 }),
    reported({ partition: 99 }),
    reported({}),
  ];
  expect(found).toEqual([[2], [], [], [1, 2]]);
});

test('inspect: an unknown model and a body that is not MessagePack are refused', () => {
  const holdings = holdingsOf(openShard());
  const inspect = (value: unknown) => packedFrame(frameKinds.inspect, { requestId: 1, epoch: 0 }, value);
  for (const value of [{ model: 'shop' }, { model: 7 }, {}, { model: 'constructor' }]) {
    expect(refusal(holdings, inspect(value))).toMatchObject({ code: 'MILL_MODEL_UNKNOWN' });
  }
  const broken = inspect({ model: 'ads' });
  broken.fill(0xc1, frameHeaderBytes);
  expect(refusal(holdings, broken)).toMatchObject({ code: 'MILL_FRAME_INVALID' });
});

test('answerFrame: a defect is not made an answer', () => {
  const holdings: Holdings = {
    ...holdingsOf(openShard()),
    mapOf: () => {
      throw new TypeError('a defect');
    },
  };
  expect(() => answer(holdings, pullFrame({ table: idsTable, keys: [] }))).toThrow('a defect');
});

test('refusalFrame: carries the request id, the code and the epoch of its map', () => {
  const error = Object.assign(new Error('x'), { code: 'MILL_MAP_STALE' as const, details: { map } });
  const { header } = frameFrom(refusalFrame(12, error as never));
  expect([header.kind, header.requestId, header.epoch]).toEqual([frameKinds.refusal, 12, 6]);
});
