/**
 * A gradient block: what one producer's batch changes in one partition. Envelope "MGB1" (envelope.ts) with
 *
 *   metadata  [producer, sequence, previous, model, fingerprint, partition, timeMs, [[table, dim, count, flags], …]]
 *   body      for each section in turn:
 *               keys       uint32[count, 2]    low word, high word
 *               gradients  float32[count, dim] summed over the batch; one row a key, keys differ
 *               curvature  float32[count, dim] only with flag 1: summed p(1−p)·(∂logit/∂w)²
 *
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
}

export interface GradientBlock extends ProducerMark {
  readonly model: string;
  readonly fingerprint: number;
  readonly partition: number;
  /** When the batch was made, Unix ms of the producer. For people and metrics, never for the fold. */
  readonly timeMs: number;
  readonly sections: readonly GradientSection[];
}

/** Bytes of a block. Throws MILL_BLOCK_INVALID when it is over the message limit. */
export function encodeGradientBlock(block: GradientBlock): Uint8Array {
  const layout: number[][] = [];
  const body: ArrayBufferView[] = [];
  for (const section of block.sections) {
    const { table, dim, count, keys, gradients, curvature } = section;
    layout.push([table, dim, count, curvature ? curvatureFlag : 0]);
    body.push(keys.subarray(0, 2 * count), gradients.subarray(0, dim * count));
    if (curvature) body.push(curvature.subarray(0, dim * count));
  }
  const { producer, sequence, previous, model, fingerprint, partition, timeMs } = block;
  return sealEnvelope(
    magic,
    [producer, sequence, previous, model, fingerprint, partition, timeMs, layout],
    body,
  );
}

/** Reads a block; its arrays are views of `message` where that is aligned. Throws MILL_BLOCK_INVALID. */
export function decodeGradientBlock(message: Uint8Array): GradientBlock {
  const { metadata, body } = openEnvelope(magic, message);
  if (!Array.isArray(metadata) || metadata.length < 8) throw invalid('metadata of 8 parts');
  const [producer, sequence, previous, model, fingerprint, partition, timeMs, layout] = metadata as unknown[];
  if (typeof producer !== 'string' || typeof model !== 'string') throw invalid('names of producer and model');
  if (
    !isCount(sequence) ||
    !isCount(previous) ||
    !isCount(fingerprint) ||
    !isCount(partition) ||
    typeof timeMs !== 'number'
  ) {
    throw invalid('whole numbers in the metadata');
  }
  if (!Array.isArray(layout) || layout.length > tablesMax) throw invalid(`at most ${tablesMax} sections`);
  const sections: GradientSection[] = [];
  let offset = 0;
  for (const entry of layout as unknown[]) {
    const [table, dim, count, flags] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (!isCount(table) || !isCount(dim) || !isCount(count) || !isCount(flags))
      throw invalid('numbers in each section');
    if (dim < 1 || dim > rowFloatsMax || flags > curvatureFlag) throw invalid('a section of known form');
    const floats = dim * count;
    const sectionBytes = 8 * count + 4 * floats * (flags === curvatureFlag ? 2 : 1);
    if (offset + sectionBytes > body.length) throw invalid('a body as long as its sections say');
    const keys = wordsAt(body, offset, 2 * count);
    const gradients = floatsAt(body, offset + 8 * count, floats);
    const curvature =
      flags === curvatureFlag ? floatsAt(body, offset + 8 * count + 4 * floats, floats) : null;
    sections.push({ table, dim, count, keys, gradients, curvature });
    offset += sectionBytes;
  }
  if (offset !== body.length) throw invalid('a body as long as its sections say');
  return { producer, sequence, previous, model, fingerprint, partition, timeMs, sections };
}

function invalid(wanted: string): MillraceError {
  return new MillraceError('MILL_BLOCK_INVALID', `cannot read a gradient block: wanted ${wanted}`);
}
