import { encodeMeasures, type Measures, measuresSubject, modelNameFrom } from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { openStage } from './small-serving.ts';

function record(timeMs: number, model = 'ads'): Measures {
  return {
    model,
    timeMs,
    arms: [],
    fields: [],
    scoreDrift: null,
    gradientNorms: { logits: 1, embeddings: null, dense: null },
    alerts: [],
  };
}

const append = (bus: Bus, measures: Measures, payload = encodeMeasures(measures)) =>
  bus.append('measures', measuresSubject(modelNameFrom(measures.model)), payload);

test('measures view: a node tells what the updater told, the newest in its status', async () => {
  const { core, bus } = await openStage();
  expect([core.measures('ads'), core.status().models[0].measures]).toEqual([[], null]);
  await append(bus, record(1));
  await append(bus, record(2, 'others'));
  await append(bus, record(3));
  expect(core.measures('ads')).toEqual([record(1), record(3)]);
  expect(core.status().models[0].measures).toEqual(record(3));
  expect(() => core.measures('others')).toThrow(/no model/);
});

test('measures view: what cannot be read is passed over', async () => {
  const { core, bus } = await openStage();
  await append(bus, record(1), Uint8Array.of(1, 2, 3));
  await append(bus, record(2));
  expect(core.measures('ads')).toEqual([record(2)]);
});

test('measures view: an hour of records is kept', async () => {
  const { core, bus } = await openStage();
  for (let i = 1; i <= 400; i += 1) await append(bus, record(i));
  const records = core.measures('ads');
  expect([records.length, records[0].timeMs, records.at(-1)?.timeMs]).toEqual([360, 41, 400]);
});
