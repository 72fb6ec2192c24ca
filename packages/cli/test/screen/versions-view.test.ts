import { stripVTControlCharacters } from 'node:util';
import type { ModelListing, VersionListing, VersionRecord, VersionsResponse } from '@millrace/sdk';
import { expect, test } from 'vitest';
import { policyFrom } from '../../src/commands/models.ts';
import { modelsView, policyText, versionView } from '../../src/screen/versions-view.ts';

const listing: ModelListing = { name: 'ads', partitions: 64, engine: 'wasm', version: 57, ready: true };
const quality = {
  count: 10,
  positives: 1,
  auc: 0.75,
  logloss: 0.25,
  normalizedEntropy: null,
  calibration: 1,
};
const version: VersionListing = {
  version: 3,
  parent: null,
  kind: 'taken',
  labels: ['canary', 'stable'],
  state: 'READY',
  reason: '',
  weights: { floats: 4, sha256: 'abc' },
  sequences: { dense: 41, gradients: [7, 9], events: 12 },
  data: { firstEventMs: 0, lastEventMs: null, examples: 1_000 },
  metrics: { minute: quality, hour: quality, start: quality },
  code: '0.1.0',
  createdMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  note: 'before the sale',
};
const versions: VersionsResponse = {
  model: 'ads',
  policy: { type: 'latest', count: 1 },
  labels: {},
  moves: [],
  versions: [
    version,
    {
      ...version,
      version: 4,
      kind: 'derived',
      parent: 3,
      labels: [],
      state: 'FAILED',
      reason: 'damaged',
      metrics: null,
    },
  ],
};

const plain = (text: string) =>
  stripVTControlCharacters(text)
    .split('\n')
    .map((line) => line.trim().replace(/ {2,}/g, ' | '));

test('versions view: the live line first, then versions, newest first', () => {
  expect(plain(modelsView('http://x', [{ listing, versions }]))).toEqual([
    'ads | policy latest 1',
    'version | labels | state | kind | parent | sequence | examples | logloss | made | note',
    'live | ready | learning | 57',
    '4 | failed | derived | 3 | 41 | 1000 | – | 2026-01-02T03:04:05Z | before the sale',
    '3 | canary,stable | ready | taken | 41 | 1000 | 0.2500 | 2026-01-02T03:04:05Z | before the sale',
    'version 4: damaged',
  ]);
  expect(modelsView('http://x', [])).toBe('no models at http://x');
});

test('versions view: one version in full', () => {
  const record = { ...version, format: 1, model: 'ads', file: { net: 'linear' } } as unknown as VersionRecord;
  const lines = plain(versionView(record, version));
  expect(lines).toContain('labels | canary, stable');
  expect(lines).toContain('gradient sequence | 9');
  expect(lines).toContain('events | 1970-01-01T00:00:00Z to –');
  expect(lines).toContain('last hour | logloss 0.2500, AUC 0.7500, calibration 1.0000 over 10');
  expect(lines).toContain('since the start | logloss 0.2500, AUC 0.7500, calibration 1.0000 over 10');
});

test.each([
  ['latest', { type: 'latest', count: 1 }, 'latest 1'],
  ['latest:3', { type: 'latest', count: 3 }, 'latest 3'],
  ['all', { type: 'all' }, 'all'],
  ['specific:1,4', { type: 'specific', versions: [1, 4] }, 'specific 1,4'],
] as const)('models: policy %s', (text, policy, shown) => {
  expect([policyFrom(text), policyText(policy)]).toEqual([policy, shown]);
});

test.each(['', 'newest', 'latest:', 'specific', 'specific:1,', 'all:2'])(
  'models: %j is no policy',
  (text) => {
    expect(() => policyFrom(text)).toThrow('wanted latest');
  },
);
