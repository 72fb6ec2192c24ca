import { describe, expect, it } from 'vitest';
import { createRateStaircase, highestHeld, noteRun, type RateRun } from '../../src/score/rate-staircase.ts';
import { randomFrom } from '../../src/score/workload.ts';

/** Searches a stack that holds up to `capacityAt` of the run, 0: it was disturbed. */
function search(capacityAt: (run: number) => number, firstRate: number, runs: number): number {
  const staircase = createRateStaircase<null>(firstRate);
  for (let run = 0; run < runs; run += 1)
    noteRun(staircase, { ...quiet, holds: staircase.rate <= capacityAt(run) });
  return highestHeld(staircase.runs)?.rate ?? 0;
}

const quiet = { msP99: 10, figures: null };

function run(rate: number, holds: boolean, msP99 = 10): RateRun<number> {
  return { rate, holds, msP99, figures: rate };
}

describe('rate staircase', () => {
  it.each([
    ['up from a first rate that was too low', 200],
    ['down from one that was too high', 4_000],
  ])('goes %s, and closes in on what holds', (_, firstRate) => {
    const found = search(() => 1_000, firstRate, 24);
    expect(found).toBeGreaterThan(940);
    expect(found).toBeLessThanOrEqual(1_000);
  });

  it('steps half as far where it turns and twice as far where it goes on', () => {
    const staircase = createRateStaircase<null>(1_000);
    const tried: number[] = [];
    for (const holds of [true, false, true, true, true, true, false]) {
      tried.push(staircase.rate);
      noteRun(staircase, { ...quiet, holds });
    }
    const stepsTaken = tried.slice(1).map((rate, i) => Math.log(rate / tried[i]) / Math.log(1.25));
    const expected = [1, -0.5, 0.25, 0.25, 0.5, 1];
    for (const [i, step] of stepsTaken.entries()) expect(step).toBeCloseTo(expected[i], 6);
  });

  it('never steps less than 5 %', () => {
    const staircase = createRateStaircase<null>(1_000);
    for (let i = 0; i < 20; i += 1) noteRun(staircase, { ...quiet, holds: i % 2 === 0 });
    expect(staircase.step).toBeCloseTo(Math.log(1.05), 6);
  });

  it('finds as much where the machine was busy first as where it was busy last', () => {
    const early = search((n) => (n < 3 ? 0 : 1_000), 900, 30);
    const late = search((n) => (n >= 27 ? 0 : 1_000), 900, 30);
    expect(early).toBeGreaterThan(900);
    expect(late).toBeGreaterThan(900);
  });

  it('finds what holds most of the time, not what held at the best moment', () => {
    const found = search((n) => (n >= 10 && n < 14 ? 3_000 : 1_000), 900, 30);
    expect(found).toBeGreaterThan(850);
    expect(found).toBeLessThanOrEqual(1_000);
  });

  it('errs as often up as down where what a stack holds wanders', () => {
    const random = randomFrom(7);
    const found = Array.from({ length: 301 }, () => {
      const wander = () => 1_000 * Math.exp(0.4 * (random() - 0.5));
      return search(wander, 800, 30);
    });
    found.sort((a, b) => a - b);
    expect(found[150]).toBeGreaterThan(950);
    expect(found[150]).toBeLessThan(1_050);
  });
});

describe('the highest rate held', () => {
  it('is none before two runs speak for one', () => {
    expect(highestHeld([])).toBeNull();
    expect(highestHeld([run(500, true)])).toBeNull();
    expect(highestHeld([run(500, true), run(500, true)])?.rate).toBe(500);
    expect(highestHeld([run(500, false), run(400, false)])).toBeNull();
  });

  it('is spoken for by runs that held higher rates', () => {
    const runs = [run(500, true), run(600, true), run(700, true), run(800, false)];
    expect(highestHeld(runs)?.rate).toBe(600);
  });

  it('is spoken against by runs that failed at lower ones', () => {
    const runs = [run(800, true), run(810, true), run(700, false), run(690, false), run(600, true)];
    expect(highestHeld(runs)?.rate).toBe(600);
  });

  it('is told by the middle of the runs that held there or right below, of two by the slower', () => {
    const around = [run(1_000, true, 12), run(1_000, true, 45), run(960, true, 30)];
    const others = [run(900, true, 20), run(990, false, 60), run(1_050, false, 80)];
    expect(highestHeld([...around, ...others])?.msP99).toBe(30);
    expect(highestHeld([...around.slice(0, 2), ...others])?.msP99).toBe(45);
  });
});
