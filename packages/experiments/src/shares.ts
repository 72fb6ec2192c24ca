/**
 * Buckets of a layer, dealt to arms so that as few units as possible move.
 *
 *   bucket   0 ········ 2,000 ········ 4,000 ················ 10,000
 *   before   [  a 0.2       ][  b 0.2       ]    free
 *   b 0.3    [  a           ][  b                 ]  free              grows at its own edge; a and nobody else moves
 *   a 0.1    [  a  ] free    [  b                 ]  free              gives up its last buckets
 *
 * An arm that shrinks gives up its last buckets and keeps the rest; then one that grows keeps all that it has and takes free
 * ones, first those behind its own. So the units that leave an arm are exactly as many as it shrinks by, those that come to one
 * exactly as many as it grows by, and nobody changes between arms that do neither: no dealing of whole buckets does with less.
 */
import { type BucketRange, experimentBuckets } from '@millrace/protocol';

export type Ranges = readonly BucketRange[];

export function sizeOf(ranges: Ranges): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0);
}

/**
 * Deals a layer anew.
 * @param held    by arm what it has now, of all arms of the layer.
 * @param wanted  by arm how many buckets it is to have; arms that are not named keep theirs. At most 10,000 together.
 * @returns by arm its ranges, ascending, of all arms of either.
 */
export function dealBuckets(
  held: ReadonlyMap<string, Ranges>,
  wanted: ReadonlyMap<string, number>,
): ReadonlyMap<string, Ranges> {
  const dealt = new Map(held);
  for (const [arm, count] of wanted) dealt.set(arm, firstOf(dealt.get(arm) ?? [], count));
  for (const [arm, count] of wanted) {
    const own = dealt.get(arm) ?? [];
    const lacking = count - sizeOf(own);
    if (lacking > 0) dealt.set(arm, joined([...own, ...taken(freeIn(dealt), own, lacking)]));
  }
  return dealt;
}

/** What no arm of a layer has, ascending. */
export function freeIn(dealt: ReadonlyMap<string, Ranges>): Ranges {
  const held = joined([...dealt.values()].flat());
  const free: BucketRange[] = [];
  let at = 0;
  for (const [from, to] of held) {
    if (from > at) free.push([at, from]);
    at = to;
  }
  if (at < experimentBuckets) free.push([at, experimentBuckets]);
  return free;
}

function firstOf(ranges: Ranges, count: number): Ranges {
  const kept: BucketRange[] = [];
  let left = count;
  for (const [from, to] of ranges) {
    if (left <= 0) break;
    kept.push([from, Math.min(to, from + left)]);
    left -= to - from;
  }
  return kept;
}

/** `count` of the free buckets: those that begin where own ones end, then the lowest. */
function taken(free: Ranges, own: Ranges, count: number): Ranges {
  const ends = new Set(own.map(([, to]) => to));
  const beside = free.filter(([from]) => ends.has(from));
  return firstOf([...beside, ...free.filter(([from]) => !ends.has(from))], count);
}

function joined(ranges: Ranges): Ranges {
  const out: BucketRange[] = [];
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = out.at(-1);
    if (last !== undefined && last[1] === from) out[out.length - 1] = [last[0], to];
    else out.push([from, to]);
  }
  return out;
}
