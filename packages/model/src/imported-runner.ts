/** What runs an imported net, whatever its format: the library that knows the format, behind one face. */
import { createHash } from 'node:crypto';
import { MillraceError } from '@millrace/protocol';
import type { EngineName } from './engine.ts';
import type { ImportedShape } from './net-shape.ts';

/** Reads one of a net's files. @throws MILL_FILE_INVALID */
export type NetReader = (file: string) => Promise<Uint8Array>;

/** An input or output as the net's own file describes it. */
export interface ImportedTensor {
  readonly name: string;
  /** `float32` and so on; null where the file does not say. */
  readonly type: string | null;
  /** A dimension that takes any size is text: its name, or ''. Null where the file does not say. */
  readonly dims: readonly (number | string)[] | null;
}

export interface ImportedFeed {
  readonly name: string;
  /** float32[rows, floats]; only read while the call lasts. */
  readonly values: Float32Array;
  readonly floats: number;
}

export interface ImportedRunner {
  readonly engine: EngineName;
  readonly inputs: readonly ImportedTensor[];
  readonly outputs: readonly ImportedTensor[];
  /** @returns all values of the output, not to be kept. */
  run(feeds: readonly ImportedFeed[], rows: number, output: string): Promise<Float32Array>;
  dispose(): void;
}

export function invalidNet({ file }: ImportedShape, problem: string): MillraceError {
  return new MillraceError('MILL_FILE_INVALID', `imported net "${file}": ${problem}`);
}

/** @throws MILL_FILE_INVALID where these are not the files that the model file means. */
export function checkHash(imported: ImportedShape, files: readonly Uint8Array[]): void {
  const hash = createHash('sha256');
  for (const bytes of files) hash.update(bytes);
  const found = hash.digest('hex');
  if (found !== imported.sha256)
    throw invalidNet(imported, `wanted SHA-256 ${imported.sha256}, found ${found}`);
}
