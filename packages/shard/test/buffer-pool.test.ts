import { expect, test } from 'vitest';
import { createBufferPool } from '../src/buffer-pool.ts';

test('buffer pool: gives at least what was asked for, aligned to 8 bytes', () => {
  const pool = createBufferPool(1 << 20);
  for (const bytes of [1, 16, 4_096, 4_097, 100_000, 3_000_000]) {
    const buffer = pool.take(bytes);
    expect(buffer.length).toBeGreaterThanOrEqual(bytes);
    expect(buffer.byteOffset % 8).toBe(0);
  }
});

test('buffer pool: two buffers that are out do not share a byte, reused ones included', () => {
  const pool = createBufferPool(1 << 20);
  const first = pool.take(5_000);
  pool.give(first.subarray(0, 3_000));
  const out = [pool.take(5_000), pool.take(5_000), pool.take(9_000), pool.take(100)];
  out.forEach((buffer, i) => {
    buffer.fill(i + 1);
  });
  out.forEach((buffer, i) => {
    expect(buffer.every((byte) => byte === i + 1)).toBe(true);
  });
});

test('buffer pool: a buffer that was given back is used again', () => {
  const pool = createBufferPool(1 << 20);
  const { buffer } = pool.take(10_000);
  pool.give(new Uint8Array(buffer, 0, 9_000));
  expect(pool.take(10_000).buffer).toBe(buffer);
});

test('buffer pool: keeps no more than its limit', () => {
  const pool = createBufferPool(64 * 1_024);
  const out = Array.from({ length: 8 }, () => pool.take(32 * 1_024));
  const memory = new Set(out.map(({ buffer }) => buffer));
  for (const buffer of out) pool.give(buffer);
  const again = Array.from({ length: 8 }, () => pool.take(32 * 1_024));
  expect(again.filter(({ buffer }) => memory.has(buffer)).length).toBeLessThanOrEqual(2);
});

test('buffer pool: memory of others that is given to it is never handed out', () => {
  const pool = createBufferPool(1 << 20);
  const foreign = [new Uint8Array(5_000), new Uint8Array(64), new Uint8Array(16_384).subarray(8)];
  for (const bytes of foreign) pool.give(bytes);
  const out = [5_000, 64, 16_000].map((bytes) => pool.take(bytes).buffer);
  for (const { buffer } of foreign) expect(out).not.toContain(buffer);
});
