import { expect, test } from 'vitest';
import { createMetrics } from '../src/metrics.ts';

test('metrics: counters, gauges and histograms stand in the text with the service', async () => {
  const metrics = createMetrics({ service: 'shard' });
  metrics.counter({ name: 'mill_pulls_total', help: 'Pulls.', labels: ['code'] }).inc({ code: 'ok' }, 3);
  let rows = 5;
  metrics.gauge({ name: 'mill_rows', help: 'Rows.' }, () => rows);
  metrics.histogram({ name: 'mill_pull_seconds', help: 'Pulls.', buckets: [0.1, 1] }).observe(0.5);
  rows = 6;
  const text = await metrics.text();
  expect(text).toContain('mill_pulls_total{code="ok",service="shard"} 3');
  expect(text).toContain('mill_rows{service="shard"} 6');
  expect(text).toContain('mill_pull_seconds_bucket{le="0.1",service="shard"} 0');
  expect(text).toContain('mill_pull_seconds_bucket{le="1",service="shard"} 1');
  expect(metrics.contentType).toContain('text/plain');
});

test('metrics: two services in one process do not share figures', async () => {
  const first = createMetrics({ service: 'a' });
  const second = createMetrics({ service: 'b' });
  first.counter({ name: 'mill_x_total', help: 'X.' }).inc();
  second.counter({ name: 'mill_x_total', help: 'X.' });
  expect(await first.text()).toContain('mill_x_total{service="a"} 1');
  expect(await second.text()).toContain('mill_x_total{service="b"} 0');
});

test('metrics: a name twice, or without mill_, is a defect', () => {
  const metrics = createMetrics({ service: 'a' });
  metrics.counter({ name: 'mill_x_total', help: 'X.' });
  expect(() => metrics.gauge({ name: 'mill_x_total', help: 'X.' })).toThrow();
  expect(() => metrics.gauge({ name: 'x_rows', help: 'X.' })).toThrow(/mill_/);
});

test('metrics: with the process, its memory is told', async () => {
  const text = await createMetrics({ service: 'a', withProcess: true }).text();
  expect(text).toContain('process_resident_memory_bytes{service="a"}');
});
