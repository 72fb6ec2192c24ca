/** Batches whose gradients do not fit a message of the log: 1,024 floats a row, all rows in one partition. */
import {
  decodeGradientBlock,
  encodeEvent,
  eventsSubject,
  gradientsSubject,
  type ModelFile,
  type OptimizerSpec,
} from '@millrace/protocol';
import { createManualClock, createMemoryBus } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { impression, tick } from '../../joiner/test/event-logs.ts';
import { startModelUpdater } from '../src/model-updater.ts';
import { messagesOn, model, openShard, quietLogger } from './small-model.ts';

function wideModel(optimizer: OptimizerSpec): ModelFile {
  return {
    name: 'ads',
    label: 'clicked',
    item: 'ad',
    partitions: 1,
    tables: [{ name: 'ids', embedding: { dim: 1_024, optimizer } }],
    fields: [
      { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
      { name: 'who', type: 'sparse', scope: 'user', table: 'ids' },
      { name: 'seen', type: 'multi', scope: 'item', table: 'ids' },
    ],
    bias: false,
    net: { fm: true, layers: [] },
    loss: 'logloss',
    seed: 5,
    learning: { joinWindowMs: 100 },
  };
}

async function learn(file: ModelFile, event: ReturnType<typeof impression>) {
  const bus = createMemoryBus();
  const shard = await openShard(bus, file);
  const updater = await startModelUpdater(file, {
    bus,
    clock: createManualClock(1_000),
    logger: quietLogger,
    rows: shard,
    engine: 'plain',
    batchExamplesMax: 2_000,
    drive: 'manual',
    writer: 'one',
    archive: null,
    snapshotEveryMs: 0,
    snapshotChains: 2,
    onFailed: (error) => {
      throw error;
    },
  });
  const { timeMs } = event;
  for (const each of [event, tick(timeMs + 200)]) {
    await bus.append('events', eventsSubject(model), encodeEvent(each));
  }
  await updater.flush();
  const { counters } = updater;
  await updater.close();
  await shard.close();
  const blocks = (await messagesOn(bus, 'gradients', gradientsSubject(model, 0))).map(({ payload }) =>
    decodeGradientBlock(payload),
  );
  return { counters, blocks, rows: shard.states[0].tables[0].count };
}

test('large batches: a batch that does not fit one block is cut until it does, and all of it is learned', async () => {
  // 1,100 rows of 4 KiB, and one of the user: 4.5 MB.
  const { counters, blocks, rows } = await learn(
    wideModel({ type: 'adagrad', learningRate: 0.1 }),
    impression('r', 1_000, 1_100),
  );
  expect(counters).toMatchObject({ batches: 2, learned: 1_100 });
  expect(blocks.map(({ sections }) => sections[0].count)).toEqual([551, 551]);
  expect(rows).toBe(1_101);
});

test('large batches: an example that is too large alone teaches nothing, those around it do', async () => {
  const event = impression('r', 1_000, 3);
  // Gradients and curvature: 8 KiB a row, so 600 rows do not fit.
  const seen = Array.from({ length: 600 }, (_, i) => `s${i}`);
  const items = event.items.map((item, i) => (i === 1 ? { ...item, seen } : item));
  const { counters, blocks } = await learn(wideModel({ type: 'newton' }), { ...event, items });
  expect(counters).toMatchObject({ learned: 3 });
  expect(blocks.map(({ sections }) => sections[0].count)).toEqual([2, 2]);
});
