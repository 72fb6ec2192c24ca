/** Checks a model file and gives it a canonical form. */
import { MillraceError, type ModelFile } from '@millrace/protocol';
import { Ajv, type ValidateFunction } from 'ajv';
import { brokenRules } from './model-rules.ts';
import { modelSchema } from './model-schema.ts';
import type { Schema } from './schema-parts.ts';
import { problemsFrom } from './schema-problems.ts';

/** Problems that a message lists; `details.problems` has all of them. */
const problemsShownMax = 20;

let validate: ValidateFunction | undefined;

/**
 * Checks that `value` is a sound model file: its schema first, then the rules between its parts.
 * @returns a deep-frozen copy.
 * @throws MILL_MODEL_INVALID; the message and `details.problems` have one `path: wanted …, found …` a problem.
 */
export function parseModelFile(value: unknown): ModelFile {
  // Compiling the schema takes some 20 ms, so it waits until a model file is read.
  validate ??= new Ajv({ allErrors: true, discriminator: true, verbose: true, strictTypes: false }).compile(
    withDiscriminators(modelSchema) as Schema,
  );
  const problems = validate(value) ? brokenRules(value as ModelFile) : problemsFrom(validate.errors ?? []);
  if (problems.length > 0) throw modelError(problems);
  return frozen(structuredClone(value)) as ModelFile;
}

/** A model file written in TypeScript: the same checks as {@link parseModelFile}, and the same errors. */
export function defineModel(file: ModelFile): ModelFile {
  return parseModelFile(file);
}

/**
 * Canonical form: JSON in UTF-8 with sorted names and no blanks. `$schema` is left out, for it means nothing to the model.
 * Two files are the same model when these bytes are equal.
 */
export function modelFileBytes(file: ModelFile): Uint8Array {
  return new TextEncoder().encode(canonicalText(file));
}

/** True when both describe the same model, whatever the order of their names. */
export function sameModel(a: ModelFile, b: ModelFile): boolean {
  return canonicalText(a) === canonicalText(b);
}

function canonicalText(file: ModelFile): string {
  const { $schema: _, ...model } = file;
  return JSON.stringify(model, (_name, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function modelError(problems: readonly string[]): MillraceError {
  const shown = problems.slice(0, problemsShownMax);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
  return new MillraceError('MILL_MODEL_INVALID', `the model file is not valid:\n  ${shown.join('\n  ')}`, {
    details: { problems },
  });
}

/**
 * The schema with the `discriminator` keyword beside each union of objects: with it the validator reports the errors of the
 * one member that `type` names, not of all. It is not part of JSON Schema, so the published schema does not have it.
 */
function withDiscriminators(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withDiscriminators);
  if (typeof node !== 'object' || node === null) return node;
  const copy = Object.fromEntries(
    Object.entries(node).map(([name, child]) => [name, withDiscriminators(child)]),
  );
  return Array.isArray(copy.oneOf) ? { ...copy, discriminator: { propertyName: 'type' } } : copy;
}

function frozen(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) frozen(child);
    Object.freeze(value);
  }
  return value;
}
