/** Which bucket of a layer a unit is in. One function of layer, salt and unit; every node and every release gives the same. */
import { hashName, hashText } from '@millrace/core';
import { experimentBuckets, type Features } from '@millrace/protocol';

/** Where a request's unit stands in a layer. */
export interface UnitPlace {
  /** 0 … 9,999 */
  readonly bucket: number;
  /** uint32 that says nothing of the bucket: tells units apart in what is summed. */
  readonly unit: number;
}

/** What a key reads of a request. */
export interface UnitSource {
  readonly user: Features;
  readonly context: Features;
  readonly requestId: string;
}

/** Finds a request's unit as text; null: it has none, and is in no arm. */
export type UnitReader = (source: UnitSource) => string | null;

const keyPattern = /^(user|context)\.(.{1,128})$/;

/** @returns null when `key` is none of `user.FIELD`, `context.FIELD` and `requestId`. */
export function unitReaderOf(key: string): UnitReader | null {
  if (key === 'requestId') return ({ requestId }) => requestId;
  const match = keyPattern.exec(key);
  if (match === null) return null;
  const [, part, field] = match as unknown as readonly [string, 'user' | 'context', string];
  return (source) => {
    const features = source[part];
    const value = Object.hasOwn(features, field) ? features[field] : null;
    return value === null || value === '' || typeof value === 'object' ? null : String(value);
  };
}

/** @returns a function that places units; it reuses one buffer and the object that it returns is the caller's. */
export function placerOf(layer: string, salt: string): (unit: string) => UnitPlace {
  const [low, high] = [hashName(salt), hashName(layer)];
  const words = new Uint32Array(2);
  return (unit) => {
    hashText(unit, low, high, words, 0);
    return { bucket: Math.floor((words[0] / 4_294_967_296) * experimentBuckets), unit: words[1] };
  };
}
