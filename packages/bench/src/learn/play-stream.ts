/**
 * One run in one process and in virtual time: traffic with known truth → scores → impressions and clicks → log → joiner →
 * batches → steps. Each request is scored by what was learned of the events that had reached the log by then; joiner, step,
 * rows and net are those of a cluster.
 */
import { createJoiner, type Example, joinerOptionsOf } from '@millrace/joiner';
import { openLocalLearner } from '@millrace/learner';
import { sigmoid } from '@millrace/model';
import type { Impression, ModelFile } from '@millrace/protocol';
import { createTraffic } from '@millrace/traffic';
import { createEventStream, type Disturbance } from './event-stream.ts';

export interface PlayOptions {
  readonly file: ModelFile;
  readonly seed: number;
  readonly requests: number;
  readonly everyMs: number;
  readonly batchExamples: number;
  readonly disturbance: Disturbance;
  /** Request from which the drifted truth holds; Infinity for none. */
  readonly driftAt: number;
  readonly onRequest: (done: number) => void;
}

/** What was scored, item by item in order of the requests. */
export interface Played {
  readonly scores: Float32Array;
  readonly truths: Float32Array;
  readonly clicks: Uint8Array;
  readonly counts: { readonly learned: number; readonly duplicates: number; readonly early: number };
}

const itemsARequest = 8;
const startMs = 1_700_000_000_000;
/** Steps of this are small against the time between two requests. */
const noContext = {};

export async function playStream(options: PlayOptions): Promise<Played> {
  const { file, requests, everyMs, batchExamples } = options;
  const { negativeRate } = file.learning ?? {};
  const items = requests * itemsARequest;
  const scores = new Float32Array(items);
  const truths = new Float32Array(items);
  const clicks = new Uint8Array(items);
  const learner = await openLocalLearner(file, { engine: 'plain', onSkip: () => undefined });
  const traffic = createTraffic({ seed: options.seed, driftStep: options.driftAt });
  const stream = createEventStream(options.seed, options.disturbance);
  let waiting: Example[] = [];
  let learned = 0;
  const joiner = createJoiner(joinerOptionsOf(file), {
    onExample(example) {
      waiting.push(example);
      if (example.isFirst) learned += 1;
    },
    onRejection(rejection) {
      throw new Error(`an outcome of the stream was rejected: ${rejection.reason}`);
    },
  });
  const learn = async (examples: readonly Example[]) => {
    for (const { user, context, item, shown, clicked, offset, weighting } of examples)
      learner.add({ user, context, item, shown, clicked, offset, weighting, timeMs: null });
    await learner.learn();
  };
  let sequence = 0;

  for (let n = 0; n < requests; n += 1) {
    const nowMs = startMs + n * everyMs;
    for (const { event, dueMs } of stream.takeDue(nowMs)) {
      sequence += 1;
      joiner.take(sequence, event, { timeMs: dueMs, bytes: 0 });
    }
    while (waiting.length >= batchExamples) {
      await learn(waiting.slice(0, batchExamples));
      waiting = waiting.slice(batchExamples);
    }
    const { request, truth, clicks: toCome } = traffic.next();
    const { user, context = noContext, requestId } = request;
    for (const item of request.items)
      learner.add({ user, context, item, shown: 1, clicked: 0, timeMs: null });
    await learner.score();
    const given = scores.subarray(n * itemsARequest, (n + 1) * itemsARequest);
    for (let i = 0; i < itemsARequest; i += 1) given[i] = sigmoid(learner.logits[i]);
    truths.set(truth, n * itemsARequest);
    const impression: Impression = {
      type: 'impression',
      requestId,
      timeMs: nowMs,
      user,
      context,
      items: request.items,
      scores: new Uint8Array(given.slice().buffer),
      version: 0,
      ...(negativeRate !== undefined && { negativeRate }),
    };
    stream.add(impression, nowMs);
    for (const { index, delayMs } of toCome) {
      clicks[n * itemsARequest + index] = 1;
      const timeMs = nowMs + delayMs;
      stream.add({ type: 'outcome', requestId, timeMs, index, value: 1 }, timeMs);
    }
    options.onRequest(n + 1);
  }
  learner.dispose();
  const { duplicateOutcomes: duplicates, early } = joiner.counts;
  return { scores, truths, clicks, counts: { learned, duplicates, early } };
}
