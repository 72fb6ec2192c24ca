/** A model file with an engine, made ready to score with rows and dense weights of a moment that is past. */
import { type DenseState, partitionOf } from '@millrace/core';
import { probabilities, type ScoreInput } from '@millrace/inference';
import {
  type BatchSpace,
  createBatchSpace,
  createFeatureEncoder,
  type EngineName,
  gatherSpace,
  initialDense,
  type OpenNet,
  openNet,
  resetSpace,
  tablesToPull,
} from '@millrace/model';
import { type ModelFile, partitionsDefault } from '@millrace/protocol';

/** One key that a request needs. */
export interface NeededKey {
  /** Place of the table in the model file. */
  readonly table: number;
  readonly partition: number;
  readonly low: number;
  readonly high: number;
  /** Where its row goes: float32[dim], of no use after the next request. */
  readonly row: Float32Array;
}

export interface PastModel {
  readonly net: OpenNet;
  readonly partitions: number;
  /** The dense weights before the first block, anew. */
  initial(): DenseState;
  /** Takes the dense weights to score with. False when they are not finite: no node would have served them. */
  useDense(state: DenseState): boolean;
  /** Keys of a request; their rows are to be filled before `score`. @throws MILL_FEATURE_INVALID */
  begin(request: ScoreInput): readonly NeededKey[];
  /** Probabilities of the request's items from the rows as they are filled now; may be called again with others. */
  score(): Promise<Float32Array>;
  /** The logits behind them. */
  logits(): Promise<Float32Array>;
  close(): void;
}

/** @throws MILL_ENGINE_UNAVAILABLE */
export async function openPastModel(file: ModelFile, engine: 'auto' | EngineName): Promise<PastModel> {
  const net = await openNet(file, { wanted: engine, onSkip() {} });
  const partitions = file.partitions ?? partitionsDefault;
  const space = createBatchSpace(net.plan);
  const encoder = createFeatureEncoder(net.plan);
  const logits = async () => {
    const { loaded, scales } = net.versions.current;
    await net.program.forward(loaded, gatherSpace(space, scales), space.logits);
    return space.logits;
  };
  return {
    net,
    partitions,
    initial: () => initialDense(file),
    useDense(state) {
      net.dense.weights.set(state.weights);
      net.dense.sequence = state.sequence;
      return net.versions.refresh() !== 'refused';
    },
    begin({ user, context, items }) {
      resetSpace(space);
      encoder.beginRequest(user, context);
      encoder.addItems(space.batch, items);
      return keysOf(space, partitions);
    },
    async score() {
      return probabilities(await logits(), 0, space.batch.rows);
    },
    logits: async () => (await logits()).slice(0, space.batch.rows),
    close: () => net.dispose(),
  };
}

function keysOf(space: BatchSpace, partitions: number): readonly NeededKey[] {
  return tablesToPull(space).flatMap(({ layout, keys, count, out }, table) =>
    Array.from({ length: count }, (_, i) => {
      const [low, high] = [keys[2 * i], keys[2 * i + 1]];
      const row = out.subarray(i * layout.dim, (i + 1) * layout.dim);
      return { table, partition: partitionOf(low, high, partitions), low, high, row };
    }),
  );
}
