import { createProgressiveQuality } from '@millrace/core';
import { describe, expect, test } from 'vitest';
import { createTraffic, type Impression } from '../src/traffic.ts';

/** A minute of the demo: 100 requests a second, less the start. */
const steps = 5_600;
const seeds = [1, 2, 3];

function played(
  seed: number,
  count: number,
  options: { startAt?: number; driftStep?: number } = {},
): Impression[] {
  const traffic = createTraffic({ seed, ...options });
  return Array.from({ length: count }, () => traffic.next());
}

test('traffic: the same seed gives the same bytes, another seed others', () => {
  const text = JSON.stringify(played(1, 50));
  expect(JSON.stringify(played(1, 50))).toBe(text);
  expect(JSON.stringify(played(2, 50))).not.toBe(text);
});

test('traffic: starting at a step equals playing up to it, across the drift', () => {
  const whole = played(4, 60, { driftStep: 40 });
  expect(played(4, 25, { startAt: 35, driftStep: 40 })).toEqual(whole.slice(35));
});

test('traffic: tells the step that comes next, and any step is at hand at once', () => {
  const traffic = createTraffic({ seed: 1, startAt: 1_000_000 });
  expect(traffic.step).toBe(1_000_000);
  expect(traffic.next().request.requestId).toBe('demo-1-1000000');
  expect(traffic.step).toBe(1_000_001);
});

test('traffic: a request has one user, a context and eight different items', () => {
  for (const { step, request, truth } of played(1, 200)) {
    expect(request.requestId).toBe(`demo-1-${step}`);
    expect(request.user.user).toMatch(/^u\d+$/);
    expect(request.context.hour).toBeGreaterThanOrEqual(0);
    expect(request.context.hour).toBeLessThan(24);
    expect(new Set(request.items.map((item) => item.item)).size).toBe(8);
    expect(request.items.every((item) => item.price > 0)).toBe(true);
    expect(truth).toHaveLength(8);
  }
});

test('traffic: users and items keep their features', () => {
  const segments = new Map<string, string>();
  const items = new Map<string, string>();
  for (const { request } of played(1, 500)) {
    const { user, segment, country } = request.user;
    const known = segments.get(user);
    if (known !== undefined) expect(`${segment} ${country}`).toBe(known);
    segments.set(user, `${segment} ${country}`);
    for (const { item, category, price } of request.items) {
      const before = items.get(item);
      if (before !== undefined) expect(`${category} ${price}`).toBe(before);
      items.set(item, `${category} ${price}`);
    }
  }
});

test('traffic: the drift changes the truth, and nothing before it or beside it', () => {
  const drifted = played(1, 200, { driftStep: 100 });
  const steady = played(1, 200, { driftStep: Number.POSITIVE_INFINITY });
  expect(drifted.slice(0, 100)).toEqual(steady.slice(0, 100));
  let moved = 0;
  for (let step = 100; step < 200; step++) {
    expect(drifted[step].request).toEqual(steady[step].request);
    for (let i = 0; i < 8; i++) if (Math.abs(drifted[step].truth[i] - steady[step].truth[i]) > 0.01) moved++;
  }
  // Half of the categories and a third of the items move: about two thirds of 800 impressions, some by little.
  expect(moved).toBeGreaterThan(300);
});

describe.each(seeds)('traffic: seed %i, one minute', (seed) => {
  const impressions = played(seed, steps);
  const shown = steps * 8;

  test('traffic: users: about 15 % of requests come from first-seen ones', () => {
    const users = new Set(impressions.map(({ request }) => request.user.user));
    expect(users.size / steps).toBeGreaterThan(0.14);
    expect(users.size / steps).toBeLessThan(0.18);
    // In the long run, without the founders' first visits.
    const late = played(seed, 2_000, { startAt: 500_000 });
    const newcomers = late.filter(({ step, request }) => Number(request.user.user.slice(1)) >= step);
    expect(newcomers.length / 2_000).toBeGreaterThan(0.12);
    expect(newcomers.length / 2_000).toBeLessThan(0.17);
  });

  test('traffic: items: the top tenth takes about 74 % of impressions, 5 to 10 % are first-seen', () => {
    const counts = new Map<string, number>();
    for (const { request } of impressions) {
      for (const { item } of request.items) counts.set(item, (counts.get(item) ?? 0) + 1);
    }
    const descending = [...counts.values()].sort((a, b) => b - a);
    const top = descending.slice(0, Math.ceil(descending.length / 10)).reduce((sum, count) => sum + count, 0);
    expect(top / shown).toBeGreaterThan(0.7);
    expect(top / shown).toBeLessThan(0.78);
    expect(counts.size / shown).toBeGreaterThan(0.05);
    expect(counts.size / shown).toBeLessThan(0.1);
    expect(descending[0] / shown).toBeLessThan(0.05);
  });

  test('traffic: clicks: 10 to 15 %, as the truth says, 1.2 s later in the middle and never after 5 s', () => {
    const clicks = impressions.flatMap((impression) => impression.clicks);
    const expected = impressions.reduce((sum, { truth }) => sum + truth.reduce((a, b) => a + b, 0), 0);
    expect(clicks.length / shown).toBeGreaterThan(0.1);
    expect(clicks.length / shown).toBeLessThan(0.15);
    expect(Math.abs(clicks.length / expected - 1)).toBeLessThan(0.05);
    const delays = Float64Array.from(clicks, (click) => click.delayMs).sort();
    expect(Math.abs(delays[delays.length >> 1] - 1_200)).toBeLessThan(60);
    expect(delays[0]).toBeGreaterThan(0);
    expect(delays[delays.length - 1]).toBeLessThanOrEqual(5_000);
  });

  test('traffic: truth: ranks clicks with an AUC of 0.74 to 0.81 and is calibrated', () => {
    const quality = createProgressiveQuality();
    for (const { truth, clicks } of impressions) {
      const clicked = new Set(clicks.map((click) => click.index));
      truth.forEach((probability, index) => {
        quality.add(probability, clicked.has(index) ? 1 : 0);
      });
    }
    const { auc, calibration } = quality.report();
    expect(auc).toBeGreaterThan(0.74);
    expect(auc).toBeLessThan(0.81);
    expect(Math.abs(calibration - 1)).toBeLessThan(0.05);
  });
});
