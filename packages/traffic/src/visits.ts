/**
 * Who comes at a step, in what situation, and what is shown: everything of a request but the clicks. Two populations grow as
 * the steps go on (arrivals.ts): one of users, one visit a step, and one of items, eight exposures a step.
 */
import { type Population, visitorAt } from './arrivals.ts';
import { chosenIndex, uniformAt } from './counter-random.ts';
import { streams } from './streams.ts';
import { deviceNames, hourCount, type Item, itemOf, type User, userOf } from './world.ts';

/** Candidates of one request. */
export const candidateCount = 8;

export interface Visit {
  readonly user: User;
  /** Index into `deviceNames`: mostly the user's usual one. */
  readonly device: number;
  readonly hour: number;
  /** Index into `placementNames`. */
  readonly placement: number;
  /** [candidateCount], all different. */
  readonly items: readonly Item[];
}

/** The visit of one step, a function of (seed, step). */
export function visitAt(seed: number, step: number): Visit {
  const user = userOf(seed, visitorAt(userPopulation(seed), step));
  const pick = (draw: number) => uniformAt(seed, streams.situation, step, draw);
  const anyDevice = Math.floor(pick(1) * deviceNames.length);
  return {
    user,
    device: pick(0) < usualDeviceShare ? user.device : anyDevice,
    hour: chosenIndex(hourWeights, pick(2)),
    placement: chosenIndex(placementWeights, pick(3)),
    items: itemsAt(seed, step),
  };
}

const usualDeviceShare = 0.85;
const placementWeights = [9, 5, 4, 2];
/** Evenings are busy and nights are not. */
const hourWeights = Array.from(
  { length: hourCount },
  (_, hour) => 1 + 0.7 * Math.cos((2 * Math.PI * (hour - 20)) / hourCount),
);

/** Newcomers make about 15 % of visits, over the first minute (with the founders' first visits) and in the long run. */
function userPopulation(seed: number): Population {
  return { seed, stream: streams.visits, founders: 80, newShare: () => 0.145, recency: 1.5 };
}

/**
 * New items make 9 % of exposures at first and ever fewer later; the top tenth of the items seen takes about 74 % of the
 * exposures of the first minute. Strong recency lets items come into fashion and go out of it.
 */
function itemPopulation(seed: number): Population {
  return { seed, stream: streams.exposures, founders: 240, newShare: newItemShare, recency: 3 };
}

function newItemShare(exposure: number): number {
  return 0.09 * (1 + exposure / 40_000) ** -0.2;
}

/** An item that is in the request already is drawn again; the other draws do not count as exposures for later steps. */
function itemsAt(seed: number, step: number): Item[] {
  const population = itemPopulation(seed);
  const numbers: number[] = [];
  for (let place = 0; place < candidateCount; place++) {
    const exposure = step * candidateCount + place;
    let draw = 0;
    let number = visitorAt(population, exposure, draw);
    while (numbers.includes(number)) number = visitorAt(population, exposure, ++draw);
    numbers.push(number);
  }
  return numbers.map((number) => itemOf(seed, number));
}
