/** Turns what the schema validator (ajv) found into an error that names path, wanted and found. */
import { MillraceError } from '@millrace/protocol';

/** One finding of the validator, with `verbose` on: the value and the schema stand beside it. */
export interface SchemaFinding {
  readonly keyword: string;
  /** JSON pointer into the checked part, for example `/items/3/genres`. */
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly data?: unknown;
  readonly parentSchema?: Readonly<Record<string, unknown>> | undefined;
}

/** Characters of a found text that a message repeats. */
const shownCharsMax = 40;

/**
 * The first finding as an error: `items[3].genres: wanted at most 1000 values, found 1001`.
 * @param part  what was checked: `body`, `querystring`, `params`.
 */
export function badRequestFrom(findings: readonly SchemaFinding[], part: string): MillraceError {
  const finding = findings[0];
  if (finding === undefined) return new MillraceError('MILL_BAD_REQUEST', `${part} does not fit its schema`);
  const { place, wanted, found } = readingOf(finding);
  const path = pathFrom(part, place);
  return new MillraceError('MILL_BAD_REQUEST', `${path}: wanted ${wanted}, found ${found}`, {
    details: { path, wanted, found },
  });
}

interface Reading {
  readonly place: readonly string[];
  readonly wanted: string;
  readonly found: string;
}

function readingOf(finding: SchemaFinding): Reading {
  const { params } = finding;
  const here = finding.instancePath.split('/').slice(1).map(unescaped);
  const found = shown(finding.data);
  const at = (wanted: string, what: string = found): Reading => ({ place: here, wanted, found: what });
  switch (finding.keyword) {
    case 'type':
      return at(typesText(params.type));
    case 'required':
      return { place: [...here, String(params.missingProperty)], wanted: 'a value', found: 'nothing' };
    case 'additionalProperties':
      return {
        place: [...here, String(params.additionalProperty)],
        wanted: `only ${Object.keys(propertiesOf(finding)).join(', ') || 'no parameter'}`,
        found: 'an unknown name',
      };
    case 'minItems':
      return at(`at least ${params.limit} values`, `${lengthOf(finding.data)}`);
    case 'maxItems':
      return at(`at most ${params.limit} values`, `${lengthOf(finding.data)}`);
    case 'maxLength':
      return at(`at most ${params.limit} characters`, `${lengthOf(finding.data)}`);
    case 'minimum':
      return at(`a number not below ${params.limit}`);
    case 'maximum':
      return at(`a number not above ${params.limit}`);
    case 'not':
      return at(descriptionOf(finding.parentSchema?.not) ?? 'another form', 'both');
    default:
      return at(descriptionOf(finding.parentSchema) ?? `a value that fits "${finding.keyword}"`);
  }
}

/** `items[3].genres`; the part itself when nothing lies inside it, and its name in front for all but the body. */
function pathFrom(part: string, place: readonly string[]): string {
  const shownPart = part === 'querystring' ? 'query' : part;
  let path = part === 'body' ? '' : shownPart;
  for (const step of place) {
    if (/^\d+$/.test(step)) path += `[${step}]`;
    else if (/^[A-Za-z_$][\w$-]*$/.test(step)) path += path === '' ? step : `.${step}`;
    else path += `[${JSON.stringify(clipped(step))}]`;
  }
  return path === '' ? shownPart : path;
}

function typesText(types: unknown): string {
  const names = (Array.isArray(types) ? types : [types]).map((type) => {
    return type === 'number' ? 'a finite number' : type === 'null' ? 'null' : `${articleOf(type)} ${type}`;
  });
  const last = names.pop();
  return names.length === 0 ? `${last}` : `${names.join(', ')} or ${last}`;
}

function articleOf(type: unknown): string {
  return /^[aeio]/.test(String(type)) ? 'an' : 'a';
}

/** What a value is, in a few words; never more than a clipped scalar of it. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return `the text ${JSON.stringify(clipped(value))}`;
  if (typeof value === 'number') {
    return Number.isFinite(value) ? String(value) : 'a number out of the range of a double';
  }
  return String(value);
}

function clipped(text: string): string {
  return text.length <= shownCharsMax ? text : `${text.slice(0, shownCharsMax)}…`;
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : typeof value === 'string' ? [...value].length : 0;
}

function propertiesOf(finding: SchemaFinding): object {
  const properties = finding.parentSchema?.properties;
  return typeof properties === 'object' && properties !== null ? properties : {};
}

function descriptionOf(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null || !('description' in schema)) return undefined;
  return typeof schema.description === 'string' ? schema.description : undefined;
}

/** One step of a JSON pointer: `~1` stands for `/`, `~0` for `~` (RFC 6901). */
function unescaped(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~');
}
