import { MillraceError } from '@millrace/protocol';

/** Characters of a found text that a message repeats. */
const shownCharsMax = 40;

/** Refusal of one part of a request: `inputs.user: wanted BYTES or an integer type, found FP32`. */
export function refusedPart(path: string, wanted: string, found: string): MillraceError {
  return new MillraceError('MILL_BAD_REQUEST', `${path}: wanted ${wanted}, found ${found}`, {
    details: { path, wanted, found },
  });
}

/** What a value is, in a few words; never more than a clipped scalar of it. */
export function shownValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return `the text ${JSON.stringify(clipped(value))}`;
  return String(value);
}

/** The start of a text, short enough for a message. */
export function clipped(text: string): string {
  return text.length <= shownCharsMax ? text : `${text.slice(0, shownCharsMax)}…`;
}
