import { expect, test } from 'vitest';
import { smallProcess, smallWorld } from './small-world.ts';

test('simulated process: a frozen one finds what came in order, once it is thawed', async () => {
  const world = smallWorld();
  const process = smallProcess(world, 'a');
  const ran: string[] = [];
  process.freeze();
  process.clock.setTimer(5, () => ran.push('timer'));
  world.after(3, () => process.enter(() => ran.push('message')));
  await world.runUntil(50);
  expect(ran).toEqual([]);
  process.thaw();
  // What comes while it catches up waits behind what came before.
  process.enter(() => ran.push('later'));
  await world.runUntil(60);
  expect(ran).toEqual(['message', 'timer', 'later']);
});

test('simulated process: nothing reaches a killed one, and its death is told', async () => {
  const world = smallWorld();
  const process = smallProcess(world, 'a');
  const ran: string[] = [];
  process.onKill(() => ran.push('told'));
  process.clock.setTimer(5, () => ran.push('timer'));
  void process.sleep(5).then(() => ran.push('sleeper'));
  process.kill();
  process.kill();
  await world.runUntil(50);
  expect(ran).toEqual(['told']);
});

test('simulated process: a jump moves the wall clock alone', async () => {
  const world = smallWorld();
  const process = smallProcess(world, 'a');
  const [now, monotonic] = [process.clock.now(), process.clock.monotonicMs()];
  process.jump(-4_000);
  expect(process.clock.now()).toBe(now - 4_000);
  expect(process.clock.monotonicMs()).toBeGreaterThanOrEqual(monotonic);
});

test('simulated process: a throw out of a callback is a defect and its end', () => {
  const world = smallWorld();
  const process = smallProcess(world, 'a');
  process.enter(() => {
    throw new Error('oh');
  });
  expect(process.alive).toBe(false);
  expect(world.violations).toEqual([{ invariant: 'defect', what: 'a: uncaught: oh', atMs: 0 }]);
});
