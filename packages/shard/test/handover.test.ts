import {
  encodePartitionMap,
  encodeShardLease,
  jsonBytes,
  leaseLapseMs,
  type PartitionMap,
} from '@millrace/protocol';
import { type Bus, createManualClock, createMemoryBus, watchCluster } from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { aloneMsMax, awaitHandover } from '../src/handover.ts';
import { file } from './small-cluster.ts';

/** Shard "a" wants to leave a cluster with shard "b". */
async function openStage() {
  const memory = createMemoryBus();
  const clock = createManualClock(0);
  const view = await watchCluster(memory, clock);
  onTestFinished(() => view.close());
  let isConnected = true;
  const bus = {
    get connected() {
      return isConnected;
    },
  } as unknown as Bus;
  await (await memory.kv('models')).put('ads', jsonBytes(file));
  let renewal = 0;
  const stage = {
    clock,
    /** Whether somebody reads from "a". */
    isRead: false,
    cut() {
      isConnected = false;
    },
    heal() {
      isConnected = true;
    },
    async tell(shard: string, draining = false) {
      renewal += 1;
      const lease = { shard, startedMs: 1, renewal, host: 'h', port: 1, zone: '', draining, models: [] };
      await (await memory.kv('shards')).put(shard, encodeShardLease(lease));
    },
    async map(owners: number[][], former?: number[][]) {
      const shards = ['a', 'b'];
      const map: PartitionMap = { model: 'ads', epoch: 1, shards, owners, ...(former ? { former } : {}) };
      await (await memory.kv('maps')).put('ads', encodePartitionMap(map));
    },
    leave() {
      let end = 'waits';
      const isRead = () => stage.isRead;
      void awaitHandover({ bus, clock, view, shard: 'a', waitMsMax: 10_000, isRead }).then((how) => {
        end = how;
      });
      return async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return end;
      };
    },
  };
  await stage.tell('a', true);
  await stage.tell('b');
  return stage;
}

test('handover: waits while a map names it as owner or former owner', async () => {
  const { map, leave, clock } = await openStage();
  await map([[0], [1], [1], [1]]);
  const end = leave();
  expect(await end()).toBe('waits');
  await map([[1], [1], [1], [1]], [[0], [], [], []]);
  expect(await end()).toBe('waits');
  await map([[1], [1], [1], [1]], [[], [], [], []]);
  expect(await end()).toBe('handed over');
  // The view's own look at leases is all that still waits.
  expect(clock.timersWaiting).toBe(1);
});

test('handover: alone: no other shard lives and stays', async () => {
  const { map, leave, tell, clock } = await openStage();
  await map([[0], [0], [0], [0]]);
  const first = leave();
  expect(await first()).toBe('waits');
  await tell('b', true);
  expect(await first()).toBe('alone');

  await tell('b');
  const second = leave();
  expect(await second()).toBe('waits');
  for (let ms = 0; ms <= leaseLapseMs; ms += 500) {
    clock.advanceBy(500);
    await tell('a', true);
  }
  expect(await second()).toBe('alone');
});

test('handover: alone: NATS is out of reach', async () => {
  const { map, leave, cut, clock } = await openStage();
  await map([[0], [0], [0], [0]]);
  const end = leave();
  cut();
  expect(await end()).toBe('waits');
  clock.advanceBy(250);
  expect(await end()).toBe('alone');
});

test('handover: alone and read: serves on for a second', async () => {
  const stage = await openStage();
  await stage.map([[0], [0], [0], [0]]);
  await stage.tell('b', true);
  stage.isRead = true;
  const end = stage.leave();
  stage.clock.advanceBy(aloneMsMax - 1);
  expect(await end()).toBe('waits');
  stage.clock.advanceBy(1);
  expect(await end()).toBe('alone');
  expect(stage.clock.timersWaiting).toBe(1);
});

test('handover: alone and read: goes once nobody reads any more', async () => {
  const stage = await openStage();
  await stage.map([[0], [0], [0], [0]]);
  await stage.tell('b', true);
  stage.isRead = true;
  const end = stage.leave();
  stage.clock.advanceBy(250);
  expect(await end()).toBe('waits');
  stage.isRead = false;
  stage.clock.advanceBy(250);
  expect(await end()).toBe('alone');
});

test('handover: alone and read: waits for one that was just starting, as for any other', async () => {
  const stage = await openStage();
  await stage.map([[0], [0], [0], [0]]);
  await stage.tell('b', true);
  stage.isRead = true;
  const end = stage.leave();
  stage.clock.advanceBy(aloneMsMax - 1);
  await stage.tell('c');
  stage.clock.advanceBy(2 * aloneMsMax);
  expect(await end()).toBe('waits');
  await stage.map([[1], [1], [1], [1]], [[], [], [], []]);
  expect(await end()).toBe('handed over');
});

test('handover: alone and read: NATS that is back in time says who is there', async () => {
  const stage = await openStage();
  await stage.map([[0], [0], [0], [0]]);
  stage.isRead = true;
  const end = stage.leave();
  stage.cut();
  stage.clock.advanceBy(750);
  expect(await end()).toBe('waits');
  stage.heal();
  stage.clock.advanceBy(750);
  expect(await end()).toBe('waits');
  stage.cut();
  // It is alone anew from the next look on.
  stage.clock.advanceBy(250 + aloneMsMax);
  expect(await end()).toBe('alone');
});

test('handover: too late: nobody has taken over in time', async () => {
  const { map, leave, tell, clock } = await openStage();
  await map([[0], [0], [0], [0]]);
  const end = leave();
  for (let ms = 0; ms < 9_900; ms += 450) {
    clock.advanceBy(450);
    await tell('b');
  }
  expect(await end()).toBe('waits');
  clock.advanceBy(100);
  expect(await end()).toBe('too late');
});
