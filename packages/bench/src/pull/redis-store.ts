/** Redis as the peer: MSET of equal rows once, then one MGET a request. */
import type { PullParameters } from './parameters.ts';
import { connectRedis } from './redis-client.ts';
import { startRedis } from './redis-process.ts';
import type { RowStore } from './row-store.ts';
import { rowFloats, writeKey, writeRow } from './workload.ts';

export interface RedisStore extends RowStore {
  /** Of the server. */
  readonly version: string;
}

const rowsPerSet = 1_000;

/** Starts a server and fills it; null when there is no redis-server on PATH. */
export async function openRedisStore(parameters: PullParameters): Promise<RedisStore | null> {
  const server = await startRedis();
  if (!server) return null;
  const client = connectRedis(server.port);
  const close = async () => {
    client.close();
    await server.close();
  };
  try {
    for (let n = 0; n < parameters.rows; n += rowsPerSet) {
      const count = Math.min(rowsPerSet, parameters.rows - n);
      const keys = new Uint32Array(2 * count);
      const rows = new Float32Array(rowFloats * count);
      for (let i = 0; i < count; i += 1) {
        writeKey(n + i, parameters.seed, keys, 2 * i);
        writeRow(n + i, rows, rowFloats * i);
      }
      await client.mset(keys, count, rows);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    name: 'redis',
    answersUnknown: false,
    version: server.version,
    ask: ({ keys, count }, out) => client.mget(keys, count, out),
    close,
  };
}
