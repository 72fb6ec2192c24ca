/** Shards that take no connection of this client, since a token, a certificate or an address is wrong. */
import type { MillraceError } from '@millrace/protocol';

export interface Refusals {
  note(shard: string, error: MillraceError): void;
  /** Why one of `shards` refused, to be put behind a message; '' when none did. */
  textOf(shards: ReadonlySet<string>): string;
}

/** @param onRefused told once a try, however many requests waited for it. */
export function createRefusals(onRefused: (error: MillraceError) => void): Refusals {
  const last = new Map<string, MillraceError>();
  return {
    note(shard, error) {
      // A connection gives the same error until it tries again.
      if (last.get(shard) === error) return;
      last.set(shard, error);
      onRefused(error);
    },
    textOf(shards) {
      for (const [shard, { code, message }] of last) if (shards.has(shard)) return `; ${code}: ${message}`;
      return '';
    },
  };
}
