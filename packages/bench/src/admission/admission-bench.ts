/** The same traffic through the same model, once a policy: rows, bytes, and scores judged before each example is learned. */
import { performance } from 'node:perf_hooks';
import { createProgressiveQuality, partitionBytes, partitionRows } from '@millrace/core';
import { openLocalLearner } from '@millrace/learner';
import { parseModelFile, sigmoid } from '@millrace/model';
import type { AdmissionSpec, ExpirySpec, ModelFile } from '@millrace/protocol';
import { createTraffic } from '@millrace/traffic';

export interface AdmissionParameters {
  /** Requests of eight impressions each. */
  readonly requests: number;
  readonly seed: number;
}

export const fullSize: AdmissionParameters = { requests: 40_000, seed: 1 };
export const smokeSize: AdmissionParameters = { requests: 300, seed: 1 };

export interface PolicyResult {
  readonly policy: string;
  readonly rows: number;
  /** Arenas, indices, and what admission remembers. */
  readonly bytes: number;
  readonly notAdmitted: number;
  readonly expired: number;
  readonly auc: number;
  readonly logloss: number;
  readonly examplesPerSecond: number;
}

interface Policy {
  readonly name: string;
  readonly admission?: AdmissionSpec;
  readonly expiry?: ExpirySpec;
}

/** Ten requests a second, so an expiry of 500 s is 5,000 requests. */
const requestMs = 100;
const startMs = 1_700_000_000_000;
const afterMs = 500_000;

const policies: readonly Policy[] = [
  { name: 'none' },
  { name: 'count 2', admission: { type: 'count', count: 2 } },
  { name: 'count 3', admission: { type: 'count', count: 3 } },
  { name: 'sketch 3', admission: { type: 'count', count: 3, counter: 'sketch', cells: 16_384 } },
  { name: 'probability 0.3', admission: { type: 'probability', probability: 0.3 } },
  { name: 'age 500 s', expiry: { type: 'age', afterMs } },
  { name: 'score 500 s', expiry: { type: 'score', halfLifeMs: afterMs, scoreMin: 0.6 } },
  {
    name: 'count 2, age 500 s',
    admission: { type: 'count', count: 2 },
    expiry: { type: 'age', afterMs },
  },
];

const optimizer = { type: 'adagrad', learningRate: 0.1, initialAccumulator: 1 } as const;
const batchRequests = 8;

/** Users and items in one table, whose rows are nearly all there are. */
function modelWith({ admission, expiry }: Policy): ModelFile {
  const policy = { ...(admission && { admission }), ...(expiry && { expiry }) };
  return parseModelFile({
    name: 'shop',
    label: 'click',
    item: 'item',
    partitions: 8,
    tables: [
      { name: 'ids', wide: { optimizer }, embedding: { dim: 8, optimizer }, ...policy },
      { name: 'kinds', wide: { optimizer }, embedding: { dim: 8, optimizer } },
    ],
    fields: [
      { name: 'user', type: 'sparse', scope: 'user', table: 'ids' },
      { name: 'item', type: 'sparse', scope: 'item', table: 'ids' },
      ...(['segment', 'country', 'device'] as const).map((name) => ({
        name,
        type: 'sparse',
        scope: 'user',
        table: 'kinds',
      })),
      { name: 'category', type: 'sparse', scope: 'item', table: 'kinds' },
      { name: 'placement', type: 'sparse', scope: 'context', table: 'kinds' },
    ],
    net: 'fm',
    loss: 'logloss',
    seed: 1,
  });
}

/** Runs that there are. */
export const policyCount = policies.length;

/** @param onStep told how many policies are done and which one begins. */
export async function runAdmissionBench(
  { requests, seed }: AdmissionParameters,
  onStep: (done: number, policy: string) => void,
): Promise<readonly PolicyResult[]> {
  const results: PolicyResult[] = [];
  for (const policy of policies) {
    onStep(results.length, policy.name);
    results.push(await runPolicy(policy, requests, seed));
  }
  return results;
}

async function runPolicy(policy: Policy, requests: number, seed: number): Promise<PolicyResult> {
  const learner = await openLocalLearner(modelWith(policy), { engine: 'plain', onSkip() {} });
  const traffic = createTraffic({ seed, driftStep: Number.POSITIVE_INFINITY });
  const quality = createProgressiveQuality();
  const labels: (0 | 1)[] = [];
  let learnedMs = 0;
  for (let step = 0; step < requests; step += 1) {
    const { request, clicks } = traffic.next();
    const clicked = new Set(clicks.map(({ index }) => index));
    const { user, context } = request;
    request.items.forEach((item, place) => {
      const label = clicked.has(place) ? 1 : 0;
      labels.push(label);
      learner.add({ user, context, item, shown: 1, clicked: label, timeMs: startMs + requestMs * step });
    });
    if ((step + 1) % batchRequests !== 0 && step + 1 < requests) continue;
    const beganMs = performance.now();
    await learner.learn();
    learnedMs += performance.now() - beganMs;
    labels.forEach((label, i) => {
      quality.add(sigmoid(learner.logits[i]), label);
    });
    labels.length = 0;
  }
  const { states } = learner;
  const sum = (of: (state: (typeof states)[number]) => number) =>
    states.reduce((total, state) => total + of(state), 0);
  const { auc, logloss } = quality.report();
  learner.dispose();
  return {
    policy: policy.name,
    rows: sum(partitionRows),
    bytes: sum(partitionBytes),
    notAdmitted: sum(({ counts }) => counts.notAdmitted ?? 0),
    expired: sum(({ counts }) => counts.expired ?? 0),
    auc,
    logloss,
    examplesPerSecond: (8 * requests * 1_000) / learnedMs,
  };
}
