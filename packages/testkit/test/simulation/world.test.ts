import { expect, test } from 'vitest';
import { smallWorld } from './small-world.ts';

test('world: events run at their moments, equal ones in the order they were made, cancelled ones not', async () => {
  const world = smallWorld();
  const ran: string[] = [];
  world.after(20, () => ran.push(`late ${world.nowMs}`));
  world.after(5, () => ran.push(`first ${world.nowMs}`));
  world.after(5, () => ran.push(`second ${world.nowMs}`));
  world.after(5, () => ran.push('never')).cancel();
  await world.runUntil(10);
  expect(ran).toEqual(['first 5', 'second 5']);
  expect(world.nowMs).toBe(10);
  await world.runUntil(100);
  expect(ran[2]).toBe('late 20');
});

test('world: promises go on before the next event', async () => {
  const world = smallWorld();
  const ran: string[] = [];
  const deep = async () => {
    for (let i = 0; i < 5; i += 1) await Promise.resolve();
    ran.push('promise');
  };
  world.after(1, () => void deep());
  world.after(1, () => ran.push('event'));
  await world.runUntil(2);
  expect(ran).toEqual(['promise', 'event']);
});

test('world: the trace hash tells two runs apart by what happened and when', async () => {
  const hashOf = async (ms: number, text: string) => {
    const world = smallWorld();
    world.after(ms, () => world.note(text));
    await world.runUntil(10);
    return world.traceHash;
  };
  expect(await hashOf(1, 'a')).toBe(await hashOf(1, 'a'));
  expect(await hashOf(1, 'a')).not.toBe(await hashOf(1, 'b'));
  expect(await hashOf(1, 'a')).not.toBe(await hashOf(2, 'a'));
});

test('world: a violation is told once', () => {
  const world = smallWorld();
  world.violate('I1', 'this');
  world.violate('I1', 'this');
  world.violate('I2', 'this');
  expect(world.violations).toEqual([
    { invariant: 'I1', what: 'this', atMs: 0 },
    { invariant: 'I2', what: 'this', atMs: 0 },
  ]);
});
