import fc from 'fast-check';
import { expect, test } from 'vitest';
import { priorities } from '../src/priority.ts';
import { createWaitingQueue, type Waiting } from '../src/waiting-queue.ts';

type Step = { readonly add: Omit<Waiting, 'sinceMs'> } | { readonly take: number };

const added = fc.record({
  add: fc.record({ rows: fc.integer({ min: 1, max: 9 }), priority: fc.constantFrom(...priorities) }),
});
const taken = fc.record({ take: fc.nat(5) });

test('waiting queue: takes what a list sorted by priority and age would give', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(added, taken), { maxLength: 60 }), (steps: readonly Step[]) => {
      const queue = createWaitingQueue<Waiting>();
      let list: Waiting[] = [];
      const urgency = ({ priority }: Waiting) => priorities.indexOf(priority);
      for (const [sinceMs, step] of steps.entries()) {
        if ('add' in step) {
          const entry = { ...step.add, sinceMs };
          queue.add(entry);
          list.push(entry);
        } else {
          const found: Waiting[] = [];
          queue.take((entry) => found.length < step.take && found.push(entry) > 0);
          list.sort((a, b) => urgency(a) - urgency(b) || a.sinceMs - b.sinceMs);
          expect(found).toEqual(list.slice(0, step.take));
          list = list.slice(step.take);
        }
        expect(queue.length).toBe(list.length);
        expect(queue.rows).toBe(list.reduce((sum, { rows }) => sum + rows, 0));
        for (const [place, priority] of priorities.entries()) {
          const before = list.filter((entry) => urgency(entry) <= place).map((entry) => entry.sinceMs);
          expect(queue.oldestMs(priority)).toBe(before.length === 0 ? null : Math.min(...before));
        }
      }
    }),
  );
});
