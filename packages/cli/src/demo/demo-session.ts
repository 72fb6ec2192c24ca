/** One demo run on a running cluster: model, traffic, probes, figures; and the step at which the next run goes on. */
import { readFile, writeFile } from 'node:fs/promises';
import { createRate } from '@millrace/core';
import { parseModelFile } from '@millrace/model';
import type { Clock } from '@millrace/runtime';
import type { ClusterStatus } from '@millrace/sdk';
import { createTraffic } from '@millrace/traffic';
import { clusterClient } from '../cluster-client.ts';
import type { LiveFigures } from '../screen/live-view.ts';
import { type DemoReport, demoReport } from './demo-report.ts';
import { playTraffic } from './play-traffic.ts';
import { probeFreshness } from './probe-freshness.ts';
import { createRunRecord } from './run-record.ts';

export interface DemoSessionOptions {
  /** Of the inference nodes. */
  readonly urls: readonly [string, ...string[]];
  readonly clock: Clock;
  readonly modelPath: string;
  /** Remembers the next step between runs. */
  readonly progressPath: string;
  readonly seed: number;
  readonly requestsPerSecond: number;
  readonly totalSeconds: number | null;
  readonly restarts: () => number;
}

export interface DemoSession {
  figures(): LiveFigures;
  /** Stops traffic and probes, waits until what was sent is learned or the limit is over, and sums up. */
  finish(): Promise<DemoReport>;
}

const probeEveryMs = 500;
const statusEveryMs = 500;
/** Quality on the screen is that of the newest observations: a drift should be seen. */
const shownObservations = 10_000;
const historyMax = 600;

export async function startDemoSession(options: DemoSessionOptions): Promise<DemoSession> {
  const { clock, urls } = options;
  const file = parseModelFile(JSON.parse(await readFile(options.modelPath, 'utf8')));
  const client = await clusterClient({ url: urls });
  await client.waitUntilReady({ timeoutMs: 60_000 });
  await client.createModel(file);
  await client.waitUntilReady({ timeoutMs: 60_000 });
  const model = file.name;
  const progress = await readProgress(options.progressPath, options.seed);
  const traffic = createTraffic({ seed: options.seed, startAt: progress.step });
  const record = createRunRecord();
  let status: ClusterStatus | null = await client.status();
  const learnedBefore = learnedOf(status, model);
  const learnedRate = createRate({ windowMs: 5_000 });
  let learned = learnedBefore;
  const history: number[] = [];
  const startMs = clock.monotonicMs();
  const elapsedSeconds = () => (clock.monotonicMs() - startMs) / 1_000;

  const play = playTraffic({
    client,
    clock,
    model,
    traffic,
    requestsPerSecond: options.requestsPerSecond,
    record,
  });
  const runId = `${options.seed}-${progress.step}`;
  const probe = probeFreshness({ client, clock, model, record, runId, everyMs: probeEveryMs });

  let stopped = false;
  const readStatus = async () => {
    try {
      status = await client.status();
      const nowLearned = learnedOf(status, model);
      learnedRate.add(Math.max(0, nowLearned - learned), clock.monotonicMs());
      learned = Math.max(learned, nowLearned);
    } catch {
      // The node is being restarted; the view keeps what it had, and failed scores are counted where they happen.
    }
    if (!stopped) statusTimer = clock.setTimer(statusEveryMs, () => void readStatus());
  };
  let statusTimer = clock.setTimer(statusEveryMs, () => void readStatus());

  // Marks are taken as the run goes: for a run of known length the last third begins at two thirds of it.
  let lastThirdFrom = 0;
  const markTimer =
    options.totalSeconds === null
      ? { cancel() {} }
      : clock.setTimer((options.totalSeconds * 2_000) / 3, () => {
          lastThirdFrom = record.quality.count;
        });

  return {
    figures() {
      const nowMs = clock.monotonicMs();
      const quality = record.quality.report({ from: Math.max(0, record.quality.count - shownObservations) });
      const oracleAuc = quality.oracleAuc ?? Number.NaN;
      const share = (quality.auc - 0.5) / (oracleAuc - 0.5);
      if (Number.isFinite(share)) history.push(Math.max(0, Math.min(1, share)));
      if (history.length > historyMax) history.shift();
      return {
        elapsedSeconds: elapsedSeconds(),
        totalSeconds: options.totalSeconds,
        url: urls[0],
        scoresPerSecond: record.scoreRate.perSecond(nowMs),
        learnedPerSecond: learnedRate.perSecond(nowMs),
        scored: record.scored,
        learned: learned - learnedBefore,
        auc: quality.auc,
        oracleAuc,
        logloss: quality.logloss,
        oracleLogloss: quality.oracleLogloss ?? Number.NaN,
        calibration: quality.calibration,
        freshnessMsP50: record.freshnessMs.quantile(0.5),
        freshnessMsP99: record.freshnessMs.quantile(0.99),
        scoreMsP50: record.scoreMs.quantile(0.5),
        scoreMsP99: record.scoreMs.quantile(0.99),
        errors: record.errors + record.missedProbes,
        status,
        history,
        notice: record.lastError,
      };
    },
    async finish() {
      const seconds = elapsedSeconds();
      stopped = true;
      statusTimer.cancel();
      markTimer.cancel();
      await Promise.all([play.stop(), probe.stop()]);
      await writeFile(
        options.progressPath,
        `${JSON.stringify({ seed: options.seed, step: traffic.step })}\n`,
      );
      status = await client.status().catch(() => status);
      await client.close();
      const from = options.totalSeconds === null ? Math.floor((record.quality.count * 2) / 3) : lastThirdFrom;
      return demoReport({
        record,
        status,
        model,
        seconds,
        learnedBefore,
        lastThirdFrom: from,
        restarts: options.restarts(),
      });
    },
  };
}

function learnedOf(status: ClusterStatus, model: string): number {
  return status.models.find(({ name }) => name === model)?.learned ?? 0;
}

/** A world of another seed begins at its own first step. */
async function readProgress(path: string, seed: number): Promise<{ step: number }> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return { step: 0 };
  const progress = JSON.parse(text) as { seed: number; step: number };
  return progress.seed === seed ? { step: progress.step } : { step: 0 };
}
