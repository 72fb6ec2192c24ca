/**
 * The reference: what one builds of good parts where there is no parameter server. A fastify server that reads the rows of a
 * request's distinct keys by one MGET (ioredis) and runs the net by ONNX Runtime, one thread beside the one of JavaScript.
 */
import { fastify } from 'fastify';
import { Redis } from 'ioredis';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { dim, fields } from './parameters.ts';
import { redisKeyOf } from './reference-keys.ts';
import { fieldNames } from './workload.ts';

export interface ReferenceStart {
  readonly redisPort: number;
  /** Path of an ONNX file. */
  readonly model: string;
}

interface ScoreBody {
  readonly items: readonly Record<string, number>[];
}

const scoresSchema = {
  response: {
    200: {
      type: 'object',
      properties: { scores: { type: 'array', items: { type: 'number' } } },
    },
  },
} as const;
const rowBytes = 4 * dim;

async function start({ redisPort, model }: ReferenceStart): Promise<string> {
  const redis = new Redis(redisPort, '127.0.0.1', { lazyConnect: true });
  await redis.connect();
  const session = await InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const app = fastify({ logger: false, bodyLimit: 8 * 1024 * 1024 });
  app.post<{ Body: ScoreBody }>('/score', { schema: scoresSchema }, async ({ body }) => {
    const { items } = body;
    const places = new Map<number, number>();
    const keys: string[] = [];
    const placeOf = new Int32Array(items.length * fields);
    for (let i = 0; i < items.length; i += 1) {
      for (let f = 0; f < fields; f += 1) {
        const key = redisKeyOf(f, items[i][fieldNames[f]]);
        let place = places.get(key);
        if (place === undefined) {
          place = keys.length;
          places.set(key, place);
          keys.push(String(key));
        }
        placeOf[i * fields + f] = place;
      }
    }
    const found = await redis.mgetBuffer(keys);
    const rows = new Float32Array(keys.length * dim);
    const bytes = new Uint8Array(rows.buffer);
    for (let k = 0; k < keys.length; k += 1) {
      const row = found[k];
      if (row !== null) bytes.set(row, k * rowBytes);
    }
    const input = new Float32Array(items.length * fields * dim);
    for (let o = 0; o < placeOf.length; o += 1) {
      const from = placeOf[o] * dim;
      const to = o * dim;
      for (let d = 0; d < dim; d += 1) input[to + d] = rows[from + d];
    }
    const { score } = await session.run({ x: new Tensor('float32', input, [items.length, fields * dim]) });
    return { scores: Array.from(score.data as Float32Array) };
  });
  return await app.listen({ host: '127.0.0.1', port: 0 });
}

process.once('message', (message) => {
  void start(message as ReferenceStart).then((url) => process.send?.({ url }));
});
process.once('disconnect', () => process.exit());
