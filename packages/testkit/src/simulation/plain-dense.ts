/** The plain twin of the dense fold: all weights that there ever were, by the sequence that made them. */
import { createHash } from 'node:crypto';
import { compileNet, denseOptimizerOf, initialParameters } from '@millrace/model';
import { type DenseBlock, decodeDenseBlock, type ModelFile, type Sequence } from '@millrace/protocol';
import { plainStart, plainStep, versionAt } from './plain-partition.ts';

export interface PlainDense {
  take(sequence: Sequence, payload: Uint8Array): void;
  readonly sequences: readonly Sequence[];
  readonly applied: number;
  /** Weights as of `sequence`; the initial ones before the first block. */
  weightsAt(sequence: Sequence): Float32Array;
  /** What denseHash gives at the newest sequence. */
  hash(): string;
}

export function createPlainDense(file: ModelFile, fingerprint: number): PlainDense {
  const spec = denseOptimizerOf(file);
  const initial = initialParameters(compileNet(file), file.seed);
  const versions = [{ sequence: 0, weights: initial }];
  const state = Float32Array.from(plainStart(spec, initial.length));
  const sequences: Sequence[] = [];
  const lasts = new Map<string, number>();
  let applied = 0;
  return {
    take(sequence, payload) {
      sequences.push(sequence);
      let block: DenseBlock;
      try {
        block = decodeDenseBlock(payload);
      } catch {
        return;
      }
      if (block.model !== file.name || block.fingerprint !== fingerprint) return;
      if (block.sequence <= (lasts.get(block.producer) ?? 0)) return;
      const weights = versions[versions.length - 1].weights.slice();
      plainStep(spec, weights, state, block.gradients);
      versions.push({ sequence, weights });
      lasts.set(block.producer, block.sequence);
      applied += 1;
    },
    sequences,
    get applied() {
      return applied;
    },
    weightsAt: (sequence) => (versionAt(versions, sequence) ?? versions[0]).weights,
    hash() {
      const producers = [...lasts].sort(([a], [b]) => (a < b ? -1 : 1));
      return createHash('sha256')
        .update(JSON.stringify([file.name, fingerprint, sequences.at(-1) ?? 0, producers]))
        .update(Buffer.from(versions[versions.length - 1].weights.slice().buffer))
        .update(Buffer.from(state.slice().buffer))
        .digest('hex');
    },
  };
}
