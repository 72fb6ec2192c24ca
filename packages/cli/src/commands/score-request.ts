/** A score request as commands take it: JSON, a file of JSON, or standard input. */
import { readFileSync } from 'node:fs';
import { MillraceError, reasonFrom } from '@millrace/protocol';
import type { ScoreRequest } from '@millrace/sdk';

/** @param given  JSON that begins with `{`, `-` for standard input, else the path of a file. Throws MILL_BAD_JSON, MILL_FILE_INVALID. */
export function scoreRequestFrom(given: string): ScoreRequest {
  const text = given.trimStart().startsWith('{') ? given : textFrom(given);
  try {
    return JSON.parse(text) as ScoreRequest;
  } catch (cause) {
    throw new MillraceError('MILL_BAD_JSON', `the request is not JSON: ${reasonFrom(cause)}`, { cause });
  }
}

function textFrom(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (cause) {
    throw new MillraceError('MILL_FILE_INVALID', `cannot read ${path}: ${reasonFrom(cause)}`, { cause });
  }
}
