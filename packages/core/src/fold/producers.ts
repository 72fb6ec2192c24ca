/**
 * How far each producer's chain of blocks has been applied (I3). A block names its own place and the place before it, so
 * one look tells a new block from a repeated one and from one whose predecessor never came.
 */
import type { ProducerMark } from '@millrace/protocol';

/** Last applied sequence by producer name. */
export type Producers = Map<string, number>;

export type ChainPlace = 'next' | 'duplicate' | 'gap';

/** Where `mark` stands against what has been applied. */
export function placeInChain(producers: Producers, mark: ProducerMark): ChainPlace {
  const last = producers.get(mark.producer) ?? 0;
  if (mark.sequence <= last) return 'duplicate';
  return mark.previous > last ? 'gap' : 'next';
}
