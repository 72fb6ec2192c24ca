/** Who and what there is in the demo's traffic: users and items, each a function of (seed, number) and for ever the same. */
import { chosenIndex, normalAt, uniformAt } from './counter-random.ts';
import { streams } from './streams.ts';

export const segmentNames = [
  'student',
  'family',
  'commuter',
  'retired',
  'professional',
  'traveller',
] as const;
export const deviceNames = ['phone', 'tablet', 'desktop'] as const;
export const countryNames = ['us', 'in', 'br', 'ng', 'de', 'jp', 'mx', 'fr'] as const;
export const placementNames = ['feed', 'top', 'side', 'mail'] as const;
export const categoryNames = [
  'film',
  'music',
  'fashion',
  'sport',
  'games',
  'books',
  'kitchen',
  'travel',
  'garden',
  'toys',
] as const;
export const hourCount = 24;

/** Dimensions of taste and character: what a user likes and what an item is, beyond segment and category. */
export const tasteDim = 4;

const segmentWeights = [5, 5, 4, 3, 4, 2];
const deviceWeights = [6, 1, 3];
const countryWeights = [8, 5, 4, 3, 3, 2, 2, 2];
const categoryWeights = [10, 9, 8, 8, 7, 6, 6, 5, 4, 4];
/** Share of an item's character that it owes to its category. */
const categoryCharacterShare = 0.6;

export interface User {
  readonly number: number;
  /** Index into `segmentNames`; likewise the others. */
  readonly segment: number;
  readonly country: number;
  /** The device used most of the time. */
  readonly device: number;
  /** float[tasteDim], standard normal. */
  readonly taste: readonly number[];
}

export interface Item {
  readonly number: number;
  readonly category: number;
  /** Log-normal about 20, in cents' precision. */
  readonly price: number;
  /** float[tasteDim], standard normal, alike within a category. */
  readonly character: readonly number[];
}

export function userOf(seed: number, number: number): User {
  const pick = (draw: number) => uniformAt(seed, streams.user, number, draw);
  return {
    number,
    segment: chosenIndex(segmentWeights, pick(0)),
    country: chosenIndex(countryWeights, pick(1)),
    device: chosenIndex(deviceWeights, pick(2)),
    taste: vector((dim) => normalAt(seed, streams.taste, number, dim)),
  };
}

export function itemOf(seed: number, number: number): Item {
  const category = chosenIndex(categoryWeights, uniformAt(seed, streams.item, number));
  const price = Math.exp(3 + 0.7 * normalAt(seed, streams.price, number));
  const shared = Math.sqrt(categoryCharacterShare);
  const own = Math.sqrt(1 - categoryCharacterShare);
  return {
    number,
    category,
    price: Math.round(price * 100) / 100,
    character: vector(
      (dim) =>
        shared * normalAt(seed, streams.categoryCharacter, category, dim) +
        own * normalAt(seed, streams.character, number, dim),
    ),
  };
}

function vector(component: (dim: number) => number): number[] {
  return Array.from({ length: tasteDim }, (_, dim) => component(dim));
}
