/**
 * A gradient block: what one producer's batch changes in one partition. Envelope "MGB1" (envelope.ts) with
 *
 *   metadata  [producer, sequence, previous, model, fingerprint, partition, timeMs, [[table, dim, count, flags], …],
 *              eventTimeMs?]
 *   body      for each section in turn:
 *               keys         uint32[count, 2]    low word, high word
 *               gradients    float32[count, dim] summed over the batch; one row a key, keys differ
 *               curvature    float32[count, dim] only with flag 1: summed p(1−p)·(∂logit/∂w)²
 *               occurrences  uint32[count]       only with flag 2: examples of the batch in which the key stands
 *
 * `eventTimeMs` is the newest event time that the batch's examples had seen, from the event log; where it is left out or nil
 * it is not known, and no row goes for it. Earlier releases write neither it nor flag 2.
 * `sequence` ascends by producer; `previous` is the sequence of the producer's block before this one in the same
 * partition (0: none), so that a reader notices a block that it never got. `fingerprint` ties the block to one model file.
 */
import { floatsAt, wordsAt } from './bytes.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import { MillraceError } from './errors.ts';
import { rowFloatsMax, tablesMax } from './limits.ts';
import { isCount } from './record-checks.ts';

const magic = 'MGB1';
const curvatureFlag = 1;
const occurrencesFlag = 2;

/** Who wrote a block and where it stands in the chain of that writer's blocks. */
export interface ProducerMark {
  /** Name of the producer, stable over its restarts. */
  readonly producer: string;
  readonly sequence: number;
  readonly previous: number;
}

export interface GradientSection {
  /** Place of the table in the model file. */
  readonly table: number;
  /** Floats of one row. */
  readonly dim: number;
  readonly count: number;
  /** uint32[count, 2] */
  readonly keys: Uint32Array;
  /** float32[count, dim] */
  readonly gradients: Float32Array;
  /** float32[count, dim], or null when no optimizer of the table needs it. */
  readonly curvature: Float32Array | null;
  /** uint32[count], or null where the table neither admits nor scores: each key then counts as seen once. */
  readonly occurrences?: Uint32Array | null;
}

export interface GradientBlock extends ProducerMark {
  readonly model: string;
  readonly fingerprint: number;
  readonly partition: number;
  /** When the batch was made, Unix ms of the producer. For people and metrics, never for the fold. */
  readonly timeMs: number;
  readonly sections: readonly GradientSection[];
  /** Unix ms of the event log, what expiry goes by; null or left out: not known. */
  readonly eventTimeMs?: number | null;
}

/** Bytes of a block. Throws MILL_BLOCK_INVALID when it is over the message limit. */
export function encodeGradientBlock(block: GradientBlock): Uint8Array {
  const layout: number[][] = [];
  const body: ArrayBufferView[] = [];
  for (const { table, dim, count, keys, gradients, curvature, occurrences } of block.sections) {
    layout.push([table, dim, count, (curvature ? curvatureFlag : 0) | (occurrences ? occurrencesFlag : 0)]);
    body.push(keys.subarray(0, 2 * count), gradients.subarray(0, dim * count));
    if (curvature) body.push(curvature.subarray(0, dim * count));
    if (occurrences) body.push(occurrences.subarray(0, count));
  }
  const { producer, sequence, previous, model, fingerprint, partition, timeMs, eventTimeMs } = block;
  const metadata = [producer, sequence, previous, model, fingerprint, partition, timeMs, layout];
  return sealEnvelope(magic, typeof eventTimeMs === 'number' ? [...metadata, eventTimeMs] : metadata, body);
}

/** Reads a block; its arrays are views of `message` where that is aligned. Throws MILL_BLOCK_INVALID. */
export function decodeGradientBlock(message: Uint8Array): GradientBlock {
  const { metadata, body } = openEnvelope(magic, message);
  if (!Array.isArray(metadata) || metadata.length < 8) throw invalid('metadata of 8 parts');
  const [producer, sequence, previous, model, fingerprint, partition, timeMs, layout, eventTime] =
    metadata as unknown[];
  const eventTimeMs = eventTime ?? null;
  if (typeof producer !== 'string' || typeof model !== 'string') throw invalid('names of producer and model');
  if (
    !isCount(sequence) ||
    !isCount(previous) ||
    !isCount(fingerprint) ||
    !isCount(partition) ||
    typeof timeMs !== 'number' ||
    !(eventTimeMs === null || isCount(eventTimeMs))
  ) {
    throw invalid('whole numbers in the metadata');
  }
  if (!Array.isArray(layout) || layout.length > tablesMax) throw invalid(`at most ${tablesMax} sections`);
  const sections: GradientSection[] = [];
  let offset = 0;
  for (const entry of layout as unknown[]) {
    const section = sectionAt(body, offset, entry);
    sections.push(section);
    offset += sectionBytes(section);
  }
  if (offset !== body.length) throw invalid('a body as long as its sections say');
  return { producer, sequence, previous, model, fingerprint, partition, timeMs, sections, eventTimeMs };
}

function sectionAt(body: Uint8Array, offset: number, entry: unknown): GradientSection {
  const [table, dim, count, flags] = Array.isArray(entry) ? (entry as unknown[]) : [];
  if (!isCount(table) || !isCount(dim) || !isCount(count) || !isCount(flags))
    throw invalid('numbers in each section');
  if (dim < 1 || dim > rowFloatsMax || flags > (curvatureFlag | occurrencesFlag))
    throw invalid('a section of known form');
  const floats = dim * count;
  const hasCurvature = (flags & curvatureFlag) !== 0;
  const hasOccurrences = (flags & occurrencesFlag) !== 0;
  const gradientsAt = offset + 8 * count;
  const curvatureAt = gradientsAt + 4 * floats;
  const occurrencesAt = curvatureAt + (hasCurvature ? 4 * floats : 0);
  if (occurrencesAt + (hasOccurrences ? 4 * count : 0) > body.length)
    throw invalid('a body as long as its sections say');
  return {
    table,
    dim,
    count,
    keys: wordsAt(body, offset, 2 * count),
    gradients: floatsAt(body, gradientsAt, floats),
    curvature: hasCurvature ? floatsAt(body, curvatureAt, floats) : null,
    occurrences: hasOccurrences ? wordsAt(body, occurrencesAt, count) : null,
  };
}

function sectionBytes({ keys, gradients, curvature, occurrences }: GradientSection): number {
  return (
    keys.byteLength + gradients.byteLength + (curvature?.byteLength ?? 0) + (occurrences?.byteLength ?? 0)
  );
}

function invalid(wanted: string): MillraceError {
  return new MillraceError('MILL_BLOCK_INVALID', `cannot read a gradient block: wanted ${wanted}`);
}
