import { expect, test } from 'vitest';
import { apiKeysFrom, apiKeysMax, hashOfKey } from '../src/api-keys.ts';

const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
const good = { name: 'shop', sha256, roles: ['score'] };

test('api keys: the hash is SHA-256 of the text (FIPS 180-4, example of "abc")', () => {
  expect(hashOfKey('abc')).toBe(sha256);
});

test('api keys: takes what the format says', () => {
  const list = [{ ...good, sha256: sha256.toUpperCase(), requestsPerSecond: 0.5 }];
  expect(apiKeysFrom(JSON.stringify(list), 'f')).toEqual([{ ...good, requestsPerSecond: 0.5 }]);
  expect(apiKeysFrom('[]', 'f')).toEqual([]);
});

test.each<[string, unknown, RegExp]>([
  ['no list', {}, /^f must be a list of keys/],
  ['no object', ['x'], /^f: key 0: wanted an object/],
  ['no name', [{ sha256, roles: ['score'] }], /^f: key 0: name: wanted/],
  ['a name with a line end', [{ ...good, name: 'a\nb' }], /name: wanted/],
  ['a key in place of its hash', [{ ...good, sha256: 'mill_secret' }], /\("shop"\): sha256: wanted 64/],
  ['no role', [{ ...good, roles: [] }], /roles: wanted one or more of score, events, admin$/],
  ['an unknown role', [{ ...good, roles: ['root'] }], /roles: wanted/],
  ['a rate of 0', [{ ...good, requestsPerSecond: 0 }], /requestsPerSecond: wanted a number above 0/],
  ['a rate in words', [{ ...good, requestsPerSecond: '5' }], /requestsPerSecond: wanted/],
  ['an unknown field', [{ ...good, key: 'mill_secret' }], /^f: key 0: wanted only name, sha256/],
  ['a name twice', [good, { ...good, sha256: hashOfKey('x') }], /^f: key 1: name "shop" stands twice$/],
  ['a key twice', [good, { ...good, name: 'b' }], /^f: key 1: "b" is the same as another key$/],
  ['too many', Array(apiKeysMax + 1).fill(good), /at most 1000 keys, found 1001$/],
])('api keys: %s is refused, and no key is quoted', (_what, value, says) => {
  const read = () => apiKeysFrom(JSON.stringify(value), 'f');
  expect(read).toThrow(
    expect.objectContaining({ code: 'MILL_CONFIG_INVALID', message: expect.stringMatching(says) }),
  );
  expect(read).not.toThrow(/mill_secret/);
});

test('api keys: what is not JSON, or too long, is refused without a word of it', () => {
  expect(() => apiKeysFrom('mill_secret', 'f')).toThrow(/^f must be JSON, and is not$/);
  expect(() => apiKeysFrom(' '.repeat(2 ** 20 + 1), 'f')).toThrow(/at most 1048576 bytes, found 1048577$/);
});
