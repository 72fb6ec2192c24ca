/**
 * What the items of a request share stands in the first row of the request alone (NetInput.requests): most parts read it once.
 * Those that want whole rows have it copied to the others first.
 */
import { copyWords, wordsOf } from './copy-words.ts';
import type { NetInput } from './engine.ts';
import type { NetShape } from './net-shape.ts';

/** Floats of the slots that a request's items share, as runs [from, to), ascending; the rest of the slots likewise. */
export interface SharedInputs {
  readonly shared: Int32Array;
  readonly own: Int32Array;
}

/** An attended sequence is pooled row by row, into a slot of the row's own. */
export function sharedInputsOf({ sides, slotFloats, slots, attention }: NetShape): SharedInputs {
  const isShared = sides.slice(0, slotFloats).map((side) => side === 'shared');
  for (const { sequence } of attention) {
    for (const { name, offset, dim } of slots)
      if (name === sequence) isShared.fill(false, offset, offset + dim);
  }
  const places = (wanted: boolean) => isShared.flatMap((is, place) => (is === wanted ? [place] : []));
  return { shared: runsOf(places(true)), own: runsOf(places(false)) };
}

/** Ascending places as runs [from, to). */
export function runsOf(places: readonly number[]): Int32Array {
  const runs: number[] = [];
  for (const place of places) {
    if (runs.at(-1) === place) runs[runs.length - 1] = place + 1;
    else runs.push(place, place + 1);
  }
  return Int32Array.from(runs);
}

/** Copies the runs of each request's first row to its others, in the caller's memory. */
export function spreadShared(
  { rows, embeddings, requests }: NetInput,
  runs: Int32Array,
  embeddingFloats: number,
): void {
  if (requests === undefined || runs.length === 0) return;
  const { starts, count } = requests;
  const words = wordsOf(embeddings);
  const many = runs.length;
  for (let r = 0; r < count; r += 1) {
    const first = starts[r] * embeddingFloats;
    const end = (r + 1 < count ? starts[r + 1] : rows) * embeddingFloats;
    for (let to = first + embeddingFloats; to < end; to += embeddingFloats) {
      for (let run = 0; run < many; run += 2)
        copyWords(words, first + runs[run], words, to + runs[run], runs[run + 1] - runs[run]);
    }
  }
}
