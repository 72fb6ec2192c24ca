/** Complete examples that wait for a batch, in the order of their places. Bounded: whoever fills it waits for room. */

import type { Example } from '@millrace/joiner';
import { comparePlaces, type ExamplePlace } from '@millrace/protocol';

export interface ExampleQueue {
  readonly length: number;
  push(example: Example): void;
  /** The oldest `count`, which stay. */
  first(count: number): readonly Example[];
  /** How many of the oldest stand at or before a place. */
  countThrough(place: ExamplePlace): number;
  /** Forgets the oldest `count`. */
  drop(count: number): void;
  /** Null while there is room; else resolves once half of it is empty. For one caller at a time. */
  room(): Promise<void> | null;
  /** Whoever waits for room waits no longer. */
  release(): void;
}

/** Places at the front that are dropped before the list is moved together. */
const droppedMax = 4_096;

/** @param lengthMax  examples beyond which there is no room. */
export function createExampleQueue(lengthMax: number): ExampleQueue {
  const examples: Example[] = [];
  let head = 0;
  let wake: (() => void) | null = null;
  const release = () => {
    wake?.();
    wake = null;
  };
  return {
    get length() {
      return examples.length - head;
    },
    push: (example) => void examples.push(example),
    first: (count) => examples.slice(head, head + count),
    countThrough(place) {
      let count = 0;
      while (head + count < examples.length && comparePlaces(examples[head + count].place, place) <= 0)
        count += 1;
      return count;
    },
    drop(count) {
      head += count;
      if (head > droppedMax && head * 2 > examples.length) {
        examples.splice(0, head);
        head = 0;
      }
      if (examples.length - head < lengthMax / 2) release();
    },
    room() {
      if (examples.length - head < lengthMax) return null;
      return new Promise((resolve) => {
        wake = resolve;
      });
    },
    release,
  };
}
