import type { Bus } from '@millrace/runtime';
import { createManualClock } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { createAcceptOutcomes } from '../src/accept-outcomes.ts';
import { linear, turn } from './small-serving.ts';

/** Far fewer than a bus takes, with room for other posts. */
const appendsAtOnceMax = 1_024;

test.each([0, 15])(
  'outcomes: appends under way are bounded, with %i models that learn apart',
  async (others) => {
    const subjects = new Map<string, number>();
    let underway = 0;
    let most = 0;
    const bus = {
      async append(_log: string, subject: string) {
        subjects.set(subject, (subjects.get(subject) ?? 0) + 1);
        underway += 1;
        most = Math.max(most, underway);
        await turn();
        underway -= 1;
        return 1;
      },
    } as unknown as Bus;
    const accept = createAcceptOutcomes({
      bus,
      clock: createManualClock(0),
      fileOf: () => linear,
      alsoOf: () => Array.from({ length: others }, (_, i) => `other${i}`),
    });
    const outcomes = Array.from({ length: 2_000 }, (_, i) => ({ requestId: `r${i}`, index: 0 }));
    expect(await accept(outcomes)).toEqual({ accepted: 2_000 });
    expect([...subjects.values()]).toEqual(new Array(1 + others).fill(2_000));
    expect(most).toBeLessThanOrEqual(appendsAtOnceMax);
    expect(most).toBeGreaterThan(appendsAtOnceMax / 2);
  },
);
