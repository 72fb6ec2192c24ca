/** Ties blocks to the model file that they were made for, so that a foreign one is recognised. */
import type { ModelFile } from '@millrace/protocol';
import { hashName } from './key-hash.ts';

/** uint32 of everything in a model file that gives rows and weights their meaning; `learning` and `$schema` do not. */
export function fingerprintOf(file: ModelFile): number {
  const { $schema: _schema, learning: _learning, ...meaning } = file;
  return hashName(canonicalJson(meaning));
}

/** JSON with sorted property names and without undefined ones: equal values give equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const record = value as Record<string, unknown>;
  const parts = Object.keys(record)
    .filter((name) => record[name] !== undefined)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(record[name])}`);
  return `{${parts.join(',')}}`;
}
