import { expect, test } from 'vitest';
import { fmix } from '../../src/key-hash.ts';
import { createSeenKeys } from '../../src/metrics/seen-keys.ts';

const low = (i: number) => fmix(2 * i + 1);
const high = (i: number) => fmix(0x5bd1e995 ^ (2 * i));

test('seen keys: a key is new once', () => {
  const seen = createSeenKeys(1_000);
  expect(seen.add(low(1), high(1))).toBe(true);
  expect(seen.add(low(1), high(1))).toBe(false);
  expect(seen.add(low(2), high(2))).toBe(true);
});

test('seen keys: of 10,000 new keys in a filling of that size few are taken for known, and all are known after', () => {
  const seen = createSeenKeys(10_000);
  let fresh = 0;
  for (let i = 0; i < 9_000; i += 1) fresh += seen.add(low(i), high(i)) ? 1 : 0;
  expect(fresh).toBeGreaterThan(8_900);
  for (let i = 0; i < 9_000; i += 1) expect(seen.add(low(i), high(i))).toBe(false);
});

test('seen keys: what was not seen for two fillings is new again, so the filter never fills up', () => {
  const seen = createSeenKeys(1_000);
  seen.add(low(0), high(0));
  for (let i = 1; i < 5_000; i += 1) seen.add(low(i), high(i));
  expect(seen.add(low(0), high(0))).toBe(true);
  let fresh = 0;
  for (let i = 10_000; i < 11_000; i += 1) fresh += seen.add(low(i), high(i)) ? 1 : 0;
  expect(fresh).toBeGreaterThan(980);
});
