/**
 * Plays the simulator's traffic at a cluster through its public API: requests at a steady rate, clicks when they are due.
 * What was scored is judged at once, since the simulator knows the click before the cluster does.
 */
import type { Clock } from '@millrace/runtime';
import type { MillraceClient, OutcomeRequest } from '@millrace/sdk';
import type { Impression, Traffic } from '@millrace/traffic';
import { noteError, type RunRecord } from './run-record.ts';

export interface PlayOptions {
  readonly client: MillraceClient;
  readonly clock: Clock;
  readonly model: string;
  readonly traffic: Traffic;
  readonly requestsPerSecond: number;
  readonly record: RunRecord;
}

export interface TrafficPlay {
  /** Stops asking, waits for running requests, and sends the clicks that are already due; later ones stay unsent. */
  stop(): Promise<void>;
}

const tickMs = 10;
/** Requests on their way; a slower cluster is asked less often rather than buried. */
const underwayMax = 128;
/** Clicks of this span travel together. */
const clickSlotMs = 20;

export function playTraffic(options: PlayOptions): TrafficPlay {
  const { client, clock, model, traffic, record } = options;
  const underway = new Set<Promise<void>>();
  const dueClicks = new Map<number, OutcomeRequest[]>();
  const startMs = clock.monotonicMs();
  let asked = 0;
  let sentSlot = Math.floor(startMs / clickSlotMs);
  let stopped = false;

  const track = (work: Promise<void>) => {
    const tracked: Promise<void> = work
      .catch((error: unknown) => noteError(record, error))
      .finally(() => underway.delete(tracked));
    underway.add(tracked);
  };

  const ask = async (impression: Impression) => {
    const sentMs = clock.monotonicMs();
    const { scores, degraded } = await client.score({ ...impression.request, model });
    const nowMs = clock.monotonicMs();
    record.scoreMs.record(nowMs - sentMs);
    record.scored += scores.length;
    record.scoreRate.add(scores.length, nowMs);
    if (degraded) record.degraded += 1;
    const clicked = new Set(impression.clicks.map(({ index }) => index));
    scores.forEach((score, index) => {
      record.quality.add(score, clicked.has(index) ? 1 : 0, impression.truth[index]);
    });
    for (const { index, delayMs } of impression.clicks) {
      const slot = Math.ceil((nowMs + delayMs) / clickSlotMs);
      const outcome = { model, requestId: impression.request.requestId, index, value: 1 };
      const list = dueClicks.get(slot);
      if (list) list.push(outcome);
      else dueClicks.set(slot, [outcome]);
    }
  };

  const sendDueClicks = (nowMs: number) => {
    const due: OutcomeRequest[] = [];
    for (const lastSlot = Math.floor(nowMs / clickSlotMs); sentSlot < lastSlot; ) {
      sentSlot += 1;
      due.push(...(dueClicks.get(sentSlot) ?? []));
      dueClicks.delete(sentSlot);
    }
    if (due.length === 0) return;
    track(
      client.sendOutcomes(due).then(({ accepted }) => {
        record.clicksSent += accepted;
      }),
    );
  };

  const tick = () => {
    const nowMs = clock.monotonicMs();
    const owed = Math.floor(((nowMs - startMs) / 1_000) * options.requestsPerSecond);
    while (asked < owed && underway.size < underwayMax) {
      asked += 1;
      track(ask(traffic.next()));
    }
    // What could not be asked in time is left out: a real user would not wait either.
    asked = Math.max(asked, owed - options.requestsPerSecond);
    sendDueClicks(nowMs);
    if (!stopped) timer = clock.setTimer(tickMs, tick);
  };
  let timer = clock.setTimer(0, tick);

  return {
    async stop() {
      stopped = true;
      timer.cancel();
      while (underway.size > 0) await Promise.all(underway);
      sendDueClicks(clock.monotonicMs());
      while (underway.size > 0) await Promise.all(underway);
    },
  };
}
