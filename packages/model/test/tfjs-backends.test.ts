import { expect, test, vi } from 'vitest';
import { openTfjsBackend } from '../src/tfjs-backends.ts';

test('tfjs backends: opening wasm leaves the process no listener for uncaught errors', async () => {
  const events = ['uncaughtException', 'unhandledRejection'];
  const before = events.map((event) => process.rawListeners(event));
  await openTfjsBackend.wasm();
  expect(events.map((event) => process.rawListeners(event))).toEqual(before);
});

test('tfjs backends: the first use of cpu prints nothing, and warnings of the library still come through', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  try {
    const { tf } = await openTfjsBackend.cpu();
    tf.tidy(() => tf.add(tf.tensor1d([1, 2]), 1).dataSync());
    expect(warn).not.toHaveBeenCalled();
    tf.backend_util.warn('a warning');
    expect(warn).toHaveBeenCalledOnce();
  } finally {
    warn.mockRestore();
  }
});

test('tfjs backends: wasm loads without the network', async () => {
  const fetched = vi.spyOn(globalThis, 'fetch').mockRejectedValue(new Error('no network'));
  try {
    const { tf } = await openTfjsBackend.wasm();
    expect(tf.getBackend()).toBe('wasm');
    expect(fetched).not.toHaveBeenCalled();
  } finally {
    fetched.mockRestore();
  }
});
