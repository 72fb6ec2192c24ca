import { expect, test } from 'vitest';
import { Gate } from '../src/gate.ts';

test('gate: passed once it is open, before or after the wait began', async () => {
  const gate = new Gate();
  expect(gate.isOpen).toBe(false);
  const early = gate.passed(10_000);
  gate.open();
  await early;
  await gate.passed(10_000);
  expect(gate.isOpen).toBe(true);
});

test('gate: a failure and a time that is over reject', async () => {
  const failed = new Gate();
  failed.fail(new Error('bang'));
  await expect(failed.passed(10_000)).rejects.toThrow('bang');
  await expect(new Gate().passed(5)).rejects.toThrow('nothing within 5 ms');
});
