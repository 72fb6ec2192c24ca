import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EntryStore, sizeAt } from '../src/entry-store.ts';

/** An entry of `size` words that says `told` behind its head. */
function put(store: EntryStore, hash: number, size: number, told: number): boolean {
  if (!store.reserve(size)) return false;
  const { words, used } = store;
  words[used] = hash;
  words[used + sizeAt] = size;
  words.fill(told, used + 2, used + size);
  store.add();
  return true;
}

/** What the entry of a hash says; undefined: there is none. */
function told(store: EntryStore, hash: number): number | undefined {
  const place = store.placeOf(hash);
  if (place < 0) return undefined;
  const entry = store.index[place + 1] - 1;
  const { words } = store;
  expect(words[entry]).toBe(hash);
  const says = words.slice(entry + 2, entry + words[entry + sizeAt]);
  expect(new Set(says).size).toBe(1);
  return says[0];
}

function renew(store: EntryStore, hash: number): void {
  store.renew(store.index[store.placeOf(hash) + 1] - 1);
}

/** Hashes that fall on one another's slots. */
const hash = fc.oneof(
  fc.integer({ min: -4, max: 4 }),
  fc.nat(40).map((n) => (n << 24) | 3),
);

test('entry store: every hash finds its entry, in whatever order and wherever its slot was taken', () => {
  fc.assert(
    fc.property(fc.uniqueArray(hash, { maxLength: 60 }), (hashes) => {
      const store = new EntryStore();
      for (const [n, of] of hashes.entries()) {
        expect(told(store, of)).toBeUndefined();
        expect(put(store, of, 3 + (n % 7), n)).toBe(true);
      }
      for (const [n, of] of hashes.entries()) expect(told(store, of)).toBe(n);
      expect(told(store, 77)).toBeUndefined();
    }),
  );
});

test('entry store: memory is bounded; what was asked for stays, what was not goes', () => {
  const store = new EntryStore();
  const size = 20_000;
  const hot = 7;
  const words = new Set<number>();
  put(store, hot, size, 42);
  for (let n = 100; n < 500; n += 1) {
    store.settle();
    renew(store, hot);
    // One that did not fit is kept when it comes again.
    if (!put(store, n, size, n)) n -= 1;
    expect(told(store, hot)).toBe(42);
    words.add(store.words.length);
  }
  expect(Math.max(...words)).toBeLessThan(2.1 * 1_024 * 1_024);
  expect(told(store, 499)).toBe(499);
  expect(told(store, 490)).toBe(490);
  expect(told(store, 100)).toBeUndefined();
  expect(told(store, 250)).toBeUndefined();
});

test('entry store: an entry of a full half is good until the other half takes over', () => {
  const store = new EntryStore();
  const size = 30_000;
  let n = 0;
  while (put(store, n, size, n)) n += 1;
  // There is no room for copies either.
  renew(store, 0);
  expect(told(store, 0)).toBe(0);
  store.settle();
  // The full half is the former one now, and whoever asks takes along.
  const former = store.index[store.placeOf(0) + 1] - 1;
  const copied = store.renew(former);
  expect(copied).not.toBe(former);
  expect(store.renew(former)).toBe(copied);
  for (let more = 1_000; put(store, more, size, more); more += 1) expect(told(store, 0)).toBe(0);
  expect(told(store, 1)).toBe(1);
  store.settle();
  expect(told(store, 0)).toBe(0);
  expect(told(store, 1)).toBeUndefined();
});
