import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isName, modelNameFrom } from '../src/ids.ts';
import { partitionsMax } from '../src/limits.ts';
import {
  buckets,
  denseSubject,
  eventsSubject,
  gradientsSubject,
  headsSubject,
  streams,
} from '../src/subjects.ts';

const anyName = fc
  .stringMatching(/^[a-z][a-z0-9-]{0,39}$/)
  .filter(isName)
  .map(modelNameFrom);

/** Matching as NATS defines it: `*` stands for one token. */
function matches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const found = subject.split('.');
  return wanted.length === found.length && wanted.every((token, i) => token === '*' || token === found[i]);
}

function streamsOf(subject: string): string[] {
  return Object.values(streams)
    .filter(({ subjects }) => subjects.some((pattern) => matches(pattern, subject)))
    .map(({ name }) => name);
}

test('subjects: are what operators and streaming jobs know', () => {
  const ads = modelNameFrom('ads');
  expect(eventsSubject(ads)).toBe('mill.events.ads');
  expect(gradientsSubject(ads, 63)).toBe('mill.gradients.ads.63');
  expect(denseSubject(ads)).toBe('mill.dense.ads');
  expect(headsSubject(ads)).toBe('mill.heads.ads');
});

test('subjects: of any valid name have no wildcard, no space and no empty token, and one stream each (property)', () => {
  fc.assert(
    fc.property(anyName, fc.nat(partitionsMax - 1), (model, partition) => {
      const subjects = [
        eventsSubject(model),
        gradientsSubject(model, partition),
        denseSubject(model),
        headsSubject(model),
      ];
      for (const subject of subjects) expect(subject).toMatch(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/);
      expect(subjects.map(streamsOf)).toEqual([['MILL_EVENTS'], ['MILL_GRADIENTS'], ['MILL_DENSE'], []]);
    }),
  );
});

test('subjects: differ where model or partition differ (property)', () => {
  fc.assert(
    fc.property(anyName, anyName, fc.nat(4_095), fc.nat(4_095), (a, b, p, q) => {
      expect(gradientsSubject(a, p) === gradientsSubject(b, q)).toBe(a === b && p === q);
      expect(eventsSubject(a) === eventsSubject(b)).toBe(a === b);
    }),
  );
});

test('subjects: buckets have names that NATS takes, all different', () => {
  const names = Object.values(buckets);
  for (const name of names) expect(name).toMatch(/^[a-zA-Z0-9_-]+$/);
  expect(new Set(names).size).toBe(names.length);
});
