/** Writes snapshots of the dense fold of one model, and trims its log behind the oldest that is kept. */
import type { DenseState } from '@millrace/core';
import { denseSubject, modelNameFrom, reasonFrom } from '@millrace/protocol';
import type { Bus, Clock, Logger } from '@millrace/runtime';
import { type Archive, captureDense, createWholeSnapshots, trimBehind } from '@millrace/snapshot';

export interface DenseSnapshotsOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly state: DenseState;
  /** Null: nobody shares snapshots here, so none is written. */
  readonly archive: Archive | null;
  /** 0: never. */
  readonly everyMs: number;
  /** How many are kept. */
  readonly fulls: number;
}

export interface DenseSnapshots {
  /** Writes one now if the fold has moved on since the last. Throws what the store or the log throws. */
  write(): Promise<void>;
  close(): Promise<void>;
}

export function keepDenseSnapshots(options: DenseSnapshotsOptions): DenseSnapshots {
  const { bus, clock, logger, state, archive, everyMs, fulls } = options;
  let written = state.sequence;
  let writing: Promise<void> = Promise.resolve();
  let closed = false;
  let timer = { cancel() {} };

  const { model, fingerprint } = state;
  const fold = { model, fingerprint, fold: 'dense' } as const;
  const whole = archive === null ? null : createWholeSnapshots(archive, 'shared', fold);

  const writeNow = async () => {
    const { sequence } = state;
    if (archive === null || whole === null || sequence === written) return;
    // In one go, so that no block is applied between two parts of it: it is 8 MB at most.
    const blocks = [...captureDense(state)];
    await archive.write('shared', fold, { sequence, base: null }, blocks);
    written = sequence;
    // As many as are wanted first: the log stands in for those that are still missing.
    const oldest = await whole.oldestOf(fulls);
    if (oldest === null) return;
    await archive.prune('shared', fold, oldest);
    const target = { log: 'dense', subject: denseSubject(modelNameFrom(model)) } as const;
    await trimBehind(bus, target, oldest + 1, clock.now());
    logger.debug({ model, sequence, trimmedBefore: oldest + 1 }, 'dense snapshot written');
  };

  const write = () => {
    const turn = writing.then(writeNow);
    writing = turn.catch(() => undefined);
    return turn;
  };

  const schedule = () => {
    if (closed || archive === null || everyMs === 0 || state.weights.length === 0) return;
    timer = clock.setTimer(everyMs, () => {
      void write()
        .catch((error: unknown) => {
          logger.warn({ model: state.model, reason: reasonFrom(error) }, 'dense snapshot not written');
        })
        .then(schedule);
    });
  };
  schedule();

  return {
    write,
    async close() {
      closed = true;
      timer.cancel();
      await writing;
    },
  };
}
