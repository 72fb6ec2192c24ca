/**
 * From a request's scores to an order: which policy draws, over what, and what of it is answered and logged.
 *
 * The draws come of the request's id and the model's seed (core/exploration/uniforms.ts): a request that is sent again, to this
 * node or another, is drawn with the same numbers. So an impression that two nodes have logged, of which only one counts, shows
 * the order that the caller saw, unless the scores have moved between.
 */
import {
  type DrawnRanking,
  drawRanking,
  type Exploration,
  explorationFrom,
  uniformsOf,
} from '@millrace/core';
import {
  answeredScore,
  type Features,
  type FirstChoice,
  type Impression,
  MillraceError,
  type ModelFile,
  type RankedItem,
  type RankRequest,
  thompsonWorkMax,
} from '@millrace/protocol';
import type { Scored } from './scored.ts';

/** What a request wants drawn. */
export interface RankingPlan {
  readonly exploration: Exploration;
  /** Items wanted. */
  readonly places: number;
}

/** Parameters by policy; those of another one are a mistake, not to be passed over. */
const parametersOf: Readonly<Record<Exploration['type'], readonly string[]>> = {
  'epsilon-greedy': ['epsilon'],
  softmax: ['temperature'],
  thompson: ['scale'],
  greedy: [],
};

/** What of a request says how its items are ranked. */
type Asked = Pick<RankRequest, 'count' | 'exploration'> & { readonly items: { readonly length: number } };

/** @throws MILL_BAD_REQUEST naming the part, wanted and found. */
export function rankingPlanFrom(request: Asked, file: ModelFile): RankingPlan {
  const { items, count = items.length } = request;
  const exploration = explorationFrom(request.exploration);
  const { type } = exploration;
  for (const name of Object.keys(request.exploration ?? {})) {
    if (name === 'type' || parametersOf[type].includes(name)) continue;
    const taken = ['type', ...parametersOf[type]].join(', ');
    throw badRequest(`exploration.${name}`, `only ${taken} with ${type}`, 'another parameter');
  }
  if (count > items.length) throw badRequest('count', `at most the ${items.length} items`, `${count}`);
  if (type === 'thompson') checkThompson(file, items.length, count);
  return { exploration, places: count };
}

function checkThompson(file: ModelFile, items: number, count: number): void {
  if (!file.tables.some(({ precision }) => precision !== undefined)) throw unsure(file.name);
  if (items * count > thompsonWorkMax) {
    const most = Math.floor(thompsonWorkMax / items);
    throw badRequest(
      'count',
      `at most ${most} places of ${items} items for thompson (items times places up to ${thompsonWorkMax})`,
      `${count}`,
    );
  }
}

/** @throws MILL_BAD_REQUEST when Thompson sampling is wanted of a model without variances. */
export function drawFor(
  { exploration, places }: RankingPlan,
  { logits, variances }: Pick<Scored, 'logits' | 'variances'>,
  { name, seed }: Pick<ModelFile, 'name' | 'seed'>,
  requestId: string,
): DrawnRanking {
  const count = logits.length;
  if (exploration.type === 'thompson' && variances === null) throw unsure(name);
  const candidates = {
    logits: Float64Array.from(logits),
    variances: variances === null ? new Float64Array(count) : Float64Array.from(variances),
    count,
  };
  return drawRanking(exploration, candidates, places, uniformsOf(seed, requestId));
}

export function rankedItems({ indices, propensities }: DrawnRanking, scores: Float32Array): RankedItem[] {
  return Array.from(indices, (index, place) => ({
    index,
    score: answeredScore(scores[index]),
    propensity: propensities[place],
  }));
}

/** What the impression says of the items: those that were shown, in that order. */
export function shownPart(
  { indices, propensities }: DrawnRanking,
  { items, scores, logits, policy }: ShownInput,
): Pick<Impression, 'items' | 'scores' | 'policy' | 'propensities' | 'places' | 'greedy'> {
  const places = Array.from(indices);
  return {
    items: places.map((index) => items[index]),
    scores: bytesOf(Float32Array.from(places, (index) => scores[index])),
    policy,
    propensities: bytesOf(propensities),
    places,
    greedy: firstChoice(logits, scores),
  };
}

/**
 * What `by` alone would have shown first, of equal ones the first in the request, as greedy exploration does.
 * @param by      float32[items]: logits of whoever would choose.
 * @param scores  float32[items]: the probabilities that were answered.
 */
export function firstChoice(by: Float32Array, scores: Float32Array): FirstChoice {
  let place = 0;
  for (let i = 1; i < by.length; i += 1) if (by[i] > by[place]) place = i;
  return { place, score: scores[place] };
}

interface ShownInput {
  /** Of the request. */
  readonly items: readonly Features[];
  readonly scores: Float32Array;
  readonly logits: Float32Array;
  readonly policy: Exploration['type'];
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function unsure(model: string): MillraceError {
  return badRequest(
    'exploration.type',
    'for thompson a model that knows how sure it is',
    `no table of "${model}" with a precision: give the tables of wide weights "precision": { "prior": 1 }`,
  );
}

function badRequest(path: string, wanted: string, found: string): MillraceError {
  return new MillraceError('MILL_BAD_REQUEST', `${path}: wanted ${wanted}, found ${found}`, {
    details: { path, wanted, found },
  });
}
