/**
 * Who may do what at the ports that people call. Every protocol asks the one function `authorize`, with what it knows of a
 * request, before it reads a body.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { MillraceError } from '@millrace/protocol';
import { type ApiKey, apiKeyCharsMax, type Role } from './api-keys.ts';
import type { Clock } from './clock.ts';
import { createTokenBucket, type TokenBucket } from './token-bucket.ts';

/** What a request asks for: a role, `any` key at all, or nothing (`open`). */
export type Need = Role | 'any' | 'open';

export interface RequestFacts {
  /** The key that it shows; null: none. */
  readonly key: string | null;
  readonly needs: Need;
}

export type Verdict =
  /** `name` is that of the key; null where none was asked for. */
  | { readonly kind: 'granted'; readonly name: string | null }
  /** MILL_UNAUTHENTICATED, MILL_FORBIDDEN, or MILL_OVERLOADED with `details.retryAfterMs`. */
  | { readonly kind: 'refused'; readonly name: string | null; readonly error: MillraceError };

export interface Access {
  authorize(facts: RequestFacts): Verdict;
}

/** Where no keys are set: everybody may do everything. */
export const openAccess: Access = { authorize: () => ({ kind: 'granted', name: null }) };

export interface KeyedAccess extends Access {
  /** Takes these keys from now on. The rate of a key that stays goes on where it is. */
  replace(keys: readonly ApiKey[]): void;
}

interface HeldKey {
  readonly key: ApiKey;
  readonly digest: Buffer;
  readonly bucket: TokenBucket | null;
}

/** Access for those who show one of `keys`. */
export function createKeyedAccess(keys: readonly ApiKey[], clock: Clock): KeyedAccess {
  let held: readonly HeldKey[] = [];
  const replace = (next: readonly ApiKey[]) => {
    const before = new Map(held.map((one) => [one.key.sha256, one]));
    held = next.map((key) => holdKey(key, before.get(key.sha256), clock));
  };
  replace(keys);
  return {
    replace,
    authorize({ key: shown, needs }) {
      if (needs === 'open') return openAccess.authorize({ key: shown, needs });
      const found = shown === null ? null : keyLike(held, shown);
      if (found === null) return refused(null, unauthenticated(shown));
      const { name, roles } = found.key;
      const waitMs = found.bucket?.take(clock.monotonicMs()) ?? 0;
      if (waitMs > 0) return refused(name, overRate(found.key, waitMs));
      const may = needs === 'any' || roles.includes(needs) || roles.includes('admin');
      return may ? { kind: 'granted', name } : refused(name, forbidden(found.key, needs));
    },
  };
}

/** The key in a request's headers (names in lower case): `authorization: Bearer KEY`, else `x-api-key: KEY`. */
export function shownKeyFrom(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): string | null {
  const { authorization, 'x-api-key': plain } = headers;
  const bearer =
    typeof authorization === 'string' ? /^Bearer +(\S+) *$/i.exec(authorization)?.[1] : undefined;
  return bearer ?? (typeof plain === 'string' && plain !== '' ? plain : null);
}

function holdKey(key: ApiKey, before: HeldKey | undefined, clock: Clock): HeldKey {
  const { requestsPerSecond: rate } = key;
  const digest = Buffer.from(key.sha256, 'hex');
  if (rate === undefined) return { key, digest, bucket: null };
  const kept = before?.key.requestsPerSecond === rate ? before.bucket : null;
  return { key, digest, bucket: kept ?? createTokenBucket(rate, clock.monotonicMs()) };
}

/** Goes through all keys, found or not: how long it takes tells nothing of them. */
function keyLike(held: readonly HeldKey[], shown: string): HeldKey | null {
  if (shown.length > apiKeyCharsMax) return null;
  const digest = hash('sha256', shown, 'buffer');
  let found: HeldKey | null = null;
  for (const one of held) if (timingSafeEqual(one.digest, digest)) found = one;
  return found;
}

function refused(name: string | null, error: MillraceError): Verdict {
  return { kind: 'refused', name, error };
}

function unauthenticated(shown: string | null): MillraceError {
  const found = shown === null ? 'none' : 'one that is not known';
  return new MillraceError(
    'MILL_UNAUTHENTICATED',
    `key: wanted one as "authorization: Bearer KEY" or "x-api-key: KEY", found ${found}`,
  );
}

function forbidden({ name, roles }: ApiKey, needs: Need): MillraceError {
  return new MillraceError(
    'MILL_FORBIDDEN',
    `key "${name}": wanted role ${needs}, found ${roles.join(', ')}`,
    { details: { wanted: needs, found: roles } },
  );
}

function overRate({ name, requestsPerSecond }: ApiKey, waitMs: number): MillraceError {
  return new MillraceError(
    'MILL_OVERLOADED',
    `key "${name}": wanted at most ${requestsPerSecond} requests a second, found more`,
    { details: { retryAfterMs: Math.ceil(waitMs) } },
  );
}
