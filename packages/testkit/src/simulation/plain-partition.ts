/**
 * The plain twin of a partition's fold: a map of rows, each with all values it ever had and the sequence since when. It shares
 * with the production fold the decoding of blocks and the first values of rows, and nothing of what decides whether, in
 * which order and where a block is applied. From it the state at any sequence can be told, and what a row was then.
 */
import { createHash } from 'node:crypto';
import { type TableLayout, writeInitialRow } from '@millrace/core';
import {
  decodeGradientBlock,
  type GradientBlock,
  type GradientSection,
  type ModelFile,
  type OptimizerSpec,
  type Sequence,
} from '@millrace/protocol';
import { createPlainLife } from './plain-life.ts';

interface RowVersion {
  readonly sequence: Sequence;
  readonly weights: Float32Array;
  readonly state: Float32Array;
  /** Tick at which it was learned last, null where the table's rows stay. */
  readonly tick: number | null;
  /** It was not there any more from here on. */
  readonly gone: boolean;
}

/** What besides rows decides what comes and goes, from a sequence on. */
interface LifeVersion {
  readonly sequence: Sequence;
  readonly head: readonly unknown[];
  readonly memories: readonly (Uint32Array | null)[];
}

interface PlainRow {
  readonly low: number;
  readonly high: number;
  /** Ascending by sequence. */
  readonly versions: RowVersion[];
}

export interface PlainPartition {
  take(sequence: Sequence, payload: Uint8Array): void;
  /** Sequences of all messages taken, ascending. */
  readonly sequences: readonly Sequence[];
  /** Blocks applied. */
  readonly applied: readonly GradientBlock[];
  /** How many of them up to `sequence`. */
  appliedUntil(sequence: Sequence): number;
  readonly rejected: number;
  /** Blocks whose predecessor had not been applied. */
  readonly holes: number;
  /** Weights of a row as of `sequence`; null when it was not there yet. */
  rowAt(table: number, low: number, high: number, sequence: Sequence): Float32Array | null;
  /** What partitionHash gives for the state at `sequence`. */
  hashAt(sequence: Sequence): string;
}

export interface PlainPartitionOptions {
  readonly file: ModelFile;
  readonly fingerprint: number;
  readonly layouts: readonly TableLayout[];
  readonly partition: number;
}

export function createPlainPartition({
  file,
  fingerprint,
  layouts,
  partition,
}: PlainPartitionOptions): PlainPartition {
  const tables = layouts.map(() => new Map<string, PlainRow>());
  const sequences: Sequence[] = [];
  const applied: GradientBlock[] = [];
  const appliedAt: Sequence[] = [];
  /** By producer: (log sequence, producer sequence) of all that was applied. */
  const producers = new Map<string, { readonly sequence: Sequence; readonly last: number }[]>();
  const hashes = new Map<Sequence, string>();
  let rejected = 0;
  let holes = 0;

  const isOurs = (block: GradientBlock) =>
    block.model === file.name &&
    block.partition === partition &&
    block.fingerprint === fingerprint &&
    block.sections.every(({ table, dim }) => layouts[table]?.dim === dim);

  const lives = file.tables.map(createPlainLife);
  const lifeVersions: LifeVersion[] = [];
  const expires = file.tables.some(({ expiry }) => expiry);
  let eventTimeMs = 0;

  const step = (sequence: Sequence, { table, keys, gradients, count, dim, occurrences }: GradientSection) => {
    for (let i = 0; i < count; i += 1) {
      const gradient = gradients.subarray(i * dim, (i + 1) * dim);
      if (!gradient.every(Number.isFinite)) continue;
      const low = keys[2 * i];
      const high = keys[2 * i + 1];
      const rows = tables[table];
      const row = rows.get(`${low} ${high}`) ?? { low, high, versions: [] };
      const last = row.versions.at(-1);
      const isThere = last !== undefined && !last.gone;
      if (!isThere && !lives[table].admits(low, high, occurrences?.[i] ?? 1)) continue;
      rows.set(`${low} ${high}`, row);
      const before = isThere ? last : firstVersion(file, layouts[table], table, low, high);
      const stepped = steppedVersion(file, table, before, gradient, sequence);
      row.versions.push({ ...stepped, tick: lives[table].tickAt(eventTimeMs) });
    }
  };

  const sweep = (sequence: Sequence) => {
    for (const [table, rows] of tables.entries()) {
      const living = [...rows.values()].flatMap(({ low, high, versions }) => {
        const last = versions.at(-1);
        return last && !last.gone ? [{ low, high, versions, last, tick: last.tick ?? 0 }] : [];
      });
      const { started, over } = lives[table].sweep(living, eventTimeMs);
      const tick = lives[table].tickAt(eventTimeMs);
      for (const { versions, last } of started) versions.push({ ...last, sequence, tick });
      for (const { versions, last } of over) versions.push({ ...last, sequence, gone: true });
    }
    const head = expires ? [eventTimeMs, lives.map((life) => life.place())] : [];
    lifeVersions.push({ sequence, head, memories: lives.map((life) => life.memory()) });
  };

  const plain: PlainPartition = {
    take(sequence, payload) {
      sequences.push(sequence);
      let block: GradientBlock;
      try {
        block = decodeGradientBlock(payload);
      } catch {
        rejected += 1;
        return;
      }
      if (!isOurs(block)) {
        rejected += 1;
        return;
      }
      const marks = producers.get(block.producer) ?? [];
      const last = marks.at(-1)?.last ?? 0;
      if (block.sequence <= last) return;
      if (block.previous > last) holes += 1;
      if (expires) eventTimeMs = Math.max(eventTimeMs, block.eventTimeMs ?? 0);
      for (const section of block.sections) step(sequence, section);
      sweep(sequence);
      producers.set(block.producer, [...marks, { sequence, last: block.sequence }]);
      applied.push(block);
      appliedAt.push(sequence);
    },
    sequences,
    applied,
    appliedUntil: (sequence) => appliedAt.filter((at) => at <= sequence).length,
    get rejected() {
      return rejected;
    },
    get holes() {
      return holes;
    },
    rowAt(table, low, high, sequence) {
      const version = versionAt(tables[table].get(`${low} ${high}`)?.versions ?? [], sequence);
      return version === undefined || version.gone ? null : version.weights;
    },
    hashAt(sequence) {
      const known = hashes.get(sequence);
      if (known !== undefined) return known;
      const lasts = [...producers]
        .map(([producer, marks]) => [producer, versionAt(marks, sequence)?.last] as const)
        .filter(([, last]) => last !== undefined)
        .sort(([a], [b]) => (a < b ? -1 : 1));
      const hash = createHash('sha256');
      const life = versionAt(lifeVersions, sequence);
      const head = life?.head ?? (expires ? [0, lives.map(() => [0, 0])] : []);
      hash.update(JSON.stringify([file.name, fingerprint, partition, sequence, lasts, ...head]));
      for (const [table, rows] of tables.entries()) {
        const present = [...rows.values()].flatMap((row) => {
          const version = versionAt(row.versions, sequence);
          return version && !version.gone ? [{ row, version }] : [];
        });
        present.sort((a, b) => a.row.high - b.row.high || a.row.low - b.row.low);
        hash.update(`${layouts[table].name}:${present.length}`);
        for (const { row, version } of present) {
          hash.update(Buffer.from(Uint32Array.of(row.low, row.high).buffer));
          hash.update(Buffer.from(version.weights.buffer));
          hash.update(Buffer.from(version.state.buffer));
          if (version.tick !== null) hash.update(Buffer.from(Uint32Array.of(version.tick).buffer));
        }
        const memory = life ? life.memories[table] : createPlainLife(file.tables[table]).memory();
        if (memory) hash.update(Buffer.from(memory.buffer));
      }
      const found = hash.digest('hex');
      hashes.set(sequence, found);
      return found;
    },
  };
  return plain;
}

/** The last of `versions` at or before `sequence`. */
export function versionAt<T extends { readonly sequence: Sequence }>(
  versions: readonly T[],
  sequence: Sequence,
): T | undefined {
  for (let i = versions.length - 1; i >= 0; i -= 1) if (versions[i].sequence <= sequence) return versions[i];
  return undefined;
}

function optimizersOf(file: ModelFile, table: number): readonly { dim: number; spec: OptimizerSpec }[] {
  const { wide, embedding } = file.tables[table];
  return [
    ...(wide ? [{ dim: 1, spec: wide.optimizer }] : []),
    ...(embedding ? [{ dim: embedding.dim, spec: embedding.optimizer }] : []),
  ];
}

function firstVersion(
  file: ModelFile,
  layout: TableLayout,
  table: number,
  low: number,
  high: number,
): RowVersion {
  const weights = new Float32Array(layout.dim);
  writeInitialRow(layout, low, high, weights, 0);
  const state = optimizersOf(file, table).flatMap(({ dim, spec }) => plainStart(spec, dim));
  return { sequence: 0, weights, state: Float32Array.from(state), tick: null, gone: false };
}

function steppedVersion(
  file: ModelFile,
  table: number,
  before: RowVersion,
  gradient: Float32Array,
  sequence: Sequence,
): RowVersion {
  const weights = before.weights.slice();
  const state = before.state.slice();
  let at = 0;
  let stateAt = 0;
  for (const { dim, spec } of optimizersOf(file, table)) {
    plainStep(spec, weights.subarray(at, at + dim), state.subarray(stateAt), gradient.subarray(at, at + dim));
    at += dim;
    stateAt += plainStart(spec, dim).length;
  }
  return { sequence, weights, state, tick: null, gone: false };
}

/** First state of a segment; the simulation's models use these optimizers. */
export function plainStart(spec: OptimizerSpec, dim: number): number[] {
  switch (spec.type) {
    case 'sgd':
      return [];
    case 'adagrad':
      return new Array<number>(dim).fill(spec.initialAccumulator ?? 0.1);
    case 'adam':
      return [...new Array<number>(2 * dim).fill(0), 1, 1];
    default:
      throw new Error(`the plain twin has no ${spec.type}`);
  }
}

/** One step as its formula stands in the docs: double precision, rounded once where it is stored. */
export function plainStep(spec: OptimizerSpec, w: Float32Array, s: Float32Array, g: Float32Array): void {
  const dim = w.length;
  if (spec.type === 'adam') {
    s[2 * dim] *= spec.beta1 ?? 0.9;
    s[2 * dim + 1] *= spec.beta2 ?? 0.999;
  }
  for (let d = 0; d < dim; d += 1) {
    if (spec.type === 'sgd') w[d] -= spec.learningRate * g[d];
    else if (spec.type === 'adagrad') {
      s[d] += g[d] * g[d];
      w[d] -= (spec.learningRate * g[d]) / (Math.sqrt(s[d]) + (spec.epsilon ?? 1e-10));
    } else if (spec.type === 'adam') {
      const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = spec;
      s[d] = beta1 * s[d] + (1 - beta1) * g[d];
      s[dim + d] = beta2 * s[dim + d] + (1 - beta2) * g[d] * g[d];
      const mean = s[d] / (1 - s[2 * dim]);
      w[d] -= (spec.learningRate * mean) / (Math.sqrt(s[dim + d] / (1 - s[2 * dim + 1])) + epsilon);
    }
  }
}
