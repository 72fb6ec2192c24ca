/**
 * Looks for gradient blocks that the log has lost. Each block tells the one before it of the same producer in its partition,
 * and the updater's record tells the last one: a link that is missing, or a chain that ends too early, is a lost block.
 */
import {
  decodeBatchRecord,
  decodePartitionBlock,
  gradientsSubject,
  type ModelFile,
  modelNameFrom,
  partitionsDefault,
} from '@millrace/protocol';
import type { Bus, LogMessage } from '@millrace/runtime';
import { readStretch } from '@millrace/snapshot';

export interface BlockChains {
  /** Different blocks in the log as it is now; it may have been trimmed. */
  readonly blocks: number;
  /** Blocks that stand there twice, published again after a crash; folds pass them over. */
  readonly repeated: number;
  readonly lost: number;
}

export async function auditBlockChains(bus: Bus, file: ModelFile): Promise<BlockChains> {
  const model = modelNameFrom(file.name);
  const found = { blocks: 0, repeated: 0, lost: 0 };
  const entry = await (await bus.kv('updaters')).get(model);
  if (entry === null) return found;
  const record = decodeBatchRecord(entry.value);
  for (let partition = 0; partition < (file.partitions ?? partitionsDefault); partition += 1) {
    const subject = gradientsSubject(model, partition);
    const through = await bus.headOf('gradients', subject);
    /** Newest block so far, by producer; what stood before a trimmed log's first block is taken on trust. */
    const newest = new Map<string, number>();
    const take = ({ payload }: LogMessage) => {
      const { producer, sequence, previous } = decodePartitionBlock(payload);
      const last = newest.get(producer);
      if (last !== undefined && sequence <= last) {
        found.repeated += 1;
        return 'on' as const;
      }
      found.blocks += 1;
      if (last !== undefined && previous !== last) found.lost += 1;
      newest.set(producer, sequence);
      return 'on' as const;
    };
    await readStretch(bus, { log: 'gradients', subject, from: 1, through }, take);
    if ((newest.get(record.producer) ?? 0) < (record.previous[partition] ?? 0)) found.lost += 1;
  }
  return found;
}
