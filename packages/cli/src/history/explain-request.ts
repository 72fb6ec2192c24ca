/**
 * Computes a logged score again: the rows of its keys at the sequences where they were read, the dense version that it
 * names, the engine that scored it. What was pulled, pooled and multiplied is then the same, and so is every bit; nearly so
 * where the node kept its copies of rows rounded.
 */
import type { ScoreInput } from '@millrace/inference';
import { type EngineName, engineNames } from '@millrace/model';
import {
  decodeReadLog,
  decodeVersionRecord,
  type Impression,
  type LoggedRead,
  MillraceError,
  type ModelFile,
  readPlaceOf,
  type Sequence,
  versionKey,
} from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';
import { foldDenseAt, foldPartitionAt, mapFew } from '@millrace/snapshot';
import { fieldEffects } from './field-effects.ts';
import { type FoundRequest, findRequest } from './find-request.ts';
import { foldsOf, type HistorySource } from './history-source.ts';
import { type NeededKey, openPastModel, type PastModel } from './past-model.ts';
import { firstRow, grouped, readRow } from './past-rows.ts';

export interface ExplainOptions {
  readonly source: HistorySource;
  readonly file: ModelFile;
  readonly requestId: string;
  /** In place of the engine that scored; null: that one. */
  readonly engine: EngineName | null;
  readonly onScan: (sequence: Sequence, through: Sequence) => void;
  readonly onFold: (done: number, total: number) => void;
}

export interface ExplainedItem {
  /** Place in the impression. */
  readonly index: number;
  /** Place in the request, which outcomes name; another one where the request was ranked. */
  readonly requested: number;
  /** Probability that the policy put it there, given the places before; null where the caller chose the order. */
  readonly propensity: number | null;
  readonly logged: number;
  readonly recomputed: number;
  /** The same bits. */
  readonly equal: boolean;
  /** For a net that is a sum: what the item's logit would lose without each field (and its crosses). */
  readonly effects: Readonly<Record<string, number>> | null;
}

export interface Explanation {
  readonly found: FoundRequest;
  readonly engine: string;
  readonly version: Sequence;
  readonly reads: readonly LoggedRead[];
  readonly partitions: number;
  /** True when every item is the same to the bit. */
  readonly equal: boolean;
  /** What there is to expect: the same bits, or nearly the same where the node may have read rows that it kept rounded. */
  readonly promise: 'bits' | 'near';
  /** Largest difference between a score that was logged and the one computed again. */
  readonly differenceMax: number;
  readonly items: readonly ExplainedItem[];
  /** Keys whose rows were read in parts or stood in for, so that several rows may have been used. */
  readonly uncertainKeys: number;
  /** What to know about the comparison, in sentences. */
  readonly remarks: readonly string[];
}

/** Choices of rows that are tried where a key has several: 2^10, some hundred ms of a small net. */
const choicesMax = 1_024;

/**
 * @throws MILL_IMPRESSION_UNKNOWN when no such score was logged, MILL_HISTORY_GONE when rows or weights of then are no more,
 *   MILL_BAD_REQUEST when the impression does not say how it came about, MILL_ENGINE_UNAVAILABLE
 */
export async function explainRequest(options: ExplainOptions): Promise<Explanation> {
  const { source, file, requestId, onScan } = options;
  const found = await findRequest({ bus: source.bus, file, requestId, onProgress: onScan });
  const { impression } = found;
  if (impression.modelVersion !== undefined)
    await requireTaken(source.bus, file.name, impression.modelVersion);
  const engine = engineOf(impression, options.engine);
  const reads = decodeReadLog(impression.reads as Uint8Array);
  const model = await openPastModel(file, engine);
  try {
    await useVersion(options, model, impression.version);
    const request: ScoreInput = impression;
    const keys = model.begin(request);
    const { rows, partitions } = await rowsOf(options, model, keys, reads, impression.degraded === true);
    const logged = floatsFrom(impression.scores);
    const recomputed = await bestMatch(model, keys, rows, logged);
    const placeOf = new Map(keys.map((key, place) => [nameOf(key), place]));
    const effects = await fieldEffects(model, request, (key) => rows[placeOf.get(nameOf(key)) as number][0]);
    const propensities = impression.propensities ? floatsFrom(impression.propensities) : null;
    const items = Array.from(logged, (score, index) => ({
      index,
      requested: impression.places?.[index] ?? index,
      propensity: propensities?.[index] ?? null,
      logged: score,
      recomputed: recomputed[index],
      equal: Object.is(score, recomputed[index]),
      effects: effects?.[index] ?? null,
    }));
    const uncertainKeys = rows.filter((versions) => versions.length > 1).length;
    const equal = items.every((item) => item.equal);
    const differenceMax = Math.max(...items.map((item) => Math.abs(item.logged - item.recomputed)));
    return {
      found,
      engine,
      version: impression.version,
      reads,
      partitions,
      equal,
      promise: impression.rowFormat === undefined ? 'bits' : 'near',
      differenceMax,
      items,
      uncertainKeys,
      remarks: remarksOn({ impression, engine, equal, uncertainKeys, asked: options.engine }),
    };
  } finally {
    model.close();
  }
}

/**
 * A version that was taken has the weights of the dense fold at the sequence that its impressions tell; others have not.
 * @throws MILL_UNSUPPORTED, MILL_HISTORY_GONE
 */
async function requireTaken(bus: Bus, model: string, version: number): Promise<void> {
  const entry = await (await bus.kv('versions')).get(versionKey(model, version));
  if (entry === null)
    throw new MillraceError(
      'MILL_HISTORY_GONE',
      `version ${version} of "${model}" scored it, and that was removed`,
    );
  const { kind } = decodeVersionRecord(entry.value);
  if (kind === 'taken') return;
  throw new MillraceError(
    'MILL_UNSUPPORTED',
    `version ${version} of "${model}" scored it, which is ${kind}: its weights are not those of the log, so the log cannot give the score again; ask the node for it with "version": ${version}`,
  );
}

function engineOf(impression: Impression, wanted: EngineName | null): EngineName {
  if (impression.reads === undefined) {
    throw new MillraceError(
      'MILL_BAD_REQUEST',
      `the impression of ${impression.requestId} does not say where its rows were read, so its scores cannot be computed again`,
    );
  }
  const engine = wanted ?? impression.engine;
  const known = engineNames.find((name) => name === engine);
  if (known) return known;
  throw new MillraceError(
    'MILL_ENGINE_UNAVAILABLE',
    `the score was made by engine ${JSON.stringify(engine ?? 'none')}, which is not known here; name one with --engine`,
  );
}

async function useVersion(
  { source, file }: ExplainOptions,
  model: PastModel,
  version: Sequence,
): Promise<void> {
  if (model.net.shape.denseParameters === 0) return;
  const state = await foldDenseAt({
    ...foldsOf(source),
    model: file.name,
    initial: () => model.initial(),
    until: { sequence: version },
  });
  if (state.sequence === version && model.useDense(state)) return;
  throw new MillraceError(
    'MILL_HISTORY_GONE',
    `dense version ${version} of ${file.name} cannot be made again: the log gives ${state.sequence}`,
  );
}

/** For each key the rows that may have been used, the likeliest first. */
async function rowsOf(
  { source, file, onFold }: ExplainOptions,
  model: PastModel,
  keys: readonly NeededKey[],
  reads: readonly LoggedRead[],
  degraded: boolean,
): Promise<{ rows: readonly Float32Array[][]; partitions: number }> {
  const rows: Float32Array[][] = keys.map(() => []);
  const sequences = grouped(reads, ({ table, partition }) => readPlaceOf(table, partition));
  const sequencesOf = ({ table, partition }: NeededKey) =>
    (sequences.get(readPlaceOf(table, partition)) ?? []).map(({ sequence }) => sequence);
  const places = keys.map((_, place) => place);
  const byPartition = [...grouped(places, (place) => keys[place].partition)];
  let done = 0;
  await mapFew(byPartition.length, async (group) => {
    const [partition, members] = byPartition[group];
    const stops = [...new Set(members.flatMap((place) => sequencesOf(keys[place])))].sort((a, b) => a - b);
    if (stops.length > 0) {
      const at = new Map<Sequence, Map<number, Float32Array>>();
      await foldPartitionAt({
        ...foldsOf(source),
        file,
        partition,
        until: { sequence: stops[stops.length - 1] },
        stops,
        onStop: (state, stop) => {
          const read = members.filter((place) => sequencesOf(keys[place]).includes(stop));
          at.set(stop, new Map(read.map((place) => [place, readRow(state, keys[place])])));
        },
      });
      for (const found of at.values()) for (const [place, row] of found) addRow(rows[place], row);
    }
    done += 1;
    onFold(done, byPartition.length);
  });
  for (const [place, versions] of rows.entries()) {
    // First values stand in for rows of a partition that gave no answer, and for rows that nobody has learned yet.
    if (versions.length === 0 || degraded)
      addRow(versions, firstRow(model.net.plan.tables[keys[place].table], keys[place]));
  }
  return { rows, partitions: byPartition.length };
}

function addRow(versions: Float32Array[], row: Float32Array): void {
  if (!versions.some((known) => known.every((value, i) => Object.is(value, row[i])))) versions.push(row);
}

/** Scores of the first choice of rows that gives the logged ones to the bit; of the likeliest when none does. */
async function bestMatch(
  model: PastModel,
  keys: readonly NeededKey[],
  rows: readonly (readonly Float32Array[])[],
  logged: Float32Array,
): Promise<Float32Array> {
  const scoreOf = (choice: readonly number[]) => {
    for (const [place, key] of keys.entries()) key.row.set(rows[place][choice[place]]);
    return model.score();
  };
  const choice = keys.map(() => 0);
  const likeliest = await scoreOf(choice);
  if (isSame(likeliest, logged)) return likeliest;
  for (let tried = 1; tried < choicesMax && nextChoice(choice, rows); tried += 1) {
    const scores = await scoreOf(choice);
    if (isSame(scores, logged)) return scores;
  }
  return likeliest;
}

/** Counts on, a digit a key; false after the last choice. */
function nextChoice(choice: number[], rows: readonly (readonly Float32Array[])[]): boolean {
  for (let place = 0; place < choice.length; place += 1) {
    choice[place] += 1;
    if (choice[place] < rows[place].length) return true;
    choice[place] = 0;
  }
  return false;
}

function isSame(a: Float32Array, b: Float32Array): boolean {
  return a.every((value, i) => Object.is(value, b[i]));
}

/** Raw little-endian float32 of an impression. */
function floatsFrom(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

function nameOf({ table, low, high }: NeededKey): string {
  return `${table} ${low} ${high}`;
}

interface RemarksInput {
  readonly impression: Impression;
  readonly engine: EngineName;
  readonly equal: boolean;
  readonly uncertainKeys: number;
  readonly asked: EngineName | null;
}

function remarksOn({ impression, engine, equal, uncertainKeys, asked }: RemarksInput): readonly string[] {
  const remarks: string[] = [];
  if (impression.rowFormat !== undefined)
    remarks.push(
      `The node kept rows in ${impression.rowFormat}, so those that it did not just pull were rounded when it scored; here they are as the log gives them.`,
    );
  if (impression.degraded) {
    remarks.push(
      equal
        ? 'The score was degraded: first values stood in for rows that no owner gave. With them the scores are the same.'
        : 'The score was degraded: first values stood in for rows that no owner gave, and which ones is not known for certain, so it cannot be computed again exactly.',
    );
  } else if (uncertainKeys > 0) {
    remarks.push(
      `${uncertainKeys} keys lie in partitions that were read in parts, at two sequences; both were tried.`,
    );
  }
  if (asked !== null && asked !== impression.engine)
    remarks.push(
      `Scored by ${impression.engine ?? 'an unknown engine'}, computed again by ${engine}: last bits may differ.`,
    );
  else if (equal || impression.rowFormat !== undefined) return remarks;
  else if (engine.startsWith('tfjs-node') || engine === 'webgpu')
    remarks.push(`${engine} may give other last bits in a batch of another size.`);
  else if (engine.startsWith('onnx'))
    remarks.push(`${engine} may give other last bits on a processor of another kind.`);
  return remarks;
}
