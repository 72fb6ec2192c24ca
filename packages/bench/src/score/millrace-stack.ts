/** Starts a cluster as `millrace up` does, one shard and one inference node, and puts all rows into it through its log. */
import { fingerprintOf, partitionOf, tableLayouts } from '@millrace/core';
import {
  compileFeatures,
  compileNet,
  createFeatureEncoder,
  createSparseBatch,
  resetBatch,
} from '@millrace/model';
import {
  encodePutBlock,
  featureValuesMax,
  gradientsSubject,
  type ModelFile,
  modelNameFrom,
} from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';
import { eventually, type LocalClusterFixture, startLocalCluster } from '@millrace/testkit';
import { dim, fields, type ScoreParameters } from './parameters.ts';
import type { ScoringStack } from './stack.ts';
import { itemOf, modelName, scoreModel, valuesOf, writeScoreRow } from './workload.ts';

export interface MillraceStack extends ScoringStack {
  readonly cluster: LocalClusterFixture;
  /** What runs the net. */
  readonly engine: string;
}

const blockRows = 2_048;
/** Appends under way at once. */
const underwayMax = 16;
const filledMsMax = 120_000;

export async function openMillraceStack(
  parameters: ScoreParameters,
  env: Readonly<Record<string, string>> = {},
): Promise<MillraceStack> {
  const cluster = await startLocalCluster({
    shards: 1,
    engine: 'auto',
    env: { MILL_CACHE_ROWS: String(parameters.cacheRows), ...env },
  });
  try {
    const file = scoreModel(parameters);
    const { model } = await cluster.client.createModel(file);
    await putRows(await cluster.bus(), file, parameters.rows);
    await eventually(() => refuseUnfilled(cluster, fields * valuesOf(parameters.rows)), {
      withinMs: filledMsMax,
      everyMs: 200,
    });
    return {
      name: 'millrace',
      url: `${cluster.url}/v1/score`,
      cluster,
      engine: model.engine,
      bodyOf: (items) =>
        JSON.stringify({
          model: modelName,
          items: items.map(itemOf),
          ...(!parameters.log && { log: false }),
        }),
      close: () => cluster.remove(),
    };
  } catch (error) {
    await cluster.remove();
    throw error;
  }
}

async function refuseUnfilled(cluster: LocalClusterFixture, wanted: number): Promise<void> {
  const { shards } = await cluster.client.status();
  const rows = shards.reduce((sum, shard) => sum + shard.rows, 0);
  if (rows < wanted) throw new Error(`the shard holds ${rows} of ${wanted} rows`);
}

/** Puts the row of every value of every field, in put blocks as an import writes them. */
async function putRows(bus: Bus, file: ModelFile, rows: number): Promise<void> {
  const plan = compileFeatures(file, compileNet(file), featureValuesMax);
  const encoder = createFeatureEncoder(plan);
  const batch = createSparseBatch(plan);
  const partitions = file.partitions ?? 0;
  const [layout] = tableLayouts(file);
  const fingerprint = fingerprintOf(file);
  const model = modelNameFrom(file.name);
  const previous = new Array<number>(partitions).fill(0);
  let sequence = 0;
  let underway: Promise<unknown>[] = [];
  const open = Array.from({ length: partitions }, emptyBlock);

  const send = async (partition: number) => {
    const { keys, weights, count } = open[partition];
    if (count === 0) return;
    open[partition] = emptyBlock();
    sequence += 1;
    const section = {
      table: 0,
      dim: layout.dim,
      stateFloats: 0,
      count,
      keys: keys.subarray(0, 2 * count),
      weights: weights.subarray(0, dim * count),
      state: new Float32Array(0),
    };
    const payload = encodePutBlock({
      producer: 'bench',
      sequence,
      previous: previous[partition],
      model: file.name,
      fingerprint,
      partition,
      timeMs: 0,
      sections: [section],
    });
    previous[partition] = sequence;
    underway.push(bus.append('gradients', gradientsSubject(model, partition), payload));
    if (underway.length < underwayMax) return;
    await Promise.all(underway);
    underway = [];
  };

  encoder.beginRequest({}, {});
  for (let value = 0; value < valuesOf(rows); value += 1) {
    resetBatch(batch);
    encoder.addItem(batch, itemOf(new Array<number>(fields).fill(value)), 0);
    const { keys } = batch.tables[0];
    for (let f = 0; f < fields; f += 1) {
      const [low, high] = [keys[2 * f], keys[2 * f + 1]];
      const partition = partitionOf(low, high, partitions);
      const block = open[partition];
      block.keys[2 * block.count] = low;
      block.keys[2 * block.count + 1] = high;
      writeScoreRow(f, value, block.weights, dim * block.count);
      block.count += 1;
      if (block.count === blockRows) await send(partition);
    }
  }
  for (let partition = 0; partition < partitions; partition += 1) await send(partition);
  await Promise.all(underway);
}

function emptyBlock() {
  return { keys: new Uint32Array(2 * blockRows), weights: new Float32Array(dim * blockRows), count: 0 };
}
