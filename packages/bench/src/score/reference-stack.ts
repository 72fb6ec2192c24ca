/** Starts the reference: a redis-server with all rows, a file of the net, and the server before them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileNet, initialParameters, type NetShape } from '@millrace/model';
import { MillraceError } from '@millrace/protocol';
import { Redis } from 'ioredis';
import { forkModule } from '../common/fork.ts';
import { startRedis } from '../pull/redis-process.ts';
import { type MlpLayer, onnxFromMlp } from './onnx-mlp.ts';
import { dim, fields, type ScoreParameters } from './parameters.ts';
import { redisKeyOf } from './reference-keys.ts';
import type { ScoringStack } from './stack.ts';
import { itemOf, scoreModel, valuesOf, writeScoreRow } from './workload.ts';

export interface ReferenceStack extends ScoringStack {
  readonly redisVersion: string;
}

const rowsPerSet = 1_000;

/** @throws MILL_UNREACHABLE where there is no redis-server. */
export async function openReferenceStack(parameters: ScoreParameters): Promise<ReferenceStack> {
  const redis = await startRedis();
  if (redis === null) {
    throw new MillraceError(
      'MILL_UNREACHABLE',
      'the reference needs redis-server on PATH and found none: install it (Debian: apt install redis-server), or leave the reference out with --reference off',
    );
  }
  const directory = await mkdtemp(join(tmpdir(), 'mill-bench-'));
  const server = forkModule('./reference-process', import.meta.url);
  const close = async () => {
    await server.close();
    await redis.close();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await fillRedis(redis.port, parameters);
    const model = join(directory, 'mlp.onnx');
    await writeFile(model, onnxFromMlp(layersOf(parameters)));
    const { url } = await server.ask<{ url: string }>({ redisPort: redis.port, model });
    return {
      name: 'reference',
      url: `${url}/score`,
      redisVersion: redis.version,
      bodyOf: (items) => JSON.stringify({ items: items.map(itemOf) }),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function fillRedis(port: number, { rows }: ScoreParameters): Promise<void> {
  const client = new Redis(port, '127.0.0.1');
  try {
    const values = valuesOf(rows);
    for (let f = 0; f < fields; f += 1) {
      for (let value = 0; value < values; value += rowsPerSet) {
        const set: (string | Buffer)[] = [];
        for (let v = value; v < Math.min(values, value + rowsPerSet); v += 1) {
          const row = new Float32Array(dim);
          writeScoreRow(f, v, row, 0);
          set.push(String(redisKeyOf(f, v)), Buffer.from(row.buffer));
        }
        await client.mset(...set);
      }
    }
  } finally {
    client.disconnect();
  }
}

/** The net that the cluster begins with. */
function layersOf(parameters: ScoreParameters): readonly MlpLayer[] {
  const file = scoreModel(parameters);
  const shape = compileNet(file);
  return mlpOf(shape, initialParameters(shape, file.seed));
}

/** The layers of a net of nothing else. @param floats  NetShape.parameters. */
export function mlpOf({ parts }: NetShape, floats: Float32Array): readonly MlpLayer[] {
  return parts.flatMap((part) => {
    if (part.kind !== 'deep') return [];
    return [...part.hidden, part.unit].map(({ inputs, units, kernelOffset }) => {
      const biasOffset = kernelOffset + inputs * units;
      const kernel = floats.slice(kernelOffset, biasOffset);
      return { inputs, units, kernel, bias: floats.slice(biasOffset, biasOffset + units) };
    });
  });
}
