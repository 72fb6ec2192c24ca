/** Ways to score the same batch: rows in some format under some net with its weights as they come out of storage. */
import { createProgressiveQuality, packFloats, type QualityReport, unpackFloats } from '@millrace/core';
import { createRequestScorer, type LocalLearner, type RequestFeatures } from '@millrace/learner';
import {
  gatherSpace,
  type LoadedWeights,
  type OpenNet,
  type Scales,
  scalesFrom,
  sigmoid,
} from '@millrace/model';
import type { Example } from '../log-file/index.ts';
import { requestOf } from './log-requests.ts';
import type { Method } from './methods.ts';
import type { RowCopies } from './row-copies.ts';

export interface Candidate {
  readonly name: string;
  readonly method: Method;
  readonly net: OpenNet;
  readonly loaded: LoadedWeights;
  readonly scales: Scales;
  /** Of the dense weights as stored; running moments stay float32. */
  readonly denseBytes: number;
  /** float32[denseParameters]: what was loaded. */
  readonly weights: Float32Array;
}

/** @param net  with what it has learned; it outlives the candidate. */
export function createCandidate(name: string, method: Method, net: OpenNet): Candidate {
  const { shape, dense, program } = net;
  const stored = packFloats(dense.weights.subarray(0, shape.parameters), method.dense);
  const weights = dense.weights.slice();
  weights.set(unpackFloats(stored, shape.parameters, method.dense));
  return {
    name,
    method,
    net,
    loaded: program.load(weights),
    scales: scalesFrom(weights, shape.moments.length),
    denseBytes: stored.length + 4 * (dense.weights.length - shape.parameters),
    weights,
  };
}

export interface Judges {
  /** Scores a batch, which the learner has just scored, by each candidate, and judges it. */
  judge(examples: readonly Example[]): Promise<void>;
  /** In the order of the candidates. */
  reports(): readonly QualityReport[];
}

/** Items of the requests that events are scored in where requests are split: its own first, then those of events behind it. */
const companyItems = 4;

/**
 * @param copies  rows by format; null: those that the learner has read.
 */
export function createJudges(
  learner: LocalLearner,
  candidates: readonly Candidate[],
  copies: ReadonlyMap<Method['rows'], RowCopies | null>,
): Judges {
  const qualities = candidates.map(() => createProgressiveQuality());
  const { states } = learner;
  const scorers = candidates.map(({ method, net }) =>
    method.requests === 'split' ? createRequestScorer(net.plan, net.program, states) : null,
  );
  const add = (c: number, { label, offset = 0 }: Example, logit: number) =>
    qualities[c].add(sigmoid(logit + offset), label);
  return {
    async judge(examples) {
      const { space } = learner;
      // float32 comes first in the map or not at all: the others overwrite what the learner has read.
      const formats = [...copies.entries()].sort(([, a], [, b]) => Number(a !== null) - Number(b !== null));
      for (const [format, rows] of formats) {
        if (rows !== null) {
          for (const [t, { keys, unique }] of space.batch.tables.entries())
            rows.read(t, keys, unique, space.rows[t]);
        }
        for (const [c, { method, net, loaded, scales }] of candidates.entries()) {
          if (method.rows !== format) continue;
          const scorer = scorers[c];
          if (scorer !== null) {
            const logits = await scorer.score(loaded, scales, inCompany(examples));
            for (const [i, example] of examples.entries()) add(c, example, logits[i * companyItems]);
            continue;
          }
          await net.program.forward(loaded, gatherSpace(space, scales), space.logits);
          for (const [i, example] of examples.entries()) add(c, example, space.logits[i]);
        }
      }
    },
    reports: () => qualities.map((quality) => quality.report()),
  };
}

function inCompany(examples: readonly Example[]): readonly RequestFeatures[] {
  return examples.map((example, i) => {
    const items = Array.from(
      { length: companyItems },
      (_, n) => examples[(i + n) % examples.length].request.items[0],
    );
    return requestOf(example, items);
  });
}
