/** MessagePack for metadata: plain maps and arrays that any language reads, no msgpackr record extension. */
import { Packr } from 'msgpackr';
import { assertPlain } from './plain-messagepack.ts';

const packr = new Packr({ useRecords: false, int64AsType: 'number', moreTypes: false });

/** MessagePack bytes of a plain value; properties that are undefined make bytes that unpacked refuses. The caller owns them. */
export function packed(value: unknown): Uint8Array {
  return packr.pack(value);
}

/**
 * The plain value in MessagePack `bytes`; byte strings in it are views of them. Throws on malformed input, extension types
 * and deep nesting (plain-messagepack.ts); the caller gives the error its code.
 */
export function unpacked(bytes: Uint8Array): unknown {
  assertPlain(bytes);
  return packr.unpack(bytes);
}

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** UTF-8 JSON, for values that people look at with the NATS tools: maps, leases, records. */
export function jsonBytes(value: unknown): Uint8Array {
  return utf8.encode(JSON.stringify(value));
}

/** The value in UTF-8 JSON `bytes`. Throws on malformed input. */
export function jsonFrom(bytes: Uint8Array): unknown {
  return JSON.parse(strictUtf8.decode(bytes));
}
