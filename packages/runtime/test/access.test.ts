import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createKeyedAccess, type Need, openAccess, shownKeyFrom, type Verdict } from '../src/access.ts';
import { type ApiKey, hashOfKey, type Role } from '../src/api-keys.ts';
import { createManualClock } from '../src/clock.ts';

const keyOf = (name: string) => `the-secret-of-${name}`;
const entry = (name: string, roles: readonly Role[], rate?: number): ApiKey => ({
  name,
  sha256: hashOfKey(keyOf(name)),
  roles,
  ...(rate !== undefined && { requestsPerSecond: rate }),
});
const told = (verdict: Verdict) =>
  verdict.kind === 'granted' ? verdict.name : `${verdict.error.code} ${verdict.name}`;

const everyone = [entry('shop', ['score']), entry('clicks', ['events']), entry('ops', ['admin'])];

test.each<[Need, string, string, string, string]>([
  ['score', 'shop', 'MILL_FORBIDDEN clicks', 'ops', 'MILL_UNAUTHENTICATED null'],
  ['events', 'MILL_FORBIDDEN shop', 'clicks', 'ops', 'MILL_UNAUTHENTICATED null'],
  ['admin', 'MILL_FORBIDDEN shop', 'MILL_FORBIDDEN clicks', 'ops', 'MILL_UNAUTHENTICATED null'],
  ['any', 'shop', 'clicks', 'ops', 'MILL_UNAUTHENTICATED null'],
])('access: %s: what each role gets', (needs, shop, clicks, ops, none) => {
  const access = createKeyedAccess(everyone, createManualClock(0));
  const ask = (key: string | null) => told(access.authorize({ key, needs }));
  expect([ask(keyOf('shop')), ask(keyOf('clicks')), ask(keyOf('ops')), ask(null), ask('wrong')]).toEqual([
    shop,
    clicks,
    ops,
    none,
    none,
  ]);
});

test('access: open: nobody is asked, whatever is shown; nor anybody where there are no keys', () => {
  const access = createKeyedAccess(everyone, createManualClock(0));
  for (const key of [null, 'wrong', keyOf('shop')])
    expect(access.authorize({ key, needs: 'open' })).toEqual({ kind: 'granted', name: null });
  expect(openAccess.authorize({ key: null, needs: 'admin' })).toEqual({ kind: 'granted', name: null });
  const nobody = createKeyedAccess([], createManualClock(0));
  expect(told(nobody.authorize({ key: 'x', needs: 'any' }))).toBe('MILL_UNAUTHENTICATED null');
});

test('access: no text but the key itself is taken, its hash least of all, and no refusal quotes what was shown', () => {
  const access = createKeyedAccess(everyone, createManualClock(0));
  fc.assert(
    fc.property(fc.string({ maxLength: 2_000 }), (key) => {
      const verdict = access.authorize({ key, needs: 'any' });
      expect(told(verdict)).toBe('MILL_UNAUTHENTICATED null');
    }),
  );
  for (const key of [everyone[0].sha256, keyOf('shop').slice(1), `${keyOf('shop')} `, 'x'.repeat(9_999)]) {
    const verdict = access.authorize({ key, needs: 'any' });
    expect(told(verdict)).toBe('MILL_UNAUTHENTICATED null');
    if (verdict.kind === 'refused') expect(verdict.error.message).not.toContain(key);
  }
});

test('access: rate: a second’s worth at once, then as they come in, and the wait is told', () => {
  const clock = createManualClock(0);
  const access = createKeyedAccess([entry('shop', ['score'], 4)], clock);
  const ask = () => access.authorize({ key: keyOf('shop'), needs: 'score' });
  expect([ask(), ask(), ask(), ask()].map(told)).toEqual(['shop', 'shop', 'shop', 'shop']);
  const fifth = ask();
  expect(fifth).toMatchObject({
    kind: 'refused',
    name: 'shop',
    error: { code: 'MILL_OVERLOADED', details: { retryAfterMs: 250 } },
  });
  clock.advanceBy(249);
  expect(told(ask())).toBe('MILL_OVERLOADED shop');
  clock.advanceBy(1);
  expect([ask(), ask()].map(told)).toEqual(['shop', 'MILL_OVERLOADED shop']);
  clock.advanceBy(60_000);
  expect([ask(), ask(), ask(), ask(), ask()].map(told).filter((name) => name === 'shop')).toHaveLength(4);
});

test('access: rate: below one a second; of each key its own; and requests without the role count too', () => {
  const clock = createManualClock(0);
  const access = createKeyedAccess([entry('slow', ['score'], 0.1), entry('other', ['score'], 1)], clock);
  const ask = (name: string, needs: Need) => told(access.authorize({ key: keyOf(name), needs }));
  expect(ask('slow', 'admin')).toBe('MILL_FORBIDDEN slow');
  expect(ask('slow', 'score')).toBe('MILL_OVERLOADED slow');
  expect(ask('other', 'score')).toBe('other');
  clock.advanceBy(10_000);
  expect(ask('slow', 'score')).toBe('slow');
});

test('access: replace: new keys are taken, old ones are not, and a rate goes on where it was', () => {
  const access = createKeyedAccess(
    [entry('shop', ['score'], 1), entry('gone', ['score'])],
    createManualClock(0),
  );
  const ask = (name: string) => told(access.authorize({ key: keyOf(name), needs: 'score' }));
  expect([ask('shop'), ask('gone')]).toEqual(['shop', 'gone']);
  access.replace([entry('shop', ['score'], 1), entry('new', ['score'])]);
  expect([ask('shop'), ask('gone'), ask('new')]).toEqual([
    'MILL_OVERLOADED shop',
    'MILL_UNAUTHENTICATED null',
    'new',
  ]);
  access.replace([entry('shop', ['score'], 2)]);
  expect(ask('shop')).toBe('shop');
});

test.each<[Record<string, string>, string | null]>([
  [{}, null],
  [{ authorization: 'Bearer abc' }, 'abc'],
  [{ authorization: 'bearer  abc ' }, 'abc'],
  [{ authorization: 'Basic abc' }, null],
  [{ authorization: 'Bearer' }, null],
  [{ authorization: 'Bearer a b' }, null],
  [{ 'x-api-key': 'abc' }, 'abc'],
  [{ 'x-api-key': '' }, null],
  [{ authorization: 'Basic eA==', 'x-api-key': 'abc' }, 'abc'],
  [{ authorization: 'Bearer one', 'x-api-key': 'two' }, 'one'],
])('access: headers %j show %j', (headers, key) => {
  expect(shownKeyFrom(headers)).toBe(key);
});
