/** Gradient blocks in the log, as one producer's: which rows they touch is a function of the seed. */
import { fingerprintOf, partitionOf, tableLayouts } from '@millrace/core';
import { encodeGradientBlock, gradientsSubject, type ModelFile, modelNameFrom } from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';
import { writeKey } from '../pull/workload.ts';
import { blockKeys } from './parameters.ts';

export interface LogWriter {
  /** Appends gradients for the keys `from` … `to` − 1; resolves when all are acknowledged. */
  touch(from: number, to: number): Promise<void>;
}

/** Appends under way at once. */
const underwayMax = 64;

export function createLogWriter(bus: Bus, file: ModelFile, seed: number): LogWriter {
  const model = modelNameFrom(file.name);
  const partitions = file.partitions ?? 0;
  const fingerprint = fingerprintOf(file);
  const [{ dim }] = tableLayouts(file);
  const previous = new Array<number>(partitions).fill(0);
  const words = new Uint32Array(2);
  let batch = 0;

  const append = (partition: number, keys: Uint32Array, count: number) => {
    batch += 1;
    const gradients = new Float32Array(count * dim);
    for (let i = 0; i < gradients.length; i += 1) gradients[i] = ((batch + i) % 7) - 3;
    const section = { table: 0, dim, count, keys, gradients, curvature: null };
    const payload = encodeGradientBlock({
      producer: 'bench',
      sequence: batch,
      previous: previous[partition],
      model: file.name,
      fingerprint,
      partition,
      timeMs: 0,
      sections: [section],
    });
    previous[partition] = batch;
    return bus.append('gradients', gradientsSubject(model, partition), payload);
  };

  return {
    async touch(from, to) {
      const open = Array.from({ length: partitions }, () => ({
        keys: new Uint32Array(2 * blockKeys),
        count: 0,
      }));
      let underway: Promise<unknown>[] = [];
      const flush = async (partition: number) => {
        const { keys, count } = open[partition];
        if (count === 0) return;
        underway.push(append(partition, keys, count));
        open[partition] = { keys: new Uint32Array(2 * blockKeys), count: 0 };
        if (underway.length < underwayMax) return;
        await Promise.all(underway);
        underway = [];
      };
      for (let n = from; n < to; n += 1) {
        writeKey(n, seed, words, 0);
        const partition = partitionOf(words[0], words[1], partitions);
        const block = open[partition];
        block.keys.set(words, 2 * block.count);
        block.count += 1;
        if (block.count === blockKeys) await flush(partition);
      }
      for (let partition = 0; partition < partitions; partition += 1) await flush(partition);
      await Promise.all(underway);
    },
  };
}
