/** A small model for tests of whole clusters, and what is done with it through the public API. */
import type { MillraceClient, ModelFile, OutcomeRequest, ScoreRequest } from '@millrace/sdk';
import { eventually, type LoadResult, type SteadyLoad, startSteadyLoad } from '@millrace/testkit';
import { expect } from 'vitest';

export const soon = { withinMs: 60_000 };

/** One weight an item: what one item's outcome teaches moves no other item. */
export function clicksModel(name: string, joinWindowMs = 1_000): ModelFile {
  return {
    name,
    label: 'click',
    item: 'item',
    partitions: 8,
    tables: [{ name: 'items', wide: { optimizer: { type: 'sgd', learningRate: 0.5 } } }],
    fields: [{ name: 'item', type: 'sparse', scope: 'item', table: 'items' }],
    net: 'linear',
    loss: 'logloss',
    seed: 1,
    learning: { negatives: 'after-window', joinWindowMs },
  };
}

export function questionTo(model: ModelFile): ScoreRequest {
  return { model: model.name, items: [{ item: 'a' }, { item: 'b' }], log: false };
}

/** Items "a" and "b"; the first is clicked once. Returns the scores that follow from it. */
export async function learnOneClick(client: MillraceClient, model: ModelFile): Promise<readonly number[]> {
  await client.createModel(model);
  await client.waitUntilReady({ timeoutMs: soon.withinMs });
  const question = questionTo(model);
  expect((await client.score(question)).scores).toEqual([0.5, 0.5]);
  const { requestId } = await client.score({ ...question, log: true });
  await client.sendOutcomes({ model: model.name, requestId, index: 0, value: 1 });
  return eventually(async () => {
    const { scores } = await client.score(question);
    expect(scores[0]).toBeGreaterThan(0.5);
    expect(scores[1]).toBeLessThan(0.5);
    return scores;
  }, soon);
}

/**
 * Two items a request, spread over many rows; each request is logged, and its first item clicked.
 * @param name  of this load, so that its requests have ids of their own.
 */
export function startClicks(url: string, model: ModelFile, name = model.name): SteadyLoad {
  const idOf = (n: number) => `${name}-${n}`;
  return startSteadyLoad({
    url,
    lanes: 2,
    pauseMs: 5,
    request: (n) => ({
      model: model.name,
      requestId: idOf(n),
      items: [{ item: `i${n % 97}` }, { item: `i${(n + 31) % 97}` }],
      log: true,
    }),
    outcomes: (n): OutcomeRequest[] => [{ model: model.name, requestId: idOf(n), index: 0, value: 1 }],
  });
}

export async function moreScores(sofar: LoadResult, count: number): Promise<void> {
  const wanted = sofar.scored.length + count;
  await eventually(() => expect(sofar.scored.length).toBeGreaterThanOrEqual(wanted), soon);
}

export async function expectLiveShards(client: MillraceClient, count: number): Promise<void> {
  await eventually(async () => {
    const { shards } = await client.status();
    expect(shards.filter(({ live, ready }) => live && ready)).toHaveLength(count);
  }, soon);
}
