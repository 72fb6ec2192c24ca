import type { EngineName } from '@millrace/model';
import { eventsSubject, gradientsSubject, modelNameFrom } from '@millrace/protocol';
import { trimBehind } from '@millrace/snapshot';
import { expect, test } from 'vitest';
import { type ExplainOptions, explainRequest } from '../../src/history/explain-request.ts';
import { deep, linear, openPastCluster, type PastCluster } from './past-cluster.ts';

const explain = ({ source }: PastCluster, requestId: string, change: Partial<ExplainOptions> = {}) =>
  explainRequest({
    source,
    file: deep,
    requestId,
    engine: null,
    onScan() {},
    onFold() {},
    ...change,
  });

test.each<EngineName>(['plain', 'cpu', 'wasm'])(
  'explain: engine %s: every score is computed again to the bit, whatever batch it was in',
  async (engine) => {
    const past = await openPastCluster(deep, engine);
    const visits = await past.visit(50);
    const versions = new Set<number>();
    for (const [requestId, { request, answer }] of visits) {
      const explained = await explain(past, requestId);
      expect([requestId, explained.equal]).toEqual([requestId, true]);
      expect(explained).toMatchObject({ engine, version: answer.version, uncertainKeys: 0, remarks: [] });
      expect(explained.items.map(({ recomputed }) => recomputed)).toEqual(answer.scores);
      expect(explained.found.impression.items).toEqual(request.items);
      versions.add(answer.version);
    }
    // Scores of many versions, or nothing was learned meanwhile and the test shows little.
    expect(versions.size).toBeGreaterThan(5);
  },
  60_000,
);
