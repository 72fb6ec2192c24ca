/**
 * The traffic of a simulation, and its ledger: what each item must have been learned as, known from what was sent and when,
 * with no look at what the cluster made of it.
 *
 * Outcomes come early (before their impression), in time, repeated, contradicting the first one, long after the window, and
 * for impressions that were lost. Of those in time the first counts.
 */
import { encodeEvent, eventsSubject, modelNameFrom, type Outcome } from '@millrace/protocol';
import type { Random } from './random.ts';
import type { SimulatedCluster } from './simulated-cluster.ts';

export interface Tally {
  shown: number;
  clicked: number;
}

export interface Ledger {
  readonly visits: number;
  readonly examples: number;
  readonly clicks: number;
  readonly items: ReadonlyMap<string, Tally>;
  /** Request ids some of whose outcomes fit no impression in time. */
  readonly rejectable: ReadonlySet<string>;
  readonly unreadable: number;
}

export interface Traffic {
  /** Scores one request, with what belongs to it. */
  visit(): Promise<void>;
  /** Puts something in the event log that nobody can read. */
  appendJunk(): Promise<void>;
  /** Sends the outcomes that are due. */
  sendDue(): Promise<void>;
  readonly outcomesDue: number;
  readonly ledger: Ledger;
}

interface Due {
  readonly atMs: number;
  readonly outcome: Omit<Outcome, 'type' | 'timeMs'>;
  /** Not before an impression of this time is in the log: it has to find its window closed. */
  readonly notBeforeMs: number;
}

interface ItemPlan {
  /** Value of an outcome that comes before the impression, null: none does. */
  readonly early: number | null;
  readonly later: readonly Due[];
  /** The value that it must be learned with. */
  readonly counts: number;
}

const itemNames = Array.from({ length: 12 }, (_, i) => `item-${i}`);

export function createTraffic(cluster: SimulatedCluster, windowMs: number, random: Random): Traffic {
  const { bus, clock, core, file } = cluster;
  const subject = eventsSubject(modelNameFrom(file.name));
  const items = new Map<string, Tally>(itemNames.map((name) => [name, { shown: 0, clicked: 0 }]));
  const rejectable = new Set<string>();
  let due: Due[] = [];
  let visits = 0;
  let unreadable = 0;
  let lastStoredMs = 0;

  const send = async (outcome: Due['outcome']) => {
    const { requestId, value } = outcome;
    // Half of them through the public API, half straight to the log, as a streaming job would.
    if (random.chance(0.5)) await core.acceptOutcomes([{ ...outcome, requestId, value }]);
    else {
      const event: Outcome = { type: 'outcome', timeMs: clock.now(), ...outcome };
      const bytes = random.chance(0.5) ? encodeEvent(event) : new TextEncoder().encode(JSON.stringify(event));
      await bus.append('events', subject, bytes);
    }
  };

  /** By place or by name, where the name is that of one item alone. */
  const outcomeFor = (requestId: string, names: readonly string[], index: number, value: number) => {
    const isPlain = names.indexOf(names[index]) === index && random.chance(0.3);
    return isPlain ? { requestId, item: names[index], value } : { requestId, index, value };
  };

  /** Draws what is told of one shown item. */
  const planItem = (
    requestId: string,
    names: readonly string[],
    index: number,
    isLogged: boolean,
  ): ItemPlan => {
    const nowMs = clock.now();
    const later: Due[] = [];
    const add = (afterMs: number, value: number, notBeforeMs = 0) =>
      later.push({ atMs: nowMs + afterMs, outcome: outcomeFor(requestId, names, index, value), notBeforeMs });
    let early: number | null = null;
    let counts: number | null = null;
    if (random.chance(0.1)) {
      early = random.whole(2);
      counts = early;
      if (!isLogged) rejectable.add(requestId);
    }
    while (random.chance(0.3)) {
      const value = random.chance(0.7) ? 1 : 0;
      add(1 + random.whole(windowMs / 3), value);
      if (!isLogged) rejectable.add(requestId);
    }
    later.sort((a, b) => a.atMs - b.atMs);
    counts ??= later[0]?.outcome.value ?? null;
    if (random.chance(0.05)) {
      add(3 * windowMs, 1, nowMs + 2 * windowMs);
      rejectable.add(requestId);
    }
    return { early, later, counts: counts ?? 0 };
  };

  return {
    async visit() {
      const requestId = `v${visits}`;
      visits += 1;
      const names = Array.from({ length: 1 + random.whole(4) }, () => random.pick(itemNames));
      const isLogged = !random.chance(0.03);
      const plans = names.map((_, index) => planItem(requestId, names, index, isLogged));
      for (const [index, { early }] of plans.entries()) {
        if (early !== null) await send(outcomeFor(requestId, names, index, early));
      }
      cluster.nodeFate = isLogged ? (random.chance(0.03) ? 'unanswered' : 'done') : 'refused';
      const user = { user: `u${visits % 7}` };
      const answer = await core.score({ requestId, user, items: names.map((item) => ({ item })) });
      await cluster.turn();
      cluster.nodeFate = 'done';
      if (answer.degraded) cluster.defects.push(`${requestId} was scored degraded`);
      due = [...due, ...plans.flatMap(({ later }) => later)].sort((a, b) => a.atMs - b.atMs);
      if (!isLogged) return;
      lastStoredMs = clock.now();
      for (const [index, { counts }] of plans.entries()) {
        const tally = items.get(names[index]) as Tally;
        tally.shown += 1;
        tally.clicked += counts;
      }
      if (random.chance(0.03)) await repeatImpression(cluster, subject, requestId);
    },
    async appendJunk() {
      unreadable += 1;
      const junk = ['', '{"type":"outcome"}', '\u0000\u0001', '{"type":"tick","timeMs":"now"}', '[]'];
      await bus.append('events', subject, new TextEncoder().encode(random.pick(junk)));
    },
    async sendDue() {
      const nowMs = clock.now();
      const ready = due.filter(({ atMs, notBeforeMs }) => atMs <= nowMs && notBeforeMs <= lastStoredMs);
      due = due.filter((entry) => !ready.includes(entry));
      for (const { outcome } of ready) await send(outcome);
    },
    get outcomesDue() {
      return due.length;
    },
    get ledger() {
      const sum = (of: (tally: Tally) => number) =>
        [...items.values()].reduce((n, tally) => n + of(tally), 0);
      const examples = sum(({ shown }) => shown);
      const clicks = sum(({ clicked }) => clicked);
      return { visits, examples, clicks, items, rejectable, unreadable };
    },
  };
}

/** The impression once more, as a node writes it that did not hear the log's answer. */
async function repeatImpression(
  { bus }: SimulatedCluster,
  subject: string,
  requestId: string,
): Promise<void> {
  const head = await bus.headOf('events', subject);
  let last: Uint8Array | null = null;
  const reader = await bus.read('events', {
    subject,
    from: head,
    onMessage: ({ payload }) => {
      last = payload;
    },
    onError: () => undefined,
  });
  await reader.close();
  if (last === null) throw new Error(`the impression ${requestId} is not at the head of the log`);
  await bus.append('events', subject, last);
}
