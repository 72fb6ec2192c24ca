import { expect, test } from 'vitest';
import { assertPatches, mutants } from '../../src/simulation/mutants.ts';

test.each(mutants)('mutants: $name finds its place exactly once', (mutant) => {
  expect(() => assertPatches(mutant)).not.toThrow();
  expect(mutant.replace).not.toBe(mutant.find);
});

test('mutants: every invariant has two or more, and each a name of its own', () => {
  const count = (invariant: string) => mutants.filter((mutant) => mutant.invariant === invariant).length;
  for (const invariant of ['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I8', 'I9', 'session'])
    expect([invariant, count(invariant) >= 2]).toEqual([invariant, true]);
  expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
});

test('mutants: a patch whose text is not there is an error', () => {
  const [mutant] = mutants;
  expect(() => assertPatches({ ...mutant, find: 'this stands nowhere' })).toThrow(/0 times/);
});
