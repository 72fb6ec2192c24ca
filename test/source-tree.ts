/** The repository's own text, for tests about it. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

export const root = dirname(import.meta.dirname);

export interface SourceFile {
  /** From the repository's root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text without comments and without what stands between plain quotes; the same lines. */
  readonly code: string;
  readonly lines: number;
}

const skipped = new Set(['node_modules', 'dist', 'coverage']);

/** Every file under `folder` (a path from the root) whose name ends in one of `endings`. Hidden and built folders are left out. */
export function filesUnder(folder: string, endings: readonly string[]): SourceFile[] {
  const entries = readdirSync(join(root, folder), { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((path) => !path.split('/').some((part) => skipped.has(part) || part.startsWith('.')))
    .sort()
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      return { path, text, code: codeOf(text), lines: text.trimEnd().split('\n').length };
    });
}

/** A string keeps its quotes and loses its text; templates stay, since code may stand in them. Lines keep their numbers. */
function codeOf(text: string): string {
  const parts = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\/\*[\s\S]*?\*\/|(?<!:)\/\/[^\n]*/g;
  return text.replaceAll(parts, (part) =>
    part.startsWith('/') ? part.replaceAll(/[^\n]/g, '') : part[0] + part[0],
  );
}

/** What a file imports, statically or not, types included. */
export function importsOf({ text }: SourceFile): string[] {
  const withoutComments = text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const forms = /(?:\bfrom\s+|\bimport\s*\(\s*|\bimport\s+)'([^']+)'/g;
  return [...withoutComments.matchAll(forms)].map(([, name]) => name);
}

/** The package that an import names: `nats`, `@millrace/core`; null for a file of the same package. */
export function packageOf(name: string): string | null {
  if (name.startsWith('.')) return null;
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
}

/** The parsed JSON file at `path` from the root. */
export function jsonAt(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(root, path), 'utf8')) as Record<string, unknown>;
}
