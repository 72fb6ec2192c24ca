/** How rough a run is: delays, and the chance of each kind of harm. A seed meets some kinds of harm, seldom all at once. */
import type { Random } from './random.ts';

export interface Weather {
  /** Longest usual delay of a message to or from NATS, of bytes between two processes, and of one look at a disk; ms. */
  natsDelayMs: number;
  netDelayMs: number;
  diskDelayMs: number;
  /** A delivery or a disk is now and then this much slower. */
  readonly slowMs: number;
  readonly slowChance: number;
  /** Of one write to NATS. */
  refused: number;
  unanswered: number;
  /** The process dies before or after a write of its own. */
  dies: number;
  /** Of one notice. */
  noticeLost: number;
  /** Of one delivery of a gradient block. */
  skipped: number;
  repeated: number;
  /** The server has forgotten the ids of messages. */
  readonly forgetsIds: boolean;
  /** Of one connection, per delivery of bytes. */
  broken: number;
  /** Of one access to a store. */
  storeFails: number;
  staleListing: number;
  /** Longest time that a process is away. */
  readonly absenceMsMax: number;
  /** Harm that is done to whole processes, by kind. */
  readonly kinds: ReadonlySet<HarmKind>;
}

export const harmKinds = [
  'crash',
  'freeze',
  'cut-from-nats',
  'cut-from-process',
  'nats-restart',
  'membership',
  'damage',
  'clock-jump',
  'bad-block',
  'disk-full',
] as const;
export type HarmKind = (typeof harmKinds)[number];

/**
 * Most runs meet a mixture; some meet moves alone, where nothing is an excuse for a score that is late or not whole; some long
 * absences, after which the log is not what it was.
 */
export type Climate = 'mixed' | 'moves' | 'absences';

export function climateFrom(random: Random): Climate {
  const place = random.uniform();
  return place < 0.65 ? 'mixed' : place < 0.8 ? 'moves' : 'absences';
}

export function weatherFrom(random: Random, climate: Climate): Weather {
  const isMixed = climate === 'mixed';
  const often = (chance: number) => (isMixed && random.chance(0.5) ? chance * random.uniform() : 0);
  const kinds: Readonly<Record<Climate, readonly HarmKind[]>> = {
    mixed: harmKinds.filter(() => random.chance(0.55)),
    moves: ['membership'],
    absences: ['cut-from-nats', 'cut-from-nats', 'freeze'],
  };
  return {
    natsDelayMs: random.pick([1, 2, 5, 20]),
    netDelayMs: random.pick([0.5, 1, 3, 10]),
    diskDelayMs: random.pick([0.5, 2, 10]),
    slowMs: random.pick([20, 100, 400]),
    slowChance: often(0.03),
    refused: often(0.03),
    unanswered: often(0.03),
    dies: often(0.004),
    noticeLost: often(0.3),
    skipped: often(0.1),
    repeated: often(0.1),
    forgetsIds: random.chance(0.5),
    broken: often(0.01),
    storeFails: often(0.08),
    staleListing: often(0.2),
    absenceMsMax: climate === 'absences' ? 20_000 : 7_000,
    kinds: new Set(kinds[climate]),
  };
}

/** From now on nothing goes wrong; delays stay what they are. */
export function calm(weather: Weather): void {
  weather.refused = 0;
  weather.unanswered = 0;
  weather.dies = 0;
  weather.noticeLost = 0;
  weather.skipped = 0;
  weather.repeated = 0;
  weather.broken = 0;
  weather.storeFails = 0;
  weather.staleListing = 0;
}

/** A usual delay up to `usualMs`, seldom a slow one. */
export function delayOf(random: Random, weather: Weather, usualMs: number): number {
  const slow =
    weather.slowChance > 0 && random.chance(weather.slowChance) ? weather.slowMs * random.uniform() : 0;
  return usualMs * (0.1 + 0.9 * random.uniform()) + slow;
}
