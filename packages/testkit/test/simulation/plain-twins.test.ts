/** The plain twins agree with what they are to find wrong, where nothing is wrong. */
import {
  applyDense,
  applyGradients,
  createDenseState,
  createPartitionState,
  denseHash,
  fingerprintOf,
  partitionHash,
  tableLayouts,
} from '@millrace/core';
import { createJoiner, joinerOptionsOf } from '@millrace/joiner';
import { compileNet, denseOptimizerOf, initialParameters } from '@millrace/model';
import {
  type Event,
  encodeDenseBlock,
  encodeGradientBlock,
  type LearningSpec,
  type OutcomeSpec,
} from '@millrace/protocol';
import { expect, test } from 'vitest';
import { createPlainDense } from '../../src/simulation/plain-dense.ts';
import { plainJoin, type StoredEvent, type Tally } from '../../src/simulation/plain-join.ts';
import { createPlainPartition } from '../../src/simulation/plain-partition.ts';
import { type Random, randomFrom } from '../../src/simulation/random.ts';
import { simulationModels } from '../../src/simulation/simulation-models.ts';

const file = simulationModels.dense;
const fingerprint = fingerprintOf(file);
const layouts = tableLayouts(file);

/** A block of a few rows, now and then one that is no news, another partition's or damaged. */
function blockFrom(random: Random, sequence: number): Uint8Array {
  const sections = layouts.map((layout, table) => ({
    table,
    dim: layout.dim,
    count: 2,
    keys: Uint32Array.of(random.whole(5), 7, 5 + random.whole(5), 7),
    gradients: Float32Array.from({ length: 2 * layout.dim }, () => random.uniform() - 0.5),
    curvature: null,
    occurrences: layout.countsOccurrences ? Uint32Array.of(1, 1 + random.whole(2)) : null,
  }));
  const partition = random.chance(0.1) ? 1 : 0;
  const place = random.chance(0.2) ? Math.max(1, sequence - 2) : sequence;
  const bytes = encodeGradientBlock({
    producer: 'p',
    sequence: place,
    previous: 0,
    model: file.name,
    fingerprint,
    partition,
    timeMs: 0,
    sections,
    // Some seconds a block: rows go that were not learned for ten.
    eventTimeMs: sequence < 5 ? null : 1_700_000_000_000 + 3_000 * sequence,
  });
  const copy = new Uint8Array(bytes);
  if (random.chance(0.1)) copy[20] ^= 1;
  return copy;
}

test('plain partition: its hash is that of the production fold at every sequence, rows and all', () => {
  const random = randomFrom(7);
  const state = createPartitionState({ model: file.name, fingerprint, partition: 0, layouts });
  const plain = createPlainPartition({ file, fingerprint, layouts, partition: 0 });
  const hashes: string[] = [];
  for (let sequence = 1; sequence <= 60; sequence += 1) {
    const payload = blockFrom(random, sequence);
    applyGradients(state, { sequence, payload }, 'report');
    plain.take(sequence, payload);
    hashes.push(partitionHash(state));
  }
  for (const [i, hash] of hashes.entries()) expect([i + 1, plain.hashAt(i + 1)]).toEqual([i + 1, hash]);
  expect(plain.appliedUntil(60)).toBe(state.counts.applied);
  expect(plain.rejected).toBe(state.counts.rejected);
  expect(new Set(hashes).size).toBe(60);
});

test('plain dense: its hash is that of the production fold', () => {
  const shape = compileNet(file);
  const state = createDenseState({
    model: file.name,
    fingerprint,
    initial: initialParameters(shape, file.seed),
    optimizer: denseOptimizerOf(file),
  });
  const plain = createPlainDense(file, fingerprint);
  const random = randomFrom(3);
  for (let sequence = 1; sequence <= 20; sequence += 1) {
    const payload = encodeDenseBlock({
      producer: 'p',
      sequence: sequence - (sequence % 5 === 0 ? 1 : 0),
      previous: 0,
      model: file.name,
      fingerprint,
      timeMs: 0,
      gradients: Float32Array.from({ length: shape.parameters }, () => random.uniform() - 0.5),
    });
    applyDense(state, { sequence, payload }, 'report');
    plain.take(sequence, payload);
    expect(plain.hash()).toBe(denseHash(state));
    expect([...plain.weightsAt(sequence)]).toEqual([...state.weights]);
  }
  expect(plain.applied).toBe(16);
});

/** Impressions, outcomes and ticks of a few requests, in any order, with times that go on and back, and clocks far ahead. */
function eventsFrom(random: Random): StoredEvent[] {
  let storedMs = 0;
  return Array.from({ length: 120 }, () => {
    storedMs += random.whole(500);
    const timeMs = random.chance(0.1) ? storedMs + 100_000 : storedMs - random.whole(800);
    return { event: eventFrom(random, timeMs), storedMs };
  });
}

function eventFrom(random: Random, timeMs: number): Event {
  const requestId = `r${random.whole(12)}`;
  const type = random.pick(['impression', 'outcome', 'outcome', 'tick'] as const);
  if (type === 'tick') return { type, timeMs };
  const which = random.chance(0.5) ? { index: random.whole(3) } : { item: `item-${random.whole(3)}` };
  if (type === 'outcome') {
    const outcome = random.pick(['click', 'click', 'purchase', 'unheard-of'] as const);
    return { type, requestId, timeMs, ...which, outcome, value: random.whole(4) };
  }
  const items = [{ item: `item-${random.whole(3)}` }, { item: `item-${random.whole(3)}` }];
  return { type, requestId, timeMs, user: {}, context: {}, items, scores: new Uint8Array(8), version: 0 };
}

const learnings: readonly LearningSpec[] = [
  { negatives: 'after-window' },
  { negatives: 'at-once' },
  { negatives: 'after-window', latePositives: 'ignore' },
  { negatives: 'at-once', latePositives: 'ignore', lateWindowMs: 500 },
  { negatives: 'after-window', latePositives: 'fake-negative-weighted' },
  { negatives: 'at-once', latePositives: 'fake-negative-weighted', lateWindowMs: 5_000 },
];
const kinds: readonly OutcomeSpec[] = [
  { name: 'click', valueMin: 2, weight: 0.5 },
  { name: 'purchase', valueWeight: 'linear', weight: 3, valueMax: 2 },
];

test.each(learnings)('plain join: tells the examples that the production joiner finds (%o)', (learning) => {
  const rules = joinerOptionsOf({ ...file, learning: { ...learning, joinWindowMs: 2_000, outcomes: kinds } });
  for (let seed = 1; seed <= 60; seed += 1) {
    const events = eventsFrom(randomFrom(seed));
    const items = new Map<string, Tally>();
    const totals = { examples: 0, clicks: 0 };
    const joiner = createJoiner(rules, {
      onExample({ item, shown, clicked, isFirst, makesPositive }) {
        const tally = items.get(String(item.item)) ?? { shown: 0, clicked: 0 };
        items.set(String(item.item), { shown: tally.shown + shown, clicked: tally.clicked + clicked });
        if (isFirst) totals.examples += 1;
        if (makesPositive) totals.clicks += 1;
      },
      onRejection: () => undefined,
    });
    for (const [i, { event, storedMs }] of events.entries())
      if (event) joiner.take(i + 1, event, { timeMs: storedMs, bytes: 0 });
    const { examples, clicks, rejected, open, items: wanted } = plainJoin(events, rules);
    expect([seed, { examples, clicks, rejected, open }]).toEqual([
      seed,
      { ...totals, rejected: joiner.counts.rejected, open: joiner.openEntries },
    ]);
    expect([...items.keys()].sort()).toEqual([...wanted.keys()].sort());
    for (const [item, tally] of wanted) {
      expect(items.get(item)?.shown, `${seed} ${item}`).toBeCloseTo(tally.shown, 9);
      expect(items.get(item)?.clicked, `${seed} ${item}`).toBeCloseTo(tally.clicked, 9);
    }
  }
});
