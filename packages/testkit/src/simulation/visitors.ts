/**
 * Who uses the cluster: visitors that are shown items and click, through inference nodes and, as streaming jobs do, straight
 * into the event log. Outcomes come early, in time, repeated, contradicting, late, and for impressions that were lost.
 */
import {
  encodeEvent,
  eventsSubject,
  isMillraceError,
  modelNameFrom,
  type Outcome,
  reasonFrom,
  type ScoreResponse,
} from '@millrace/protocol';
import type { Coverage } from './coverage.ts';
import type { Host, SimulatedCluster } from './simulated-cluster.ts';

export interface Answered {
  readonly response: ScoreResponse;
  readonly logged: boolean;
}

export interface Visitors {
  /** One request, with what belongs to it. */
  visit(): void;
  /** More requests at once than a node lets wait. */
  burst(): void;
  /** Something in the event log that nobody can read. */
  junk(): void;
  readonly answers: readonly Answered[];
  readonly counts: { asked: number; answered: number; refused: number; degraded: number; strict: number };
  /** Outcomes that the API or the log has acknowledged. */
  readonly acknowledged: readonly { readonly requestId: string; readonly value: number }[];
  /** When something was last amiss, virtual ms: strict demands begin a while after. */
  troubledMs: number;
}

const itemNames = Array.from({ length: 60 }, (_, i) => `item-${i}`);
const users = 20;
const refusals = new Set(['MILL_OVERLOADED', 'MILL_NOT_READY', 'MILL_MODEL_UNKNOWN', 'MILL_CLOSED']);
/** Quiet for so long, a cluster has no excuse left. */
const calmAfterMs = 8_000;
const retriesMax = 4;

export function createVisitors(cluster: SimulatedCluster, coverage: Coverage): Visitors {
  const { world, weather, file, settings } = cluster;
  const { random } = world;
  const subject = eventsSubject(modelNameFrom(file.name));
  const job = cluster.visitor('job');
  const windowMs = file.learning?.joinWindowMs ?? 0;
  const answers: Answered[] = [];
  const acknowledged: { requestId: string; value: number }[] = [];
  const counts = { asked: 0, answered: 0, refused: 0, degraded: 0, strict: 0 };
  let visits = 0;

  /** Some are met more often than others. */
  const favourite = <T>(from: readonly T[]): T =>
    from[Math.floor(from.length * random.uniform() * random.uniform())];

  const runningNode = (): Host | null => {
    const nodes = cluster.hosts.filter(
      ({ node, process }) => node !== null && process !== null && !process.frozen,
    );
    return nodes.length === 0 ? null : random.pick(nodes);
  };

  /** Sends an outcome until somebody takes it, for a while. */
  const send = (outcome: Omit<Outcome, 'type' | 'timeMs'>, tries = 0) => {
    const again = () => {
      if (tries < retriesMax) world.after(200 + 2_000 * random.uniform(), () => send(outcome, tries + 1));
    };
    const taken = () => acknowledged.push({ requestId: outcome.requestId, value: outcome.value });
    const host = runningNode();
    if (host?.node && random.chance(0.5)) {
      const { node } = host;
      host.process?.enter(
        () =>
          void node.core
            .acceptOutcomes([{ ...outcome, value: outcome.value === 1 ? 1 : 0 }])
            .then(taken, again),
      );
      return;
    }
    const event: Outcome = { type: 'outcome', timeMs: job.process.clock.now(), ...outcome };
    const bytes = random.chance(0.5) ? encodeEvent(event) : new TextEncoder().encode(JSON.stringify(event));
    job.bus.append('events', subject, bytes).then(taken, again);
  };

  const plan = (requestId: string, items: readonly string[]) => {
    for (const [index, item] of items.entries()) {
      const which = random.chance(0.5) ? { index } : { item };
      const value = random.chance(0.6) ? 1 : 0;
      const later = (ms: number, what: number) =>
        world.after(ms, () => send({ requestId, ...which, value: what }));
      if (random.chance(0.1)) later(0, value);
      if (random.chance(0.5)) later(windowMs * random.uniform(), value);
      if (random.chance(0.15)) later(windowMs * random.uniform(), random.chance(0.5) ? value : 1 - value);
      if (random.chance(0.1)) later(windowMs * (1 + 2 * random.uniform()), 1);
    }
  };

  /** True while nothing is amiss that could hold a request up, or have first values stand in. */
  const isCalm = () =>
    world.nowMs - visitors.troubledMs > calmAfterMs &&
    weather.broken === 0 &&
    settings.replicas > 1 &&
    cluster.hosts.every(({ harmedMs }) => world.nowMs - harmedMs > calmAfterMs);
  const delayMsMax = 12 * (weather.netDelayMs + (weather.slowChance > 0 ? weather.slowMs : 0)) + 200;

  const ask = (host: Host) => {
    const { node, process } = host;
    if (node === null || process === null) return;
    visits += 1;
    counts.asked += 1;
    const requestId = `r-${visits}`;
    const items = Array.from({ length: 1 + random.whole(3) }, () => favourite(itemNames));
    const logged = random.chance(0.9);
    const askedMs = world.nowMs;
    const isStrict = isCalm() && node.core.ready;
    const answered = (response: ScoreResponse) => {
      counts.answered += 1;
      if (response.degraded) counts.degraded += 1;
      answers.push({ response, logged });
      const waitedMs = world.nowMs - askedMs;
      world.note(
        `${host.name} scored ${requestId} at ${response.version}${response.degraded ? ', degraded' : ''}`,
      );
      if (!isStrict || !isCalm()) return;
      counts.strict += 1;
      if (response.degraded)
        world.violate('I6', `${requestId} was scored with first values, with nothing amiss`);
      if (waitedMs > delayMsMax)
        world.violate('I8', `${requestId} waited for ${waitedMs.toFixed(0)} ms, with nothing amiss`);
    };
    const refused = (error: unknown) => {
      counts.refused += 1;
      const code = isMillraceError(error) ? error.code : '';
      if (code === 'MILL_LOG_UNAVAILABLE') world.violate('I8', `a score waited for the log, in vain`);
      else if (!refusals.has(code)) world.violate('defect', `a score failed: ${reasonFrom(error)}`);
      else if (isStrict && isCalm() && code !== 'MILL_OVERLOADED' && !host.leaving)
        world.violate('I8', `a score was refused with nothing amiss: ${code}`);
    };
    const request = {
      requestId,
      user: { user: `user-${random.whole(users)}` },
      items: items.map((item) => ({ item })),
      log: logged,
    };
    if (logged) plan(requestId, items);
    process.enter(() => void node.core.score(request).then(answered, refused));
  };

  const visitors: Visitors = {
    visit() {
      const host = runningNode();
      if (host !== null) ask(host);
    },
    burst() {
      const host = runningNode();
      if (host === null) return;
      for (let i = 0; i < 30; i += 1) ask(host);
      const waiting = host.node?.core.status().node.queueRows ?? 0;
      if (waiting > settings.queueRowsMax)
        world.violate('I7', `${host.name} lets ${waiting} rows wait, at most ${settings.queueRowsMax} may`);
    },
    junk() {
      const bytes = new TextEncoder().encode(random.pick(['{', '{"type":"outcome"}', 'no event at all']));
      job.bus.append('events', subject, bytes).catch(() => undefined);
    },
    answers,
    counts,
    acknowledged,
    troubledMs: 0,
  };
  // What is not covered is amiss.
  const look = () => {
    coverage.check();
    const isHarmed = cluster.hosts.some(
      ({ kind, wanted, process, harmedMs, leaving }) =>
        harmedMs >= world.nowMs - 250 || (wanted && process === null) || (leaving && kind === 'node'),
    );
    if (isHarmed || !coverage.complete) visitors.troubledMs = world.nowMs;
    world.after(200, look);
  };
  world.after(200, look);
  return visitors;
}
