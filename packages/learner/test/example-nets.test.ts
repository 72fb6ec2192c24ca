/**
 * Each net of examples/nets learns a structure that no sum of single weights can hold, score-then-learn, on a small generated
 * stream; the same fields in a linear model learn nothing of it.
 */
import { readFileSync } from 'node:fs';
import { logloss, parseModelFile } from '@millrace/model';
import type { Features, ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { openLocalLearner } from '../src/index.ts';

const examples = 4_000;
const batch = 16;

interface Visit {
  readonly user: Features;
  readonly context: Features;
  readonly item: Features;
  /** What decides: −1 or 1. */
  readonly pull: number;
}

/** What a person of `number` is for or against, the same in every run. */
function sideOf(number: number): number {
  return (Math.imul(number + 11, 0x9e3779b1) >>> 16) % 2 === 0 ? 1 : -1;
}

/** Makes visits in which every value by itself comes with as many clicks as not. */
function visits(
  pullOf: (draw: { user: number; item: number; price: number; history: number[] }) => number,
): Visit[] {
  let state = 12_345;
  const below = (n: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return Array.from({ length: examples }, () => {
    const [user, item, price] = [below(12), below(12), below(1_000)];
    const history = Array.from({ length: 6 }, () => below(12));
    return {
      user: { user, segment: user % 3, history: history.join('|') },
      context: { hour: below(24), placement: below(3) },
      item: { item, category: item % 4, price },
      pull: pullOf({ user, item, price, history }),
    };
  });
}

/** Mean logloss of the second half, each example scored before it is learned. */
async function lossOf(file: ModelFile, stream: readonly Visit[]): Promise<number> {
  const learner = await openLocalLearner(file, { engine: 'plain', onSkip: () => {} });
  let sum = 0;
  let counted = 0;
  for (let from = 0; from < stream.length; from += batch) {
    const some = stream.slice(from, from + batch);
    // Two of three that would click do.
    const labels = some.map(({ pull }, i) => (pull > 0 && (from + i) % 3 > 0 ? 1 : 0));
    some.forEach(({ user, context, item }, i) => {
      learner.add({ user, context, item, shown: 1, clicked: labels[i], timeMs: null });
    });
    await learner.learn();
    if (from < stream.length / 2) continue;
    labels.forEach((label, i) => {
      sum += logloss(learner.logits[i], label);
      counted += 1;
    });
  }
  learner.dispose();
  return sum / counted;
}

const likes = visits(({ user, item }) => sideOf(user) * sideOf(100 + item));
const prices = visits(({ user, price }) => sideOf(user) * (price < 500 ? -1 : 1));
const repeats = visits(({ item, history }) => (history.includes(item) ? 1 : -1));

function fileOf(name: string): ModelFile {
  const url = new URL(`../../../examples/nets/${name}.json`, import.meta.url);
  return parseModelFile(JSON.parse(readFileSync(url, 'utf8')));
}

/** The same fields, as far as they are keys, in single weights. */
function linearOf(file: ModelFile): ModelFile {
  const [features] = file.tables;
  const fields = file.fields.map((field) => ({ ...field, table: features.name }));
  return parseModelFile({ ...file, tables: [features], fields, net: 'linear' });
}

test.each([
  ['fwfm', 'who likes what', likes],
  ['dlrm', 'who likes what', likes],
  ['two-tower', 'who likes what', likes],
  ['dcn', 'who minds the price', prices],
  ['din', 'what was there before', repeats],
])('example nets: %s learns %s, a linear model does not', async (name, _what, stream) => {
  const file = fileOf(name);
  const [net, linear] = [await lossOf(file, stream), await lossOf(linearOf(file), stream)];
  expect(net).toBeLessThan(linear - 0.1);
});
