import { encodeEvent, eventsSubject, jsonBytes, modelNameFrom } from '@millrace/protocol';
import { createManualClock, createMemoryBus, createMetrics, createTcpNetwork } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { impression, outcome, tick } from '../../joiner/test/event-logs.ts';
import { startUpdater } from '../src/start-updater.ts';
import { file, quietLogger } from './small-model.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function start() {
  const bus = createMemoryBus();
  const clock = createManualClock(1_000);
  const metrics = createMetrics({ service: 'updater' });
  const failures: Error[] = [];
  const models = await bus.kv('models');
  await models.put('ads', jsonBytes(file));
  const running = await startUpdater({
    network: createTcpNetwork(),
    bus,
    clock,
    logger: quietLogger,
    metrics,
    cluster: 'demo',
    engine: 'plain',
    writer: 'one',
    archive: null,
    snapshotEveryMs: 0,
    snapshotChains: 2,
    pullTimeoutMs: 100,
    onFailed: (error) => failures.push(error),
  });
  return { bus, clock, metrics, failures, models, running };
}

test('updater: follows every model, also one that is created later', async () => {
  const { bus, metrics, failures, models, running } = await start();
  expect([...running.counters().keys()]).toEqual(['ads']);
  await models.put('shop', jsonBytes({ ...file, name: 'shop' }));
  for (let i = 0; i < 20 && running.counters().size < 2; i += 1) await turn();
  expect([...running.counters().keys()]).toEqual(['ads', 'shop']);
  for (const event of [impression('r', 1_000), tick(1_001), impression('s', 1_002)]) {
    await bus.append('events', eventsSubject(modelNameFrom('shop')), encodeEvent(event));
  }
  expect(running.counters().get('shop')).toMatchObject({ openImpressions: 2, learned: 0 });
  expect(await metrics.text()).toMatch(/^mill_open_impressions\{service="updater"\} 2$/m);
  expect(failures).toEqual([]);
  await running.close();
});

test('updater: leaves a model with an imported net alone', async () => {
  const { failures, models, running } = await start();
  const net = {
    import: {
      format: 'onnx',
      file: 'net.onnx',
      sha256: '0'.repeat(64),
      inputs: [],
      output: { name: 'y', gives: 'logit' },
    },
  };
  await models.put('elsewhere', jsonBytes({ ...file, name: 'elsewhere', net }));
  await models.put('shop', jsonBytes({ ...file, name: 'shop' }));
  for (let i = 0; i < 20 && running.counters().size < 2; i += 1) await turn();
  expect([...running.counters().keys()]).toEqual(['ads', 'shop']);
  expect(failures).toEqual([]);
  await running.close();
});

test('updater: without a shard nothing is learned, nothing fails, and it can be closed', async () => {
  const { bus, clock, failures, running } = await start();
  for (const event of [impression('r', 1_000), outcome('r')]) {
    await bus.append('events', eventsSubject(modelNameFrom('ads')), encodeEvent(event));
  }
  for (let i = 0; i < 20; i += 1) {
    clock.advanceBy(10);
    await turn();
  }
  expect(running.counters().get('ads')).toMatchObject({ learned: 0, openImpressions: 1 });
  let closed = false;
  const closing = running.close().then(() => {
    closed = true;
  });
  // A pause between two tries ends with the clock.
  for (let i = 0; i < 50 && !closed; i += 1) {
    clock.advanceBy(100);
    await turn();
  }
  await closing;
  expect([failures, clock.timersWaiting]).toEqual([[], 0]);
});
