/**
 * Writes a batch down, then publishes it: record first (compare-and-set), then every block, each until it is acknowledged.
 * The next batch begins only after that, so the blocks of one producer stand in each partition's log in order.
 */
import {
  type BatchRecord,
  decodeBatchRecord,
  denseSubject,
  encodeBatchRecord,
  gradientsSubject,
  isMillraceError,
  type LogName,
  MillraceError,
  modelNameFrom,
} from '@millrace/protocol';
import type { Bus, Clock, Kv, Logger } from '@millrace/runtime';
import type { TrainedBatch } from './trainer.ts';

export interface BatchPublisher {
  /** The record that the last updater left, null on the first start. */
  readonly found: BatchRecord | null;
  /** @throws MILL_FENCED when another updater has written since. Waits while NATS is out of reach. */
  record(record: BatchRecord): Promise<void>;
  /** Resolves when all blocks are acknowledged. Waits while NATS is out of reach. */
  publish(record: BatchRecord, batch: TrainedBatch): Promise<void>;
  /** Newest acknowledged sequence of each partition, and of the dense log. */
  readonly heads: { readonly partitions: number[]; dense: number };
  close(): void;
}

const pauseFirstMs = 50;
const pauseMaxMs = 2_000;

export interface BatchPublisherOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly model: string;
  readonly partitions: number;
}

export async function openBatchPublisher(options: BatchPublisherOptions): Promise<BatchPublisher> {
  const { bus, clock, logger, partitions } = options;
  const model = modelNameFrom(options.model);
  const kv: Kv = await bus.kv('updaters');
  const entry = await kv.get(model);
  let revision = entry?.revision ?? 0;
  let closed = false;
  const heads = { partitions: new Array<number>(partitions).fill(0), dense: 0 };
  for (let partition = 0; partition < partitions; partition += 1) {
    heads.partitions[partition] = await bus.headOf('gradients', gradientsSubject(model, partition));
  }
  heads.dense = await bus.headOf('dense', denseSubject(model));

  /** Tries until it is done, with pauses; only an error that a second try cannot mend ends it. */
  const persist = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    for (let pauseMs = pauseFirstMs; ; pauseMs = Math.min(pauseMaxMs, 2 * pauseMs)) {
      try {
        return await work();
      } catch (error) {
        if (closed || !isMillraceError(error) || error.retry === 'never') throw error;
        logger.warn({ err: error, what }, 'log not reached, trying again');
        await new Promise<void>((resolve) => clock.setTimer(pauseMs, resolve));
      }
    }
  };

  const writeRecord = async (record: BatchRecord) => {
    const bytes = encodeBatchRecord(record);
    const written = await kv.putIf(model, bytes, revision);
    if (written !== null) {
      revision = written;
      return;
    }
    // A write whose acknowledgement was lost looks like another writer's: it is ours if the very same bytes stand there.
    const found = await kv.get(model);
    if (found && Buffer.from(found.value).equals(bytes)) {
      revision = found.revision;
      return;
    }
    throw new MillraceError('MILL_FENCED', `another updater has taken over model ${model}; this one stops`);
  };

  const append = (log: LogName, subject: string, bytes: Uint8Array, messageId: string) =>
    persist(`append to ${subject}`, () => bus.append(log, subject, bytes, { messageId }));

  return {
    found: entry ? decodeBatchRecord(entry.value) : null,
    heads,
    record: (record) => persist('write the batch record', () => writeRecord(record)),
    async publish(record, { blocks, dense }) {
      const prefix = `${model}/${record.producer}/${record.batch}`;
      const appends = blocks.map(async ({ partition, bytes }) => {
        const subject = gradientsSubject(model, partition);
        heads.partitions[partition] = await append('gradients', subject, bytes, `${prefix}/${partition}`);
      });
      if (dense) {
        appends.push(
          append('dense', denseSubject(model), dense, `${prefix}/dense`).then((sequence) => {
            heads.dense = sequence;
          }),
        );
      }
      await Promise.all(appends);
    },
    close() {
      closed = true;
    },
  };
}
