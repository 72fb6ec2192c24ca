import { describe, expect, test } from 'vitest';
import { assignerOf } from '../src/assign.ts';
import { withShares, withStopped } from '../src/catalog.ts';
import { placerOf } from '../src/unit.ts';
import { buttonSpec, catalogWith, change } from './specs.ts';

const users = Array.from({ length: 8_000 }, (_, i) => `u${i}`);
const requestOf = (user: string, requestId = 'r') => ({ user: { user }, context: {}, requestId });

/** Squared distance of counts from even ones, in standard deviations of what chance makes of it. */
function excessOf(counts: readonly number[]): number {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const chi = counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
  return (chi - counts.length) / Math.sqrt(2 * counts.length);
}

describe('experiments: assign', () => {
  test('experiments: assign: a unit stays in its arm, and shares are what was asked for', () => {
    const assign = assignerOf(
      catalogWith({
        ...buttonSpec,
        arms: [
          { name: 'a', share: 0.7 },
          { name: 'b', share: 0.2, target: { type: 'label', label: 'next' } },
        ],
      }),
    );
    const counts = new Map<string, number>();
    for (const user of users) {
      const { arm, target } = assign(requestOf(user, 'first'));
      expect(assign(requestOf(user, 'second')).arm).toBe(arm);
      expect(target.type).toBe(arm === 'button/b' ? 'label' : 'default');
      counts.set(arm, (counts.get(arm) ?? 0) + 1);
    }
    for (const [arm, share] of [
      ['button/a', 0.7],
      ['button/b', 0.2],
      ['', 0.1],
    ] as const) {
      const spread = Math.sqrt((share * (1 - share)) / users.length);
      expect(Math.abs((counts.get(arm) ?? 0) / users.length - share)).toBeLessThan(4 * spread);
    }
  });

  test('experiments: assign: buckets and units are even, and layers say nothing of each other', () => {
    const [one, two] = [placerOf('one', 'one'), placerOf('two', 'two')];
    const count = () => new Array<number>(100).fill(0);
    const [buckets, units, ownPairs, pairs] = [count(), count(), count(), count()];
    for (const user of users) {
      const [a, b] = [one(user), two(user)];
      buckets[Math.floor(a.bucket / 100)] += 1;
      units[a.unit % 100] += 1;
      ownPairs[Math.floor(a.bucket / 1_000) * 10 + (a.unit % 10)] += 1;
      pairs[Math.floor(a.bucket / 1_000) * 10 + Math.floor(b.bucket / 1_000)] += 1;
    }
    for (const counts of [buckets, units, ownPairs, pairs])
      expect(Math.abs(excessOf(counts))).toBeLessThan(4);
  });

  test('experiments: assign: a changed share moves the units that change arms, and no others', () => {
    const before = catalogWith(buttonSpec);
    const after = withShares(before, 'button', { a: 0.6, b: 0.4 }, change);
    const [was, is] = [assignerOf(before), assignerOf(after)];
    let moved = 0;
    for (const user of users) {
      const [old, now] = [was(requestOf(user)).arm, is(requestOf(user)).arm];
      if (old === now) continue;
      moved += 1;
      expect([old, now]).toEqual(['button/b', 'button/a']);
    }
    expect(Math.abs(moved / users.length - 0.1)).toBeLessThan(0.02);
  });

  test('experiments: assign: arms of one layer exclude each other, those of several do not', () => {
    const policy = {
      name: 'policy',
      layer: 'order',
      arms: [{ name: 'soft', share: 1, exploration: { type: 'softmax' } }],
    };
    const assign = assignerOf(
      catalogWith(
        {
          ...buttonSpec,
          arms: [
            { name: 'a', share: 0.3 },
            { name: 'b', share: 0.3, target: { type: 'version', version: 3 } },
          ],
        },
        {
          ...buttonSpec,
          name: 'colour',
          arms: [{ name: 'red', share: 0.4, target: { type: 'version', version: 4 } }],
        },
        { ...buttonSpec, ...policy },
      ),
    );
    const seen = new Set<string>();
    for (const user of users.slice(0, 400)) {
      const { arm, units, target, exploration } = assign(requestOf(user));
      const arms = arm.split(' ');
      expect(units).toHaveLength(arms.length);
      expect(arms.filter((one) => /^(button|colour)/.test(one))).toHaveLength(1);
      expect(exploration).toEqual({ type: 'softmax' });
      if (arm.includes('colour/red')) expect(target).toEqual({ type: 'version', version: 4 });
      seen.add(arm);
    }
    expect([...seen].sort()).toEqual([
      'button/a policy/soft',
      'button/b policy/soft',
      'colour/red policy/soft',
    ]);
  });

  test('experiments: assign: a shadow says what is scored beside, and answers nothing', () => {
    const assign = assignerOf(
      catalogWith(buttonSpec, {
        ...buttonSpec,
        name: 'dark',
        layer: 'dark',
        key: 'requestId',
        arms: [{ name: 'next', share: 1, shadow: true, target: { type: 'version', version: 9 } }],
      }),
    );
    const { arm, shadow } = assign(requestOf('u1'));
    expect(arm).toMatch(/^button\/[ab]$/);
    expect(shadow).toMatchObject({ arm: 'dark/next', target: { type: 'version', version: 9 } });
  });

  test('experiments: assign: who has no unit is in no arm, and what an ended experiment kept scores', () => {
    const catalog = catalogWith(buttonSpec);
    expect(assignerOf(catalog)({ user: {}, context: {}, requestId: 'r' }).arm).toBe('');
    const kept = assignerOf(withStopped(catalog, 'button', 'b', change));
    expect(kept(requestOf('u1'))).toMatchObject({ arm: '', target: { type: 'version', version: 3 } });
    const stopped = assignerOf(withStopped(catalog, 'button', null, change));
    expect(stopped(requestOf('u1'))).toMatchObject({ arm: '', target: { type: 'default' } });
  });
});
