/**
 * What tells these logs from others. A directory outlives a NATS that is set up anew, and a snapshot of another log's state
 * at a sequence that both have would be continued without a word. So each set of logs gets an identity at its first use, in
 * bucket mill-trims under `log`, JSON { id }, and directories keep the snapshots of each apart.
 */
import { randomUUID } from 'node:crypto';
import { jsonBytes, jsonFrom, MillraceError } from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';

/** No log subject, so no trim mark has this key. */
const key = 'log';

/** A name of lower-case letters, digits and dashes. Throws MILL_LOG_UNAVAILABLE, MILL_RECORD_INVALID. */
export async function logIdentity(bus: Bus): Promise<string> {
  const kv = await bus.kv('trims');
  for (;;) {
    const entry = await kv.get(key);
    if (entry !== null) return identityFrom(entry.value);
    await kv.putIf(key, jsonBytes({ id: randomUUID() }), 0);
  }
}

function identityFrom(bytes: Uint8Array): string {
  const { id } = jsonFrom(bytes) as { id?: unknown };
  if (typeof id === 'string' && /^[a-z0-9][a-z0-9-]{0,63}$/.test(id)) return id;
  throw new MillraceError(
    'MILL_RECORD_INVALID',
    'the identity of the logs must be a name, see bucket mill-trims',
  );
}
