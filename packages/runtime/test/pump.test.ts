import { expect, test } from 'vitest';
import { Pump } from '../src/pump.ts';

function pumpOf(items: number[], handle: (item: number) => void | Promise<void>) {
  const errors: string[] = [];
  let idle = 0;
  const draining = new Set<Promise<void>>();
  const pump = new Pump<number>({
    take: () => items.shift(),
    handle,
    onFailed: (error) => errors.push(error.message),
    onIdle: () => {
      idle += 1;
    },
    draining,
  });
  return { pump, errors, draining, idle: () => idle };
}

test('pump: run: handles everything in the caller’s stack while handlers are synchronous', () => {
  const handled: number[] = [];
  const { pump, idle, draining } = pumpOf([1, 2, 3], (item) => void handled.push(item));
  pump.run();
  expect(handled).toEqual([1, 2, 3]);
  expect(idle()).toBe(1);
  expect(draining.size).toBe(0);
});

test('pump: run: a handler that returns something that is no promise is synchronous', () => {
  const handled: number[] = [];
  const { pump, draining } = pumpOf([1, 2], (item) => handled.push(item) as unknown as undefined);
  pump.run();
  expect(handled).toEqual([1, 2]);
  expect(draining.size).toBe(0);
});

test('pump: run: from inside a handler it does not re-enter', () => {
  const items = [1];
  const steps: string[] = [];
  const { pump } = pumpOf(items, (item) => {
    steps.push(`start ${item}`);
    if (item < 3) {
      items.push(item + 1);
      pump.run();
    }
    steps.push(`end ${item}`);
  });
  pump.run();
  expect(steps).toEqual(['start 1', 'end 1', 'start 2', 'end 2', 'start 3', 'end 3']);
});

test('pump: run: after a promise, synchronous items follow without another wait', async () => {
  const handled: number[] = [];
  const { pump, draining, idle } = pumpOf([1, 2, 3], (item) => {
    handled.push(item);
    return item === 1 ? Promise.resolve() : undefined;
  });
  pump.run();
  expect(handled).toEqual([1]);
  expect(draining.size).toBe(1);
  await Promise.all(draining);
  expect(handled).toEqual([1, 2, 3]);
  expect(draining.size).toBe(0);
  expect(idle()).toBe(1);
});

test('pump: a failure ends it and is told once', async () => {
  const items = [1, 2, 3];
  const handled: number[] = [];
  const { pump, errors, draining } = pumpOf(items, async (item) => {
    handled.push(item);
    if (item === 2) throw new Error('bang');
  });
  pump.run();
  await Promise.all(draining);
  pump.run();
  expect(handled).toEqual([1, 2]);
  expect(errors).toEqual(['bang']);
});

test('pump: stop: waits for the handler that runs, and its late failure is still told', async () => {
  let reject: (error: Error) => void = () => undefined;
  const items = [1, 2];
  const handled: number[] = [];
  const { pump, errors } = pumpOf(items, (item) => {
    handled.push(item);
    return new Promise<void>((_resolve, fail) => {
      reject = fail;
    });
  });
  pump.run();
  const stopped = pump.stop();
  reject(new Error('bang'));
  await stopped;
  expect(errors).toEqual(['bang']);
  expect(handled).toEqual([1]);
});
