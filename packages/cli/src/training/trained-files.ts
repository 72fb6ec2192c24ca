/**
 * A trained model on disk:
 *
 *   DIR/model.json   the model file
 *   DIR/weights/     its state, a snapshot a partition and one of the dense weights (package snapshot)
 *   DIR/train.json   how it came about (TrainRecord), with the hash of the state
 *
 * New weights take the place of old ones in one step, and train.json is written last. What a crash leaves behind does not fit
 * together, which the hash shows when it is opened: then it is an error, never a mixture.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DenseState, fingerprintOf, type PartitionState, tableLayouts } from '@millrace/core';
import { createLocalLearner, type LocalLearner, learnedHash } from '@millrace/learner';
import { initialDense, openNet, parseModelFile } from '@millrace/model';
import { MillraceError, type ModelFile, partitionsDefault, reasonFrom } from '@millrace/protocol';
import { createDirectoryBlobs } from '@millrace/runtime';
import { captureDense, capturePartition, createArchive } from '@millrace/snapshot';
import { engineForSteps, type LearnerOptions } from './open-learner.ts';
import type { TrainRecord } from './train-record.ts';

export interface Trained {
  readonly file: ModelFile;
  readonly record: TrainRecord;
  /** By partition, all of them; the caller's. */
  readonly states: readonly PartitionState[];
  readonly dense: DenseState;
}

const store = 'trained';

/** Writes model file, state and record to `dir`, over what was there. @throws MILL_STORE_UNAVAILABLE, and errors of the disk. */
export async function saveTrained(dir: string, { file, record, states, dense }: Trained): Promise<void> {
  await mkdir(dir, { recursive: true });
  const fresh = join(dir, 'weights-new');
  await rm(fresh, { recursive: true, force: true });
  const archive = createArchive({
    stores: [{ name: store, blobs: createDirectoryBlobs(fresh) }],
    onDamaged: () => {},
  });
  for (const state of states) {
    const { model, fingerprint, partition, sequence } = state;
    const blocks = [...capturePartition(state, null)];
    await archive.write(store, { model, fingerprint, fold: partition }, { sequence, base: null }, blocks);
  }
  const { model, fingerprint, sequence } = dense;
  const blocks = [...captureDense(dense)];
  await archive.write(store, { model, fingerprint, fold: 'dense' }, { sequence, base: null }, blocks);
  await rm(join(dir, 'weights'), { recursive: true, force: true });
  await rename(fresh, join(dir, 'weights'));
  await writeWhole(join(dir, 'model.json'), `${JSON.stringify(file, null, 2)}\n`);
  await saveRecord(dir, record);
}

/** Writes the record alone: what is to be told of the same state has grown. */
export async function saveRecord(dir: string, record: TrainRecord): Promise<void> {
  await writeWhole(join(dir, 'train.json'), `${JSON.stringify(record, null, 2)}\n`);
}

/**
 * Reads what {@link saveTrained} wrote, all of it checked.
 * @throws MILL_FILE_INVALID naming the folder and what is not there, damaged, or not of one piece; MILL_MODEL_INVALID.
 */
export async function openTrained(dir: string): Promise<Trained> {
  const record = (await jsonOf(dir, 'train.json')) as TrainRecord;
  const file = parseModelFile(await jsonOf(dir, 'model.json'));
  const fingerprint = fingerprintOf(file);
  const layouts = tableLayouts(file);
  const damaged: string[] = [];
  const archive = createArchive({
    stores: [{ name: store, blobs: createDirectoryBlobs(join(dir, 'weights')) }],
    onDamaged: (_store, path, error) => damaged.push(`${path}: ${error.message}`),
  });
  const found = () => damaged[0] ?? 'none';
  const states: PartitionState[] = [];
  for (let partition = 0; partition < (file.partitions ?? partitionsDefault); partition += 1) {
    const state = await archive.restorePartition({ model: file.name, fingerprint, partition, layouts });
    if (state === null) throw invalid(dir, `a whole snapshot of partition ${partition}`, found());
    states.push(state);
  }
  const dense = initialDense(file);
  if (!(await archive.restoreDense(dense)))
    throw invalid(dir, 'a whole snapshot of the dense weights', found());
  if (learnedHash(states, dense) !== record.stateHash)
    throw invalid(dir, 'the weights that train.json tells of', 'others: the writing of it did not end');
  return { file, record, states, dense };
}

/** A learner that goes on from a trained state, which it takes over. @throws MILL_ENGINE_UNAVAILABLE */
export async function learnerFrom(
  { file, states, dense }: Trained,
  { engine, batchExamples }: Omit<LearnerOptions, 'file'>,
): Promise<LocalLearner> {
  const net = await openNet(file, { wanted: engineForSteps(file, engine, batchExamples), onSkip: () => {} });
  net.dense.weights.set(dense.weights);
  net.dense.optimizerState.set(dense.optimizerState);
  net.dense.sequence = dense.sequence;
  return createLocalLearner(net, states);
}

async function jsonOf(dir: string, name: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(dir, name), 'utf8'));
  } catch (cause) {
    throw invalid(dir, `${name} as \`millrace train\` writes it`, reasonFrom(cause), cause);
  }
}

/** Under its name there is the whole text or what was there before. */
async function writeWhole(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

function invalid(dir: string, wanted: string, found: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'MILL_FILE_INVALID',
    `cannot open the trained model in "${dir}": wanted ${wanted}, found ${found}`,
    { cause },
  );
}
