/**
 * Virtual time, and the order of all that happens. Whatever is simulated (a timer, a message on its way, a slow disk) is an
 * event at a moment; events run one after the other, at equal moments in the order they were made, and between two of them
 * every promise that can go on has gone on. Time stands still while code runs. With one source of random numbers the whole
 * run is thus a function of its seed, which the trace's hash shows.
 */
import type { Random } from './random.ts';

export interface Planned {
  cancel(): void;
}

/** Something that must never happen and did. */
export interface Violation {
  /** I1 to I9, `session`, `liveness`, or `defect` for what no invariant names. */
  readonly invariant: string;
  readonly what: string;
  readonly atMs: number;
}

export interface World {
  readonly random: Random;
  /** Virtual ms since the beginning. */
  readonly nowMs: number;
  /** Events that have run. */
  readonly steps: number;
  /** Runs `act` once, `delayMs` from now. */
  after(delayMs: number, act: () => void): Planned;
  /** Runs events until `ms`, or until `isDone` holds; it is asked after each. */
  runUntil(ms: number, isDone?: () => boolean): Promise<void>;
  /** Notes what happens: part of the trace and of its hash. */
  note(text: string): void;
  /** Hash of all notes and their times so far. */
  readonly traceHash: string;
  violate(invariant: string, what: string): void;
  readonly violations: readonly Violation[];
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  act: (() => void) | null;
}

/** More say nothing new, and a broken run breaks at every look. */
const violationsMax = 24;

/** @param onNote told of each note as it is made. */
export function createWorld(random: Random, onNote?: (atMs: number, text: string) => void): World {
  const heap: Event[] = [];
  const violations: Violation[] = [];
  const told = new Set<string>();
  let nowMs = 0;
  let order = 0;
  let steps = 0;
  let hashA = 0x811c9dc5;
  let hashB = 0x9e3779b9;

  const note = (text: string) => {
    const micros = Math.round(nowMs * 1_000);
    hashA = Math.imul(hashA ^ micros, 0x01000193);
    hashB = Math.imul(hashB ^ micros, 0x85ebca6b) + 1;
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      hashA = Math.imul(hashA ^ code, 0x01000193);
      hashB = Math.imul(hashB ^ code, 0x85ebca6b) + 1;
    }
    onNote?.(nowMs, text);
  };

  /** One event; false when there is none until `ms`. */
  const stepUntil = (ms: number): boolean => {
    const next = heap[0];
    if (next === undefined || next.atMs > ms) {
      nowMs = Math.max(nowMs, ms);
      return false;
    }
    popEvent(heap);
    if (next.act === null) return true;
    nowMs = next.atMs;
    steps += 1;
    next.act();
    return true;
  };

  return {
    random,
    get nowMs() {
      return nowMs;
    },
    get steps() {
      return steps;
    },
    after(delayMs, act) {
      const event: Event = { atMs: nowMs + Math.max(0, delayMs), order, act };
      order += 1;
      pushEvent(heap, event);
      return {
        cancel() {
          event.act = null;
        },
      };
    },
    runUntil: (ms, isDone = () => false) =>
      new Promise((resolve, reject) => {
        const step = () => {
          try {
            if (isDone() || !stepUntil(ms)) resolve();
            else setImmediate(step);
          } catch (error) {
            reject(error);
          }
        };
        // Promises go on between two turns of the event loop, so an event a turn finds all of the last one done.
        setImmediate(step);
      }),
    note,
    get traceHash() {
      return `${hex(hashA)}${hex(hashB)}`;
    },
    violate(invariant, what) {
      const key = `${invariant}: ${what}`;
      if (told.has(key) || violations.length >= violationsMax) return;
      told.add(key);
      violations.push({ invariant, what, atMs: Math.round(nowMs) });
      note(`BROKEN ${key}`);
    },
    violations,
  };
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function pushEvent(heap: Event[], event: Event): void {
  let at = heap.length;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isBefore(event, heap[parent])) break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = event;
}

function popEvent(heap: Event[]): void {
  const last = heap.pop();
  const size = heap.length;
  if (last === undefined || size === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && isBefore(heap[child + 1], heap[child])) child += 1;
    if (!isBefore(heap[child], last)) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = last;
}
