/** What is done to a running cluster, and in which order: every kind to every part, shuffled by a seed, again and again. */
import { type Random, randomFrom } from '../simulation/random.ts';
import type { Closing } from '../tcp-door.ts';

export type HarmKind = 'kill' | 'stop' | 'cut';
export type HarmTarget = 'shard' | 'inference' | 'updater' | 'nats-server';

export interface Harm {
  readonly kind: HarmKind;
  readonly target: HarmTarget;
  /** Which of the shards or inference nodes, from 0. */
  readonly place: number;
  /** How long it lasts; a kill is over at once. */
  readonly lastsMs: number;
  /** Of a cut: whether connections fall silent or break. */
  readonly closing: Closing;
}

export interface HarmOptions {
  readonly seed: number;
  readonly shards: number;
  readonly inference: number;
  /** A stop or a cut lasts between these. */
  readonly lastsMsMin: number;
  readonly lastsMsMax: number;
  /** Names of harms, such as `kill shard`, to do no others. Default: all. */
  readonly only?: readonly string[];
}

/** nats-server cannot be cut off from itself. */
export const harms: readonly (readonly [HarmKind, HarmTarget])[] = [
  ['kill', 'shard'],
  ['kill', 'inference'],
  ['kill', 'updater'],
  ['kill', 'nats-server'],
  ['stop', 'shard'],
  ['stop', 'inference'],
  ['stop', 'updater'],
  ['stop', 'nats-server'],
  ['cut', 'shard'],
  ['cut', 'inference'],
  ['cut', 'updater'],
];

export function harmName(kind: HarmKind, target: HarmTarget): string {
  return `${kind} ${target}`;
}

/**
 * Harms without end, the same for the same seed; each eleven of them are all that there are.
 * @throws when `only` names one that there is not.
 */
export function* harmsFrom(options: HarmOptions): Generator<Harm, never, undefined> {
  const random = randomFrom(options.seed);
  const { lastsMsMin, lastsMsMax, only } = options;
  const known = harms.map(([kind, target]) => harmName(kind, target));
  const unknown = only?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Error(`no harm is named "${unknown}"; there are ${known.join(', ')}`);
  const deck = only === undefined ? harms : harms.filter((harm) => only.includes(harmName(...harm)));
  for (;;) {
    for (const [kind, target] of shuffled(deck, random)) {
      const places = target === 'shard' ? options.shards : target === 'inference' ? options.inference : 1;
      const lasting = lastsMsMin + random.whole(lastsMsMax - lastsMsMin + 1);
      yield {
        kind,
        target,
        place: random.whole(places),
        lastsMs: kind === 'kill' ? 0 : lasting,
        closing: random.chance(0.5) ? 'silent' : 'refusing',
      };
    }
  }
}

function shuffled<T>(from: readonly T[], random: Random): readonly T[] {
  const deck = [...from];
  for (let i = deck.length - 1; i > 0; i -= 1) {
    const j = random.whole(i + 1);
    [deck[i], deck[j]] = [deck[j], deck[i]];
  }
  return deck;
}
