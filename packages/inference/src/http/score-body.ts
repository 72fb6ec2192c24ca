/**
 * Reads the bodies of requests to score and to rank. Nearly all of such a body is items, which are not parsed but scanned
 * (scan-items.ts); the rest is parsed and checked like any body, with one empty item in the place of all. A body that is not taken
 * this way, for whatever reason, is read as a whole.
 */
import { isUtf8 } from 'node:buffer';
import type { ItemColumns } from '@millrace/model';
import type { FastifyInstance } from 'fastify';
import type { ReadJson } from './json-body.ts';
import { backslash, begin, colon, comma, end, listBegin, listEnd, quote } from './json-bytes.ts';
import { jsonText, textEnd } from './json-words.ts';
import { scanItems } from './scan-items.ts';
import { afterSpace } from './scan-values.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body is one of scoring. */
    scansItems?: true;
  }
  interface FastifyRequest {
    /** Items of the body, which has an empty one in their place; null: the body has them. */
    scannedItems: ItemColumns | null;
  }
}

const standIn = Buffer.from('[{}]');
const itemsName = 'items';

/** Takes bodies of routes whose config says so; the others are left to `read`. */
export function scanningItems(app: FastifyInstance, read: ReadJson): ReadJson {
  app.decorateRequest('scannedItems', null);
  return (request, body, done) => {
    if (request.routeOptions.config.scansItems !== true) return read(request, body, done);
    const scanned = isUtf8(body) ? scanBody(body) : null;
    if (scanned === null) return read(request, body, done);
    return read(request, scanned.rest, (error, value) => {
      if (error !== null) return read(request, body, done);
      request.scannedItems = scanned.items;
      return done(null, value);
    });
  };
}

/** What the body of a request says, its items put back into their place. */
export function askedIn<Body>(request: {
  readonly body: Body;
  readonly scannedItems: ItemColumns | null;
}): Body | (Omit<Body, 'items'> & { readonly items: ItemColumns }) {
  const { body, scannedItems } = request;
  return scannedItems === null ? body : { ...body, items: scannedItems };
}

/**
 * @param body  UTF-8.
 * @returns its items, and the body with one empty item in their place, which is JSON if and only if the body is; null: not taken.
 */
export function scanBody(body: Buffer): { items: ItemColumns; rest: Buffer } | null {
  const text = jsonText(body);
  let found: { items: ItemColumns; from: number; to: number } | null = null;
  let at = afterSpace(body, 0);
  if (body[at] !== begin) return null;
  at = afterSpace(body, at + 1);
  while (body[at] === quote) {
    const nameEnd = textEnd(text, at + 1);
    if (nameEnd < 0) return null;
    const isItems = isName(body, at + 1, nameEnd);
    at = afterSpace(body, nameEnd + 1);
    if (body[at] !== colon) return null;
    at = afterSpace(body, at + 1);
    if (isItems) {
      // Of two the last would count, and the first would have to be checked all the same.
      if (found !== null || body[at] !== listBegin) return null;
      const scanned = scanItems(text, at);
      if (scanned === null) return null;
      found = { ...scanned, from: at };
      at = scanned.to;
    } else at = afterValue(body, at);
    at = afterSpace(body, at);
    if (body[at] !== comma) break;
    at = afterSpace(body, at + 1);
  }
  if (body[at] !== end || found === null) return null;
  const { items, from, to } = found;
  return { items, rest: Buffer.concat([body.subarray(0, from), standIn, body.subarray(to)]) };
}

function isName(body: Buffer, from: number, to: number): boolean {
  return to - from === itemsName.length && body.toString('latin1', from, to) === itemsName;
}

/** Where a value ends, provided that it is one: whether it is shows when the rest is parsed. */
function afterValue(body: Buffer, at: number): number {
  const { length } = body;
  let depth = 0;
  let next = at;
  for (; next < length; next += 1) {
    const byte = body[next];
    if (byte === quote) next = afterText(body, next + 1) - 1;
    else if (byte === begin || byte === listBegin) depth += 1;
    else if (byte === end || byte === listEnd) {
      if (depth === 0) return next;
      depth -= 1;
    } else if (byte === comma && depth === 0) return next;
  }
  return next;
}

/** Behind the quote that ends the text from `at` on. */
function afterText(body: Buffer, at: number): number {
  const { length } = body;
  let next = at;
  while (next < length && body[next] !== quote) next += body[next] === backslash ? 2 : 1;
  return next + 1;
}
