/**
 * I5 and I9: computes every logged score again, from the weights of the version and the rows at the sequences that its
 * impression tells, and compares bit for bit; and compares what was answered with what was logged.
 */
import { partitionOf, type TableLayout, writeInitialRow } from '@millrace/core';
import {
  type BatchSpace,
  compileFeatures,
  compileNet,
  createBatchSpace,
  createFeatureEncoder,
  createPlainEngine,
  gatherSpace,
  resetSpace,
  scalesFrom,
  tablesToPull,
} from '@millrace/model';
import { decodeReadLog, featureValuesMax, type Impression, type LoggedRead } from '@millrace/protocol';
import type { Truth } from './truth.ts';
import type { Answered } from './visitors.ts';
import type { World } from './world.ts';

/** A partition read in parts at several sequences leaves open which row is of which; more ways than this are not tried. */
const waysMax = 64;

export async function checkScores(world: World, truth: Truth, answers: readonly Answered[]): Promise<number> {
  const { file } = truth;
  const shape = compileNet(file);
  const plan = compileFeatures(file, shape, featureValuesMax);
  const program = createPlainEngine().compile(shape);
  const encoder = createFeatureEncoder(plan);
  const space = createBatchSpace(plan);

  const scoresAt = async (impression: Impression, rowsOf: RowsOf): Promise<Uint8Array> => {
    resetSpace(space);
    encoder.beginRequest(impression.user, impression.context);
    for (const [i, item] of impression.items.entries()) encoder.addItem(space.batch, item, i);
    for (const [table, { layout, keys, count, out }] of tablesToPull(space).entries()) {
      for (let i = 0; i < count; i += 1) {
        const [low, high] = [keys[2 * i], keys[2 * i + 1]];
        out.set(rowsOf(table, low, high) ?? initialRow(layout, low, high), i * layout.dim);
      }
    }
    const weights = truth.dense.weightsAt(impression.version);
    const input = gatherSpace(space, scalesFrom(weights, shape.moments.length));
    await program.forward(program.load(weights), input, space.logits);
    const scores = Float32Array.from(impression.items, (_, i) => 1 / (1 + Math.exp(-space.logits[i])));
    return new Uint8Array(scores.buffer);
  };

  let checked = 0;
  const byId = new Map(answers.map((answered) => [answered.response.requestId, answered.response]));
  for (const impression of truth.impressions()) {
    const { requestId, version, reads } = impression;
    const response = byId.get(requestId);
    if (response !== undefined) {
      const answered = new Uint8Array(Float32Array.from(response.scores).buffer);
      if (response.version !== version || !Buffer.from(answered).equals(impression.scores))
        world.violate('I9', `the impression of ${requestId} tells another score than its answer`);
      if ((impression.degraded ?? false) !== response.degraded)
        world.violate('I9', `the impression of ${requestId} does not tell whether first values stood in`);
    }
    if (version !== 0 && !truth.dense.sequences.includes(version)) {
      world.violate('I5', `${requestId} was scored by version ${version}, which there never was`);
      continue;
    }
    if (reads === undefined || impression.engine === undefined) {
      world.violate('I9', `the impression of ${requestId} does not tell what it was scored with`);
      continue;
    }
    const ways = waysToRead(truth, decodeReadLog(reads));
    if (ways === null) continue;
    checked += 1;
    let explained = false;
    for (const rowsOf of ways) {
      explained ||= Buffer.from(await scoresAt(impression, rowsOf)).equals(impression.scores);
    }
    if (!explained) {
      const where = `${requestId} at version ${version}`;
      world.violate('I5', `${where}: its version and its rows give another score`);
      world.violate('I9', `${where}: what its impression tells does not explain its score`);
    }
    if (!impression.degraded && lacksReads(space, truth, decodeReadLog(reads)))
      world.violate('I9', `the impression of ${requestId} lacks a read`);
  }
  return checked;
}

type RowsOf = (table: number, low: number, high: number) => Float32Array | null;

function initialRow(layout: TableLayout, low: number, high: number): Float32Array {
  const row = new Float32Array(layout.dim);
  writeInitialRow(layout, low, high, row, 0);
  return row;
}

/** One way for each choice among the sequences of partitions that were read in parts; null when there are too many. */
function waysToRead(truth: Truth, reads: readonly LoggedRead[]): readonly RowsOf[] | null {
  const choices = new Map<string, number[]>();
  for (const { table, partition, sequence } of reads) {
    const known = choices.get(`${table} ${partition}`) ?? [];
    choices.set(`${table} ${partition}`, [...known, sequence]);
  }
  // Rows of one partition that were read in parts may each be of either: all alike is tried, which is right where a row changed.
  const ways = [...choices.values()].reduce((product, sequences) => product * sequences.length, 1);
  if (ways > waysMax) return null;
  return Array.from({ length: ways }, (_, way) => {
    const chosen = new Map<string, number>();
    let rest = way;
    for (const [place, sequences] of choices) {
      chosen.set(place, sequences[rest % sequences.length]);
      rest = Math.floor(rest / sequences.length);
    }
    return (table: number, low: number, high: number) => {
      const partition = partitionOf(low, high, truth.partitions.length);
      const sequence = chosen.get(`${table} ${partition}`);
      return sequence === undefined ? null : truth.partitions[partition].rowAt(table, low, high, sequence);
    };
  });
}

/** True when a row was needed of a partition that no read tells of. */
function lacksReads(space: BatchSpace, truth: Truth, reads: readonly LoggedRead[]): boolean {
  const told = new Set(reads.map(({ table, partition }) => `${table} ${partition}`));
  return space.batch.tables.some(({ keys, unique }, table) => {
    for (let i = 0; i < unique; i += 1) {
      const partition = partitionOf(keys[2 * i], keys[2 * i + 1], truth.partitions.length);
      if (!told.has(`${table} ${partition}`)) return true;
    }
    return false;
  });
}
