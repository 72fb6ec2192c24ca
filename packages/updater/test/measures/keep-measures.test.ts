import type { Example } from '@millrace/joiner';
import { decodeMeasures, type Measures, measuresSubject, modelNameFrom } from '@millrace/protocol';
import {
  createLogger,
  createManualClock,
  createMemoryBus,
  createMetrics,
  type MemoryBus,
} from '@millrace/runtime';
import { expect, test } from 'vitest';
import { keepMeasures } from '../../src/measures/keep-measures.ts';
import { createMeasureGauges } from '../../src/measures/measure-gauges.ts';
import { file } from '../small-model.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
const norms = { logits: 2, embeddings: Number.NaN, dense: 5 };

function examples(count: number): Example[] {
  return Array.from({ length: count }, (_, i) => ({
    place: [i + 1, i + 1, 0],
    user: {},
    context: { hour: i },
    item: { ad: `ad ${i % 3}` },
    shown: 1,
    clicked: i % 4 === 0 ? 1 : 0,
    offset: 0,
    weighting: 'none',
    isFirst: true,
    makesPositive: false,
    score: i % 4 === 0 ? 0.5 : 0.25,
    origin: { sequence: i + 1, watermarkMs: i },
  }));
}

/** Everything that is ready to run has run. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function open(bus: MemoryBus = createMemoryBus()) {
  const clock = createManualClock(0);
  const metrics = createMetrics({ service: 'updater' });
  const gauges = createMeasureGauges(metrics);
  const kept = await keepMeasures({ bus, clock, logger, file, driftAlert: 0.25, gauges });
  const told: Measures[] = [];
  await bus.read('measures', {
    subject: measuresSubject(modelNameFrom(file.name)),
    from: 1,
    onMessage: ({ payload }) => void told.push(decodeMeasures(payload)),
    onError: (error) => {
      throw error;
    },
  });
  return { bus, clock, metrics, kept, told };
}

test('keep measures: a record every ten seconds, and gauges by model, arm and window', async () => {
  const { clock, metrics, kept, told } = await open();
  kept.take(examples(100), norms);
  expect(told).toEqual([]);
  clock.advanceTo(10_000);
  await turn();
  clock.advanceTo(20_000);
  await turn();
  expect(told.map(({ timeMs }) => timeMs)).toEqual([10_000, 20_000]);
  expect(told[0].arms[0].quality.start).toMatchObject({ count: 100, positives: 25, auc: 1 });
  const text = await metrics.text();
  expect(text).toMatch(/mill_quality_auc\{model="ads",arm="",window="hour",service="updater"\} 1\n/);
  expect(text).toMatch(/mill_gradient_norm\{model="ads",part="dense",service="updater"\} 5\n/);
  expect(text).not.toMatch(/part="embeddings"/);
  await kept.close();
});

test('keep measures: a successor goes on where its predecessor closed', async () => {
  const bus = createMemoryBus();
  const first = await open(bus);
  first.kept.take(examples(40), norms);
  await first.kept.close();
  const second = await open(bus);
  second.kept.take(examples(60), norms);
  await second.kept.close();
  expect(second.told.at(-1)?.arms[0].quality).toMatchObject({ start: { count: 100 }, hour: { count: 60 } });
});

test('keep measures: sums that cannot be read start anew', async () => {
  const bus = createMemoryBus();
  await (await bus.kv('judged')).put(file.name, Uint8Array.of(0xc1, 9));
  const { kept, told } = await open(bus);
  kept.take(examples(8), norms);
  await kept.close();
  expect(told.at(-1)?.arms[0].quality.start.count).toBe(8);
});
