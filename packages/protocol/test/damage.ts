/** Damage that a message may take on its way. */
import { expect } from 'vitest';
import { type ErrorCode, isMillraceError } from '../src/errors.ts';

/** Fails unless `work` throws a MillraceError of `code`. */
export function expectCode(code: ErrorCode, work: () => unknown): void {
  const error = thrownBy(work);
  if (!isMillraceError(error, code)) expect.fail(`wanted ${code}, found ${String(error)}`);
}

/** Fails when `work` throws anything but a MillraceError of one of `codes`; it may throw nothing. */
export function expectNothingBut(codes: readonly ErrorCode[], work: () => unknown): void {
  const error = thrownBy(work);
  if (error === null || (isMillraceError(error) && codes.includes(error.code))) return;
  expect.fail(`wanted nothing but ${codes.join(', ')}, found ${String(error)}`);
}

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error ?? new Error('nothing was thrown, as an error');
  }
  return null;
}

/** Calls `look` with every message that is one byte shorter, down to none, and with one that is longer. */
export function eachTruncation(message: Uint8Array, look: (damaged: Uint8Array) => void): void {
  for (let length = 0; length < message.length; length += 1) look(message.slice(0, length));
  look(Uint8Array.of(...message, 0));
  look(Uint8Array.of(...message, 0, 0, 0, 0));
}

/** Calls `look` with every message that differs in one byte, xor-ed with each of `masks`. */
export function eachFlip(
  message: Uint8Array,
  masks: Iterable<number>,
  look: (damaged: Uint8Array) => void,
): void {
  const damaged = message.slice();
  for (const mask of masks) {
    for (let at = 0; at < message.length; at += 1) {
      damaged[at] ^= mask;
      look(damaged);
      damaged[at] ^= mask;
    }
  }
}

/** All masks but 0: every other value that a byte can take. */
export const allMasks = Array.from({ length: 255 }, (_, i) => i + 1);
