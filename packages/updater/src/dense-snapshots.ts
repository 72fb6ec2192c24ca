/** Writes snapshots of the dense fold of one model, and trims its log behind the oldest that is kept. */
import type { DenseState } from '@millrace/core';
import { denseSubject, MillraceError, modelNameFrom, reasonFrom, type Sequence } from '@millrace/protocol';
import type { Bus, Clock, Logger } from '@millrace/runtime';
import { type Archive, captureDense, trimBehind } from '@millrace/snapshot';

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
  /** Snapshots that this process has read back whole. */
  const proven = new Set<Sequence>();
  let writing: Promise<void> = Promise.resolve();
  let closed = false;
  let timer = { cancel() {} };

  /** The log is never trimmed for a snapshot that the store does not keep as it was given, or has only a part of. */
  const prove = async (from: Archive, sequence: Sequence) => {
    if (proven.has(sequence)) return;
    const found = await from.restoreDense(blankOf(state), { atMost: sequence, atLeast: sequence });
    if (!found)
      throw new MillraceError(
        'MILL_SNAPSHOT_INVALID',
        `the dense snapshot of ${state.model} at ${sequence} is not whole in the shared store`,
      );
    proven.add(sequence);
  };

  const writeNow = async () => {
    const { model, fingerprint, sequence } = state;
    if (archive === null || sequence === written) return;
    const fold = { model, fingerprint, fold: 'dense' } as const;
    // In one go, so that no block is applied between two parts of it: it is 8 MB at most.
    const blocks = [...captureDense(state)];
    await archive.write('shared', fold, { sequence, base: null }, blocks);
    written = sequence;
    const oldest = await archive.prune('shared', fold, fulls);
    // As many as are wanted first: the log stands in for those that are still missing.
    const kept = await archive.list('shared', fold);
    if (oldest === null || kept.length < fulls) return;
    for (const snapshot of kept) await prove(archive, snapshot.sequence);
    for (const earlier of proven) if (earlier < oldest) proven.delete(earlier);
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

/** A state of the same shape, to read a snapshot into. */
function blankOf(state: DenseState): DenseState {
  return {
    ...state,
    weights: new Float32Array(state.weights.length),
    optimizerState: new Float32Array(state.optimizerState.length),
    sequence: 0,
    producers: new Map(),
    counts: { applied: 0, duplicates: 0, rejected: 0 },
  };
}
