/**
 * Measures freshness through the public API: how long after a click is sent does a score come back that shows it?
 *
 * Each probe scores two items that nobody has seen, alike but for their ids, and clicks the first. Everything else that is
 * learned meanwhile moves both scores alike, so the difference of their logits stands still until this very click has been
 * joined, learned, logged and applied; the probe asks until it moves. Its features are its own, so that its clicks teach
 * the model nothing about real users.
 */
import type { Clock } from '@millrace/runtime';
import type { MillraceClient } from '@millrace/sdk';
import { noteError, type RunRecord } from './run-record.ts';

export interface ProbeOptions {
  readonly client: MillraceClient;
  readonly clock: Clock;
  readonly model: string;
  readonly record: RunRecord;
  /** Unique in the life of the cluster, so that no item was seen before. */
  readonly runId: string;
  readonly everyMs: number;
}

export interface FreshnessProbe {
  stop(): Promise<void>;
}

/** A click moves the difference by about 0.1 (learning rate over root of two); what else is learned, by 0.001. */
const movedBy = 0.03;
const askEveryMs = 5;
const giveUpMs = 5_000;

export function probeFreshness(options: ProbeOptions): FreshnessProbe {
  const { client, clock, model, record } = options;
  let stopped = false;
  let probes = 0;
  const pause = (ms: number) => new Promise<void>((resolve) => clock.setTimer(ms, resolve));

  const probe = async () => {
    probes += 1;
    const id = `probe-${options.runId}-${probes}`;
    const request = {
      model,
      user: { user: 'probe', segment: 'probe', country: 'probe', device: 'probe' },
      context: { hour: 'probe', placement: 'probe' },
      items: [
        { item: `${id}-a`, category: 'probe' },
        { item: `${id}-b`, category: 'probe' },
      ],
    };
    const difference = async (log: boolean) => {
      const { scores } = await client.score({ ...request, ...(log ? { requestId: id } : { log: false }) });
      return logitOf(scores[0]) - logitOf(scores[1]);
    };
    const before = await difference(true);
    const clickedMs = clock.monotonicMs();
    await client.sendOutcomes({ model, requestId: id, index: 0 });
    while (clock.monotonicMs() - clickedMs < giveUpMs && !stopped) {
      if (Math.abs((await difference(false)) - before) > movedBy) {
        record.freshnessMs.record(clock.monotonicMs() - clickedMs);
        return;
      }
      await pause(askEveryMs);
    }
    if (!stopped) record.missedProbes += 1;
  };

  const run = async () => {
    while (!stopped) {
      const startedMs = clock.monotonicMs();
      await probe().catch((error: unknown) => noteError(record, error));
      const restMs = options.everyMs - (clock.monotonicMs() - startedMs);
      if (!stopped && restMs > 0) await pause(restMs);
    }
  };
  const running = run();

  return {
    stop() {
      stopped = true;
      return running;
    },
  };
}

function logitOf(p: number): number {
  return Math.log(p / (1 - p));
}
