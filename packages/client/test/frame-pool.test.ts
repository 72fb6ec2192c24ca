import { expect, test } from 'vitest';
import { createFramePool } from '../src/frame-pool.ts';

test('frame pool: gives as many bytes as were asked for, aligned to 8', () => {
  const pool = createFramePool();
  for (const bytes of [24, 32, 33, 4_096, 20_824, 600_000]) {
    const frame = pool.take(bytes);
    expect([frame.length, frame.byteOffset % 8]).toEqual([bytes, 0]);
  }
});

test('frame pool: memory that came back is used again, for frames of about its size', () => {
  const pool = createFramePool();
  const first = pool.take(1_000);
  pool.give(first);
  expect(pool.take(200).buffer).not.toBe(first.buffer);
  expect(pool.take(1_024).buffer).toBe(first.buffer);
  expect(pool.take(1_024).buffer).not.toBe(first.buffer);
});

test('frame pool: keeps 16 frames of a size, and none beyond 64 KiB', () => {
  const pool = createFramePool();
  const out = Array.from({ length: 20 }, () => pool.take(100));
  const memory = new Set(out.map(({ buffer }) => buffer));
  for (const frame of out) pool.give(frame);
  const again = Array.from({ length: 20 }, () => pool.take(100));
  expect(again.filter(({ buffer }) => memory.has(buffer)).length).toBe(16);
  const large = pool.take(70_000);
  pool.give(large);
  expect(pool.take(70_000).buffer).not.toBe(large.buffer);
});
