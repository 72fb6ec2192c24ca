/**
 * Streams a log as live traffic through the public API of a running cluster: each event is scored before its outcome is
 * sent, several on their way at the same time, outcomes in batches. What a service with this traffic would have seen.
 */
import { createHistogram, createProgressiveQuality, type QualityReport } from '@millrace/core';
import { isMillraceError, type ModelFile } from '@millrace/protocol';
import type { Clock } from '@millrace/runtime';
import type { MillraceClient, OutcomeRequest } from '@millrace/sdk';
import { clusterClient } from '../cluster-client.ts';
import { type Example, type LogFormat, type LogReport, readExamples } from '../log-file/index.ts';
import { labelLessonsOf } from '../training/label-lessons.ts';

export interface ReplayOptions {
  readonly url: string | readonly string[];
  readonly file: ModelFile;
  readonly logPath: string;
  /** Default: by the path's ending. */
  readonly format: LogFormat | undefined;
  /** End at the first record that would be skipped. */
  readonly strict: boolean;
  readonly clock: Clock;
  /** Score requests on their way at the same time. */
  readonly inFlight: number;
  /** Events a second, null: as fast as the cluster answers. */
  readonly eventsPerSecond: number | null;
  /** Distinguishes this replay's request ids from those of others. */
  readonly runId: string;
  readonly onProgress: (bytesRead: number, bytesTotal: number, events: number) => void;
}

export interface ReplayResult {
  readonly events: number;
  /** What was used and skipped of the log. */
  readonly log: LogReport;
  readonly errors: number;
  readonly lastError: string;
  readonly quality: QualityReport;
  readonly seconds: number;
  readonly scoreMsP50: number;
  readonly scoreMsP99: number;
  /** Bound on the age of what scores missed, as the responses told it. */
  readonly stalenessMsP50: number;
  readonly stalenessMsP99: number;
  /** Outcome accepted → counted as learned by the updater, for the last outcome of the log. */
  readonly drainMs: number;
  readonly learned: number;
}

/** Outcomes of one post. */
const outcomesPerPost = 64;
const learnedMsMax = 60_000;

/** @throws MILL_FILE_INVALID, MILL_MODEL_INVALID, MILL_MODEL_EXISTS, MILL_UNREACHABLE */
export async function runReplay(options: ReplayOptions): Promise<ReplayResult> {
  const { clock, file } = options;
  const client = await clusterClient({ url: options.url, connectionsMax: options.inFlight + 4 });
  try {
    await client.waitUntilReady();
    await client.createModel(file);
    await client.waitUntilReady();
    const learnedBefore = await learnedOf(client, file.name);
    const startMs = clock.monotonicMs();
    const run = createReplayRun(client, options);
    await run.play();
    const seconds = (clock.monotonicMs() - startMs) / 1_000;
    const sentMs = clock.monotonicMs();
    const learned = await waitUntilLearned(client, clock, file.name, learnedBefore + run.accepted());
    return {
      ...run.result(),
      seconds,
      drainMs: clock.monotonicMs() - sentMs,
      learned: learned - learnedBefore,
    };
  } finally {
    await client.close();
  }
}

function createReplayRun(client: MillraceClient, options: ReplayOptions) {
  const { clock, file } = options;
  const quality = createProgressiveQuality();
  const scoreMs = createHistogram();
  const stalenessMs = createHistogram();
  const lessons = labelLessonsOf(file);
  const underway = new Set<Promise<void>>();
  const outcomes: OutcomeRequest[] = [];
  let events = 0;
  let errors = 0;
  let accepted = 0;
  let lastError = '';
  let failure: unknown = null;

  const noteError = (error: unknown) => {
    // A wrong setting would fail for every event and ends the replay; passing trouble is counted.
    if (!isMillraceError(error) || error.retry === 'never') failure ??= error;
    errors += 1;
    lastError = error instanceof Error ? error.message : String(error);
  };

  /** One post at a time: while it travels the next outcomes gather, so they are learned as soon as the cluster keeps up. */
  let posting: Promise<void> | null = null;
  const post = async () => {
    while (outcomes.length > 0) {
      const batch = outcomes.splice(0, outcomesPerPost);
      try {
        const answer = await client.sendOutcomes(batch);
        accepted += answer.accepted;
      } catch (error) {
        noteError(error);
      }
    }
  };
  const send = () => {
    posting ??= post().finally(() => {
      posting = null;
    });
    return posting;
  };

  const examples = readExamples(file, options.logPath, {
    format: options.format,
    strict: options.strict,
    onProgress: (read, total) => options.onProgress(read, total, events),
  });
  const play = async ({ request, label, line }: Example) => {
    const askedMs = clock.monotonicMs();
    try {
      const requestId = `${options.runId}-${line}`;
      const answer = await client.score({ ...request, requestId });
      scoreMs.record(clock.monotonicMs() - askedMs);
      if (answer.stalenessMs !== null) stalenessMs.record(answer.stalenessMs);
      quality.add(answer.scores[0], label);
      const value = label === 1 ? lessons.positiveValue : 0;
      outcomes.push({ model: file.name, requestId, outcome: lessons.outcome, value });
      // The next score waits while the outcomes before it pile up: scoring far ahead of learning would measure the lag.
      if (outcomes.length >= outcomesPerPost) await send();
      else void send();
    } catch (error) {
      noteError(error);
    }
  };

  return {
    accepted: () => accepted,
    async play() {
      const startMs = clock.monotonicMs();
      try {
        for await (const batch of examples) {
          for (const example of batch) {
            if (failure) throw failure;
            if (underway.size >= options.inFlight) await Promise.race(underway);
            if (options.eventsPerSecond !== null) await pace(clock, startMs, events, options.eventsPerSecond);
            const tracked: Promise<void> = play(example).finally(() => underway.delete(tracked));
            underway.add(tracked);
            events += 1;
          }
        }
      } finally {
        await Promise.all(underway);
      }
      await send();
      if (failure) throw failure;
    },
    result: () => ({
      events,
      log: examples.report(),
      errors,
      lastError,
      quality: quality.report(),
      scoreMsP50: scoreMs.quantile(0.5),
      scoreMsP99: scoreMs.quantile(0.99),
      stalenessMsP50: stalenessMs.quantile(0.5),
      stalenessMsP99: stalenessMs.quantile(0.99),
    }),
  };
}

async function pace(clock: Clock, startMs: number, events: number, perSecond: number): Promise<void> {
  const dueMs = startMs + (events / perSecond) * 1_000;
  const waitMs = dueMs - clock.monotonicMs();
  if (waitMs > 1) await new Promise<void>((resolve) => clock.setTimer(waitMs, resolve));
}

async function waitUntilLearned(
  client: MillraceClient,
  clock: Clock,
  model: string,
  wanted: number,
): Promise<number> {
  const untilMs = clock.monotonicMs() + learnedMsMax;
  for (;;) {
    const learned = await learnedOf(client, model);
    if (learned >= wanted || clock.monotonicMs() > untilMs) return learned;
    await new Promise<void>((resolve) => clock.setTimer(50, resolve));
  }
}

async function learnedOf(client: MillraceClient, model: string): Promise<number> {
  const { models } = await client.status();
  return models.find(({ name }) => name === model)?.learned ?? 0;
}
