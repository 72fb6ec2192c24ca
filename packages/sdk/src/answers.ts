/** Reads answers: a JSON body of a good one, an error with the server's code of any other. */
import { type ErrorCode, errorTable, MillraceError } from '@millrace/protocol';
import type { Answer, Call } from './transport.ts';

/**
 * The answer's body.
 * @throws the server's error, under its own code; MILL_UNREACHABLE or MILL_INTERNAL for an answer that is not Millrace's.
 */
export function bodyFrom<T>(call: Call, answer: Answer): T {
  const body = jsonFrom(answer.text);
  const good = answer.status >= 200 && answer.status < 300;
  if (good && body !== undefined) return body as T;
  throw good ? foreign(call, answer) : errorFrom(call, answer, body);
}

function errorFrom(call: Call, answer: Answer, body: unknown): MillraceError {
  const error = fieldOf(body, 'error');
  const code = fieldOf(error, 'code');
  const message = fieldOf(error, 'message');
  if (typeof code !== 'string' || typeof message !== 'string') return foreign(call, answer);
  const details = fieldOf(error, 'details');
  return new MillraceError(
    isErrorCode(code) ? code : nearestCode(answer.status),
    isErrorCode(code) ? message : `${code}: ${message}`,
    typeof details === 'object' && details !== null ? { details: { ...details } } : {},
  );
}

/** Something between answered, a proxy for example. */
function foreign(call: Call, answer: Answer): MillraceError {
  const found = `HTTP ${answer.status} with ${answer.text.length} characters`;
  return new MillraceError(
    nearestCode(answer.status),
    `${call.method} ${call.path}: wanted an answer of Millrace, found ${found}`,
  );
}

/** For codes that this version does not know: the one that asks the caller for the same thing. */
function nearestCode(status: number): ErrorCode {
  if (status === 401) return 'MILL_UNAUTHENTICATED';
  if (status === 403) return 'MILL_FORBIDDEN';
  if (status === 429) return 'MILL_OVERLOADED';
  if (status >= 502 && status <= 504) return 'MILL_UNREACHABLE';
  return status >= 400 && status < 500 ? 'MILL_BAD_REQUEST' : 'MILL_INTERNAL';
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code);
}

function jsonFrom(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}
