/**
 * Keys of the public API as they stand in a file: their names, what they may do, and hashes of them in place of themselves.
 *
 *   [{ "name": "shop", "sha256": "<64 hexadecimal digits>", "roles": ["score", "events"], "requestsPerSecond": 500 }]
 *
 * A key is 256 random bits, so one round of SHA-256 keeps it as well as a slow hash would: there is nothing to guess.
 */
import { hash } from 'node:crypto';
import { MillraceError } from '@millrace/protocol';

/** What a key may do: ask for scores, send outcomes, everything. */
export const roles = ['score', 'events', 'admin'] as const;
export type Role = (typeof roles)[number];

export interface ApiKey {
  /** Told in logs and errors, where the key itself never is. */
  readonly name: string;
  /** 64 hexadecimal digits of the key's UTF-8 text. */
  readonly sha256: string;
  readonly roles: readonly Role[];
  /** Of all connections together; as many may come at once. Absent: no limit. */
  readonly requestsPerSecond?: number;
}

/** Each request is compared with every key, so that its time tells nothing of them. */
export const apiKeysMax = 1_000;
export const apiKeysBytesMax = 1024 * 1024;
/** Longer ones are wrong without being looked at. */
export const apiKeyCharsMax = 1_024;
const requestsPerSecondMax = 1_000_000;

const namePattern = /^[a-z0-9][a-z0-9._-]{0,63}$/i;
const hashPattern = /^[0-9a-f]{64}$/i;
const known = ['name', 'sha256', 'roles', 'requestsPerSecond'];

/** What a key is kept as. */
export function hashOfKey(key: string): string {
  return hash('sha256', key, 'hex');
}

/**
 * @param place how messages name the text: setting and file.
 * @throws MILL_CONFIG_INVALID naming place, entry, wanted and found; a value of `sha256` is not quoted, since somebody may
 *   have put a key there.
 */
export function apiKeysFrom(text: string, place: string): readonly ApiKey[] {
  const list = listFrom(text, place);
  const names = new Set<string>();
  const hashes = new Set<string>();
  return list.map((entry, i) => {
    const key = keyFrom(entry, `${place}: key ${i}`);
    if (names.has(key.name)) throw invalid(`${place}: key ${i}: name "${key.name}" stands twice`);
    if (hashes.has(key.sha256)) throw invalid(`${place}: key ${i}: "${key.name}" is the same as another key`);
    names.add(key.name);
    hashes.add(key.sha256);
    return key;
  });
}

function listFrom(text: string, place: string): readonly unknown[] {
  if (Buffer.byteLength(text) > apiKeysBytesMax)
    throw invalid(`${place} must have at most ${apiKeysBytesMax} bytes, found ${Buffer.byteLength(text)}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own words are not passed on: they quote the text around the fault.
    throw invalid(`${place} must be JSON, and is not`);
  }
  if (!Array.isArray(value)) throw invalid(`${place} must be a list of keys in JSON`);
  if (value.length > apiKeysMax)
    throw invalid(`${place} must have at most ${apiKeysMax} keys, found ${value.length}`);
  return value;
}

function keyFrom(entry: unknown, place: string): ApiKey {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
    throw invalid(`${place}: wanted an object with name, sha256 and roles`);
  const { name, sha256, roles: may, requestsPerSecond } = entry as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(entry).find((field) => !known.includes(field));
  if (unknown !== undefined) throw invalid(`${place}: wanted only ${known.join(', ')}, found another name`);
  if (typeof name !== 'string' || !namePattern.test(name))
    throw invalid(`${place}: name: wanted 1 to 64 letters, digits, dots, dashes and underscores`);
  if (typeof sha256 !== 'string' || !hashPattern.test(sha256))
    throw invalid(`${place} ("${name}"): sha256: wanted 64 hexadecimal digits; millrace keys add makes them`);
  if (!Array.isArray(may) || may.length === 0 || !may.every(isRole))
    throw invalid(`${place} ("${name}"): roles: wanted one or more of ${roles.join(', ')}`);
  if (requestsPerSecond !== undefined && !isRate(requestsPerSecond))
    throw invalid(
      `${place} ("${name}"): requestsPerSecond: wanted a number above 0, up to ${requestsPerSecondMax}`,
    );
  return {
    name,
    sha256: sha256.toLowerCase(),
    roles: may,
    ...(requestsPerSecond !== undefined && { requestsPerSecond }),
  };
}

export function isRole(value: unknown): value is Role {
  return (roles as readonly unknown[]).includes(value);
}

export function isRate(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value <= requestsPerSecondMax;
}

function invalid(message: string): MillraceError {
  return new MillraceError('MILL_CONFIG_INVALID', message);
}
