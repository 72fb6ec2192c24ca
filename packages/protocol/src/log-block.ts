/** What stands in the logs that folds read: gradients, or what is put whole; the magic tells. */
import { type DenseBlock, decodeDenseBlock } from './dense-block.ts';
import { type DensePutBlock, decodeDensePutBlock, densePutMagic } from './dense-put-block.ts';
import { decodeGradientBlock, type GradientBlock } from './gradient-block.ts';
import { decodePutBlock, type PutBlock, putMagic } from './put-block.ts';

/** A block of a partition's log. */
export type PartitionBlock = GradientBlock | PutBlock;

/** Reads a block of a partition's log. Throws MILL_BLOCK_INVALID. */
export function decodePartitionBlock(message: Uint8Array): PartitionBlock {
  return isOf(putMagic, message) ? decodePutBlock(message) : decodeGradientBlock(message);
}

/** Reads a block of the dense log. Throws MILL_BLOCK_INVALID. */
export function decodeAnyDenseBlock(message: Uint8Array): DenseBlock | DensePutBlock {
  return isOf(densePutMagic, message) ? decodeDensePutBlock(message) : decodeDenseBlock(message);
}

/** True for a message that puts rows, as its first bytes say. */
export function isPutBlock(message: Uint8Array): boolean {
  return isOf(putMagic, message);
}

/** True for a message that puts dense weights, as its first bytes say. */
export function isDensePutBlock(message: Uint8Array): boolean {
  return isOf(densePutMagic, message);
}

function isOf(magic: string, message: Uint8Array): boolean {
  for (let i = 0; i < 4; i += 1) if (message[i] !== magic.charCodeAt(i)) return false;
  return true;
}
