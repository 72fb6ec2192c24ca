import { expect, test } from 'vitest';
import type { OnnxAside } from '../src/onnx-aside.ts';
import { shareAside } from '../src/shared-aside.ts';

/** Gives threads that do nothing, and remembers them. */
function threads() {
  const made: { ended: boolean; opened: number; heard: number }[] = [];
  const create = (): OnnxAside => {
    const one = { ended: false, opened: 0, heard: 0 };
    made.push(one);
    return {
      get hasEnded() {
        return one.ended;
      },
      isOpening: false,
      open() {
        one.opened += 1;
        return Promise.reject(new Error('no session'));
      },
      hear() {
        one.heard += 1;
      },
      close() {
        one.ended = true;
      },
    };
  };
  return { made, shared: shareAside(create) };
}

const net = { shape: {} as never, sides: null };

test('shared aside: all who are there at a time have one thread, which ends with the last of them', async () => {
  const { made, shared } = threads();
  const [first, second] = [shared.use(), shared.use()];
  expect(made.length).toBe(1);
  await expect(second.open(new Uint8Array(0), {}, net)).rejects.toThrow('no session');
  expect(made[0].opened).toBe(1);
  first.close();
  first.close();
  expect(made[0].ended).toBe(false);
  const third = shared.use();
  second.close();
  expect([made.length, made[0].ended]).toEqual([1, false]);
  third.close();
  expect(made[0].ended).toBe(true);
});

test('shared aside: after the last has gone the next one gets a new thread', () => {
  const { made, shared } = threads();
  shared.use().close();
  const next = shared.use();
  expect(made.map(({ ended }) => ended)).toEqual([true, false]);
  next.close();
});

test('shared aside: a thread that has failed is not given again, and those who had it close it alone', () => {
  const { made, shared } = threads();
  const first = shared.use();
  made[0].ended = true;
  expect(first.hasEnded).toBe(true);
  const second = shared.use();
  expect(made.length).toBe(2);
  first.close();
  expect(made[1].ended).toBe(false);
  const third = shared.use();
  expect(made.length).toBe(2);
  second.close();
  third.close();
  expect(made[1].ended).toBe(true);
});

test('shared aside: the thread that is given now is heard, and none where there is none', () => {
  const { made, shared } = threads();
  shared.hear();
  const first = shared.use();
  shared.hear();
  first.hear();
  expect(made.map(({ heard }) => heard)).toEqual([2]);
  first.close();
  shared.hear();
  expect(made.map(({ heard }) => heard)).toEqual([2]);
});
