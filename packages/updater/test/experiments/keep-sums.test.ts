import type { JudgedExample } from '@millrace/experiments';
import { decodeExperimentSums, sumColumns, sumsMarkKey, unitGroups } from '@millrace/protocol';
import { createManualClock, createMemoryBus, type Kv, type MemoryBus } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { firstRecord } from '../../src/batch-chain.ts';
import { earlier, keepSums } from '../../src/experiments/keep-sums.ts';
import { file, quietLogger } from '../small-model.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));
const record = firstRecord(file.name, 2, 'test');

function example(sequence: number): JudgedExample {
  return {
    place: [sequence, sequence, 0],
    offset: 0,
    isFirst: true,
    makesPositive: false,
    score: 0.5,
    arm: 'x/a',
    units: [sequence],
    origin: { sequence, watermarkMs: 10 * sequence },
  };
}

function pick({ place, origin }: JudgedExample): Pick<JudgedExample, 'place' | 'origin'> {
  return { place, origin };
}

async function open(bus: MemoryBus, isRunning = true) {
  const clock = createManualClock(0);
  const kept = await keepSums({ bus, clock, logger: quietLogger, file, record, isRunning: () => isRunning });
  const pass = async (ms: number) => {
    clock.advanceTo(clock.now() + ms);
    for (let i = 0; i < 5; i += 1) await turn();
  };
  return { clock, kept, pass };
}

async function stored(bus: MemoryBus) {
  const entry = await (await bus.kv('results')).get(file.name);
  if (entry === null) return null;
  const { place, joinFrom, arms } = decodeExperimentSums(entry.value);
  const shown = arms.map(({ sums }) => {
    const floats = new Float64Array(Uint8Array.from(sums).buffer);
    const from = sumColumns.shown * unitGroups;
    return floats.subarray(from, from + unitGroups).reduce((sum, value) => sum + value, 0);
  });
  return { place, joinFrom, shown };
}

test('keep sums: a successor goes on where the sums stand, and counts what comes again once', async () => {
  const bus = createMemoryBus();
  const first = await open(bus);
  for (let sequence = 1; sequence <= 3; sequence += 1) first.kept.take(example(sequence));
  await first.pass(2_000);
  expect(await stored(bus)).toEqual({ place: [3, 3, 0], joinFrom: 3, shown: [3] });
  // Killed here: what it took after that is lost with it, and found again.
  first.kept.take(example(4));
  const second = await open(bus);
  expect(second.kept.origin).toEqual({ sequence: 3, watermarkMs: 30 });
  for (let sequence = 2; sequence <= 6; sequence += 1) second.kept.take(example(sequence));
  await second.kept.close();
  expect(await stored(bus)).toMatchObject({ place: [6, 6, 0], shown: [6] });
  // The one that was taken over no longer writes.
  await first.pass(2_000);
  await first.kept.close();
  expect(await stored(bus)).toMatchObject({ shown: [6] });
});

test('keep sums: where nothing comes to the arms the place alone is written, and a successor begins there', async () => {
  const bus = createMemoryBus();
  const kv = await bus.kv('results');
  const first = await open(bus);
  first.kept.take(example(1));
  await first.pass(2_000);
  const { arm: _arm, units: _units, ...plain } = example(7);
  const { revision } = (await kv.get(file.name)) ?? { revision: 0 };
  for (let sequence = 2; sequence <= 7; sequence += 1) {
    first.kept.take({ ...plain, ...pick(example(sequence)) });
    await first.pass(2_000);
  }
  expect((await kv.get(file.name))?.revision).toBe(revision);
  expect((await kv.get(sumsMarkKey(file.name)))?.value.length).toBeLessThan(100);
  const second = await open(bus, false);
  expect(second.kept.origin).toEqual({ sequence: 7, watermarkMs: 70 });
  for (let sequence = 6; sequence <= 8; sequence += 1) second.kept.take(example(sequence));
  await second.kept.close();
  // The sums went on; the mark that stands beside them is of others and says nothing.
  expect(await stored(bus)).toEqual({ place: [8, 8, 0], joinFrom: 8, shown: [2] });
  const third = await open(bus);
  expect(third.kept.origin).toEqual({ sequence: 8, watermarkMs: 80 });
  await third.kept.close();
  await first.kept.close();
});

test('keep sums: nothing is written without experiments, and the place as soon as one runs', async () => {
  const bus = createMemoryBus();
  const without = await open(bus, false);
  await without.pass(120_000);
  await without.kept.close();
  expect(await stored(bus)).toBeNull();
  const running = await open(bus);
  await running.kept.store();
  expect(await stored(bus)).toEqual({ place: [0, 0, 0], joinFrom: 1, shown: [] });
});

test('keep sums: a write whose acknowledgement was lost is recognised as its own', async () => {
  const bus = createMemoryBus();
  const kv = await bus.kv('results');
  let lose = true;
  const putIf: typeof kv.putIf = async (...args) => {
    const revision = await kv.putIf(...args);
    if (!lose) return revision;
    lose = false;
    throw new Error('no acknowledgement');
  };
  const lossyKv = { get: kv.get.bind(kv), putIf } as Partial<Kv> as Kv;
  const lossy = { kv: async () => lossyKv } as Partial<MemoryBus> as MemoryBus;
  const { kept } = await open(lossy);
  kept.take(example(1));
  await kept.store();
  kept.take(example(2));
  await kept.store();
  expect(await stored(bus)).toMatchObject({ shown: [2] });
});

test('keep sums: while the store is out of reach one write waits, however many turns pass', async () => {
  let writes = 0;
  let fail = (_error: Error) => {};
  const gone = new Promise<null>((_resolve, reject) => {
    fail = reject;
  });
  const kv = {
    get: async () => null,
    putIf: () => {
      writes += 1;
      return gone;
    },
  } as Partial<Kv> as Kv;
  const bus = { kv: async () => kv } as Partial<MemoryBus> as MemoryBus;
  const { kept, pass } = await open(bus);
  for (let sequence = 1; sequence <= 6; sequence += 1) {
    kept.take(example(sequence));
    await pass(2_000);
  }
  expect(writes).toBe(1);
  fail(new Error('out of reach'));
  await kept.close();
  expect(writes).toBe(2);
});

test('keep sums: the earlier of two origins is where a fold finds both', () => {
  const [a, b] = [
    { sequence: 3, watermarkMs: 1 },
    { sequence: 5, watermarkMs: 9 },
  ];
  expect([earlier(a, b), earlier(b, a)]).toEqual([a, a]);
});
