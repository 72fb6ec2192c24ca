/**
 * Outcomes in bulk: one JSON object a line, `application/x-ndjson` or `application/jsonl`. All or nothing: while one line is bad
 * none is stored, and the answer names the bad ones by number, so that a job mends and sends the same file again.
 */
import { isUtf8 } from 'node:buffer';
import { eventsPerPostMax, MillraceError } from '@millrace/protocol';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { badRequestFrom, type SchemaFinding } from './bad-request.ts';
import { jsonFaultIn } from './json-fault.ts';

export const lineTypes = ['application/x-ndjson', 'application/jsonl'];

/** Bad lines that an answer tells of. */
const badLinesTold = 20;
/** Where such bodies are taken. */
const route = '/v1/events';
const oneOutcome = { $ref: 'OutcomeRequest#' } as const;

interface BadLine {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

type ParseJson = ReturnType<FastifyInstance['getDefaultJsonParser']>;

/** Makes the server take such bodies; each becomes the list of its outcomes. */
export function acceptOutcomeLines(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser(
    lineTypes,
    { parseAs: 'buffer' },
    (request: FastifyRequest, body: Buffer, done: (error: Error | null, body?: unknown) => void) => {
      try {
        done(null, outcomesFrom(request, body, parse));
      } catch (error) {
        done(error as Error);
      }
    },
  );
}

function outcomesFrom(request: FastifyRequest, body: Buffer, parse: ParseJson): readonly unknown[] {
  if (request.routeOptions.url !== route)
    throw badHeader('application/json', request.headers['content-type']);
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    throw new MillraceError(
      'MILL_BAD_REQUEST',
      `header content-encoding: wanted identity (no compression), found ${JSON.stringify(encoding)}`,
    );
  }
  if (!isUtf8(body)) throw new MillraceError('MILL_BAD_JSON', 'the body is not UTF-8');
  const lines = body.toString('utf8').split('\n');
  const outcomes: unknown[] = [];
  const bad: BadLine[] = [];
  let badLines = 0;
  for (const [i, text] of lines.entries()) {
    if (text.trim() === '') continue;
    if (outcomes.length + badLines >= eventsPerPostMax)
      throw new MillraceError(
        'MILL_BAD_REQUEST',
        `body: wanted at most ${eventsPerPostMax} lines, found more`,
      );
    const read = outcomeFrom(request, text, parse);
    if (typeof read !== 'string') {
      outcomes.push(read.outcome);
      continue;
    }
    badLines += 1;
    if (bad.length < badLinesTold) bad.push({ line: i + 1, message: read });
  }
  if (badLines > 0) throw refusalOf(bad, badLines);
  return outcomes;
}

/** The outcome of a line, or what is wrong with it. */
function outcomeFrom(
  request: FastifyRequest,
  text: string,
  parse: ParseJson,
): { readonly outcome: unknown } | string {
  let outcome: unknown;
  let failed = false;
  parse(request, text, (error, value) => {
    failed = error !== null;
    outcome = value;
  });
  if (failed) {
    const fault = jsonFaultIn(text);
    return fault === null
      ? 'wanted names other than "__proto__" and "constructor.prototype", found one of them'
      : `column ${fault.column}: wanted ${fault.wanted}, found ${fault.found}`;
  }
  const isValid = request.compileValidationSchema(oneOutcome, 'body');
  if (isValid(outcome)) return { outcome };
  return badRequestFrom((isValid.errors ?? []) as readonly SchemaFinding[], 'body').message;
}

function refusalOf(bad: readonly BadLine[], badLines: number): MillraceError {
  const [{ line, message }] = bad;
  const more = badLines === 1 ? '' : `, and ${badLines - 1} more bad lines`;
  return new MillraceError('MILL_BAD_REQUEST', `line ${line}: ${message}${more}; nothing was stored`, {
    details: { badLines, lines: bad },
  });
}

function badHeader(wanted: string, found: string | undefined): MillraceError {
  return new MillraceError(
    'MILL_BAD_REQUEST',
    `header content-type: wanted ${wanted}, found ${JSON.stringify(found ?? '')}`,
  );
}
