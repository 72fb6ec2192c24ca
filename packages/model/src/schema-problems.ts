/** Turns what the JSON Schema validator says into problems that a person can act on. */
import type { ErrorObject } from 'ajv';

/** Characters of a found value that a message shows. */
const foundCharsMax = 60;

/** One line about one place: `fields[2].table: wanted …, found …`. */
export function problemAt(path: string, wanted: string, found: unknown): string {
  return `${path}: wanted ${wanted}, found ${typeof found === 'string' ? JSON.stringify(found) : shown(found)}`;
}

/** Problems of one validation, each once, in the order of the file's schema. */
export function problemsFrom(errors: readonly ErrorObject[]): string[] {
  const problems = new Set<string>();
  for (const error of errors) {
    // `if` only says that its `then` or `else` failed, which stands in the list by itself.
    if (error.keyword === 'if') continue;
    problems.add(problemFrom(error));
  }
  return [...problems];
}

function problemFrom(error: ErrorObject): string {
  const { params, keyword } = error;
  const path = pathFrom(error.instancePath);
  if (keyword === 'required') return `${joined(path, params.missingProperty)}: wanted a value, found nothing`;
  if (keyword === 'additionalProperties') {
    const known = Object.keys((error.parentSchema?.properties ?? {}) as object).join(', ');
    return `${joined(path, params.additionalProperty)}: wanted only ${known}, found an unknown name`;
  }
  if (keyword === 'discriminator') {
    const known = ((error.parentSchema?.oneOf ?? []) as TaggedSchema[]).map(
      (member) => member.properties.type.const,
    );
    return problemAt(joined(path, params.tag), `one of ${known.join(', ')}`, params.tagValue);
  }
  return problemAt(path === '' ? 'model file' : path, wantedFrom(error), error.data);
}

interface TaggedSchema {
  readonly properties: { readonly type: { readonly const: string } };
}

function wantedFrom(error: ErrorObject): string {
  const { params, keyword } = error;
  switch (keyword) {
    case 'type':
      return article(params.type);
    case 'enum':
      return `one of ${params.allowedValues.join(', ')}`;
    case 'const':
      return String(params.allowedValue);
    case 'pattern':
      return String(error.parentSchema?.$comment ?? `text like ${params.pattern}`);
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return `a number ${params.comparison} ${params.limit}`;
    case 'minLength':
      return `at least ${params.limit} characters`;
    case 'maxLength':
      return `at most ${params.limit} characters`;
    case 'minItems':
      return `at least ${params.limit} entries`;
    case 'maxItems':
      return `at most ${params.limit} entries`;
    case 'uniqueItems':
      return `each entry once (${params.i} and ${params.j} are equal)`;
    default:
      return error.message ?? keyword;
  }
}

function article(type: string): string {
  if (type === 'string') return 'text';
  if (type === 'boolean') return 'true or false';
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > foundCharsMax ? `${text.slice(0, foundCharsMax)}…` : text;
}

/** `/fields/2/table` → `fields[2].table`; `~1` and `~0` stand for `/` and `~` in a JSON pointer. */
function pathFrom(pointer: string): string {
  let path = '';
  for (const part of pointer.split('/').slice(1)) {
    path = joined(path, part.replaceAll('~1', '/').replaceAll('~0', '~'));
  }
  return path;
}

function joined(path: string, name: string): string {
  if (/^\d+$/.test(name)) return `${path}[${name}]`;
  return path === '' ? name : `${path}.${name}`;
}
