/**
 * A grid: paths into a model file and the values to try there. Every combination of values is one model file.
 *
 *   { "tables.0.wide.optimizer.c": [0.5, 0.7, 1], "net": ["linear", "fm"] }      6 combinations, the last path fastest
 */
import { readFileSync } from 'node:fs';
import { MillraceError, reasonFrom } from '@millrace/protocol';

export interface Grid {
  readonly paths: readonly string[];
  /** By path, in its order. */
  readonly values: readonly (readonly unknown[])[];
}

/** More would run for hours, and find what suits this one log by chance. */
export const combinationsMax = 1_000;

/**
 * @param given  JSON, or the path of a file that holds it.
 * @throws MILL_FILE_INVALID naming what was wanted and found.
 */
export function readGrid(given: string): Grid {
  const isInline = given.trimStart().startsWith('{');
  const name = isInline ? 'the grid' : `grid "${given}"`;
  let parsed: unknown;
  try {
    parsed = JSON.parse(isInline ? given : readFileSync(given, 'utf8'));
  } catch (cause) {
    throw invalid(name, 'JSON', reasonFrom(cause), cause);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw invalid(name, 'an object of paths and values', JSON.stringify(parsed).slice(0, 80));
  const entries = Object.entries(parsed);
  if (entries.length === 0) throw invalid(name, 'at least one path', 'none');
  for (const [path, values] of entries) {
    if (!Array.isArray(values) || values.length === 0)
      throw invalid(name, `a list of values at "${path}"`, JSON.stringify(values).slice(0, 80));
  }
  const grid = {
    paths: entries.map(([path]) => path),
    values: entries.map(([, values]) => values as unknown[]),
  };
  const count = combinationsOf(grid);
  if (count > combinationsMax) throw invalid(name, `at most ${combinationsMax} combinations`, String(count));
  return grid;
}

export function combinationsOf({ values }: Grid): number {
  return values.reduce((count, list) => count * list.length, 1);
}

/** The values of combination `index`, by path. */
export function combination({ values }: Grid, index: number): readonly unknown[] {
  const chosen: unknown[] = new Array(values.length);
  let rest = index;
  for (let p = values.length - 1; p >= 0; p -= 1) {
    chosen[p] = values[p][rest % values[p].length];
    rest = Math.floor(rest / values[p].length);
  }
  return chosen;
}

/**
 * A copy of a model file with other values at some paths. A part that is not there is made, a place in a list must be.
 * @throws MILL_MODEL_INVALID for a path that leads nowhere. The copy is not checked.
 */
export function modelWith(file: object, paths: readonly string[], chosen: readonly unknown[]): unknown {
  const copy = structuredClone(file) as Record<string, unknown>;
  for (const [p, path] of paths.entries()) put(copy, path, structuredClone(chosen[p]));
  return copy;
}

function put(root: Record<string, unknown>, path: string, value: unknown): void {
  const names = path.split('.');
  let at: Record<string, unknown> = root;
  for (const [i, name] of names.entries()) {
    // A list has its places, an object what it has and what is new; nothing has a name that all objects inherit.
    const isThere = Object.hasOwn(at, name);
    if (!isThere && (Array.isArray(at) || name in at || name === ''))
      throw nowhere(path, names.slice(0, i + 1));
    if (i === names.length - 1) {
      at[name] = value;
      return;
    }
    if (!isThere) at[name] = {};
    const next = at[name];
    if (typeof next !== 'object' || next === null) throw nowhere(path, names.slice(0, i + 2));
    at = next as Record<string, unknown>;
  }
}

function nowhere(path: string, reached: readonly string[]): MillraceError {
  return new MillraceError(
    'MILL_MODEL_INVALID',
    `path "${path}" leads nowhere: the model file has no "${reached.join('.')}"`,
  );
}

function invalid(name: string, wanted: string, found: string, cause?: unknown): MillraceError {
  return new MillraceError('MILL_FILE_INVALID', `cannot use ${name}: wanted ${wanted}, found ${found}`, {
    cause,
  });
}
