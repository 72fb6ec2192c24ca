/** Reads request bodies: UTF-8 JSON, nothing else, without the keys that could reach an object's prototype. */
import { isUtf8 } from 'node:buffer';
import { MillraceError } from '@millrace/protocol';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { jsonFaultIn } from './json-fault.ts';
import { scanningItems } from './score-body.ts';

type Done = (error: Error | null, body?: unknown) => void;

/** Reads the bytes of a body; a Fastify content parser. */
export type ReadJson = (request: FastifyRequest, body: Buffer, done: Done) => void;

/** Makes `application/json` the only content type that the server takes. */
export function acceptJsonOnly(app: FastifyInstance): void {
  const read = scanningItems(app, jsonReader(app));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, uncompressed(read));
}

/** Refuses bodies that are compressed. */
function uncompressed(read: ReadJson): ReadJson {
  return (request, body, done) => {
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (encoding === 'identity') return read(request, body, done);
    return done(badHeader('content-encoding', 'identity (no compression)', encoding));
  };
}

/** A reader of JSON for `app`'s routes, whatever their content type is. */
export function jsonReader(app: FastifyInstance): ReadJson {
  // Fastify's parser refuses `__proto__` and `constructor.prototype`; what it does not say is where a fault lies.
  const parse = app.getDefaultJsonParser('error', 'error');
  return (request, body, done) => {
    if (!isUtf8(body)) return done(new MillraceError('MILL_BAD_JSON', 'the body is not UTF-8'));
    const text = body.toString('utf8');
    return parse(request, text, (error, value) => {
      if (error === null) done(null, value);
      else done(refusalOf(text));
    });
  };
}

/** Refusal of a header's value. */
export function badHeader(name: string, wanted: string, found: string): MillraceError {
  return new MillraceError(
    'MILL_BAD_REQUEST',
    `header ${name}: wanted ${wanted}, found ${JSON.stringify(found)}`,
    {
      details: { path: `headers.${name}`, wanted, found },
    },
  );
}

function refusalOf(body: string): MillraceError {
  const text = body.startsWith('\uFEFF') ? body.slice(1) : body;
  const fault = jsonFaultIn(text);
  if (fault === null) {
    return new MillraceError(
      'MILL_BAD_REQUEST',
      'body: wanted names other than "__proto__" and "constructor.prototype", found one of them',
    );
  }
  const { line, column, wanted, found } = fault;
  return new MillraceError(
    'MILL_BAD_JSON',
    `the body is not JSON: line ${line}, column ${column}: wanted ${wanted}, found ${found}`,
    { details: { line, column, wanted, found } },
  );
}
