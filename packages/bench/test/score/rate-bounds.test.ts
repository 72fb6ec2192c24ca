import { describe, expect, it } from 'vitest';
import { createRateBounds, noteRun, type RateBounds } from '../../src/score/rate-bounds.ts';
import { randomFrom } from '../../src/score/workload.ts';

/** Searches a stack that holds up to `capacity`, and less in runs that are disturbed. */
function search(
  capacity: number,
  firstRate: number,
  rates: number,
  isDisturbed = () => false,
): RateBounds<number> {
  const bounds = createRateBounds<number>(firstRate);
  while (bounds.decided < rates) {
    const { rate } = bounds;
    const holds = rate <= capacity && !isDisturbed();
    noteRun(bounds, { holds, msP99: holds ? 10 : 100, figures: rate });
  }
  return bounds;
}

describe('rate bounds', () => {
  it('go up from a first rate that was too low, and close in on what holds', () => {
    const { low, high, best } = search(1_000, 300, 10);
    expect(low).toBeGreaterThan(950);
    expect(low).toBeLessThanOrEqual(1_000);
    expect(high).toBeGreaterThan(1_000);
    expect(best).toBe(low);
  });

  it('go down from one that was too high', () => {
    const { low } = search(1_000, 3_000, 8);
    expect(low).toBeGreaterThan(950);
    expect(low).toBeLessThanOrEqual(1_000);
  });

  it('know nothing that holds where nothing does', () => {
    expect(search(0, 300, 6)).toMatchObject({ low: 0, best: null });
  });

  it('are not moved by a run that was disturbed', () => {
    const bounds = createRateBounds<string>(400);
    noteRun(bounds, { holds: false, msP99: 200, figures: 'paused' });
    noteRun(bounds, { holds: true, msP99: 20, figures: 'quick' });
    expect(bounds).toMatchObject({ rate: 400, decided: 0, best: null });
    noteRun(bounds, { holds: true, msP99: 30, figures: 'slow' });
    expect(bounds).toMatchObject({ rate: 500, low: 400, decided: 1, best: 'slow' });
  });

  it('tell the slower of two runs that agree', () => {
    const bounds = createRateBounds<string>(400);
    noteRun(bounds, { holds: true, msP99: 40, figures: 'slower' });
    noteRun(bounds, { holds: true, msP99: 20, figures: 'faster' });
    expect(bounds.best).toBe('slower');
  });

  it('come near in most searches of which a fifth of the runs is disturbed', () => {
    const random = randomFrom(7);
    const found = Array.from({ length: 101 }, () => search(1_000, 900, 6, () => random() < 0.2).low);
    found.sort((a, b) => a - b);
    expect(found[50]).toBeGreaterThan(900);
  });
});
