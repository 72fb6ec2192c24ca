/**
 * How arms do right now: the last minute of what nodes tell of scoring and of what came of scores. Ephemeral, and of whoever
 * watches; what is kept are the sums (sums.ts).
 */
import { createSliding, type Sliding, type SlidingKind } from '@millrace/core';
import {
  type ArmCounts,
  type ArmNotice,
  type ArmScoring,
  armNamesMax,
  latencyCellCount,
  latencyOfCell,
  versionArm,
} from '@millrace/protocol';
import { countsOf, type JudgedExample, lossOf, lossSquareOf } from './judged-example.ts';

/** A slot; a window of twelve of them is a minute. */
export const armSlotMs = 5_000;
const slots = 12;

/** Figures of one stretch that add up. */
export interface ArmFigures {
  requests: number;
  errors: number;
  notFinite: number;
  dropped: number;
  /** float64[cells] */
  readonly latencies: Float64Array;
  /** Items shown and clicked, Σ probability, Σ loss, Σ loss². */
  shown: number;
  clicked: number;
  predicted: number;
  loss: number;
  lossSquares: number;
}

export const armFiguresKind: SlidingKind<ArmFigures> = {
  create: () => ({
    requests: 0,
    errors: 0,
    notFinite: 0,
    dropped: 0,
    latencies: new Float64Array(latencyCellCount),
    shown: 0,
    clicked: 0,
    predicted: 0,
    loss: 0,
    lossSquares: 0,
  }),
  add(to, what, sign) {
    addCounts(to, what, sign);
    to.shown += sign * what.shown;
    to.clicked += sign * what.clicked;
    to.predicted += sign * what.predicted;
    to.loss += sign * what.loss;
    to.lossSquares += sign * what.lossSquares;
  },
  clear(what) {
    Object.assign(what, {
      requests: 0,
      errors: 0,
      notFinite: 0,
      dropped: 0,
      shown: 0,
      clicked: 0,
      predicted: 0,
      loss: 0,
      lossSquares: 0,
    });
    what.latencies.fill(0);
  },
};

export interface ArmWindow {
  noteScoring(notice: ArmNotice): void;
  noteExample(example: JudgedExample): void;
  /** Where the log stands: how far what is forgotten reaches. */
  noteShown(sequence: number): void;
  /** Ends a slot. */
  advance(): void;
  /** Begins anew with an arm or version: what was scored before, and is joined only later, counts no more. */
  forget(name: string): void;
  /** Of the last minute, of `experiment/arm` or a version (versionArm; 0: the live line); null: nothing is known of it. */
  figuresOf(arm: string): ArmFigures | null;
  /** What status tells of scoring, by arm. */
  scoring(): ReadonlyMap<string, ArmScoring>;
}

export function createArmWindow(): ArmWindow {
  const arms = new Map<string, Sliding<ArmFigures>>();
  /** By name the newest event when it was forgotten; what was shown until then is passed over. */
  const forgotten = new Map<string, number>();
  let newest = 0;
  /** Undefined beyond the limit: further arms are not watched. */
  const armNamed = (name: string): Sliding<ArmFigures> | undefined => {
    let arm = arms.get(name);
    if (arm === undefined && arms.size < armNamesMax) {
      arm = createSliding(armFiguresKind, slots);
      arms.set(name, arm);
    }
    return arm;
  };
  const addExample = (name: string, example: JudgedExample, score: number) => {
    const [, shownAt] = example.place;
    const arm = shownAt > (forgotten.get(name) ?? -1) ? armNamed(name) : undefined;
    if (arm === undefined) return;
    const { shown, clicked } = countsOf(example);
    const loss = lossOf(score, shown, clicked);
    const lossSquare = lossSquareOf(score, shown, clicked);
    for (const figures of [arm.slot, arm.sum]) {
      figures.shown += shown;
      figures.clicked += clicked;
      figures.predicted += shown * score;
      figures.loss += loss;
      figures.lossSquares += lossSquare;
    }
  };
  return {
    noteScoring({ arms: told }) {
      for (const counts of told) {
        const arm = armNamed(counts.arm);
        if (arm !== undefined) for (const figures of [arm.slot, arm.sum]) addCounts(figures, counts, 1);
      }
    },
    noteExample(example) {
      const { arm = '', modelVersion, score, shadow } = example;
      newest = Math.max(newest, example.place[0]);
      if (Number.isFinite(score)) {
        if (arm !== '') for (const name of arm.split(' ')) addExample(name, example, score);
        addExample(versionArm(modelVersion ?? 0), example, score);
      }
      if (shadow === undefined || !Number.isFinite(shadow.score) || !Number.isFinite(score)) return;
      addExample(shadow.arm, example, shadow.score);
      addExample(besideShadow(shadow.arm), example, score);
    },
    noteShown(sequence) {
      newest = Math.max(newest, sequence);
    },
    advance() {
      for (const [name, arm] of arms) {
        arm.advance();
        if (isSilent(arm.sum)) arms.delete(name);
      }
    },
    forget(name) {
      arms.delete(name);
      forgotten.delete(name);
      forgotten.set(name, newest);
      const [oldest] = forgotten.keys();
      if (forgotten.size > armNamesMax) forgotten.delete(oldest);
    },
    figuresOf: (name) => arms.get(name)?.sum ?? null,
    scoring: () => new Map([...arms].map(([name, { sum }]) => [name, scoringOf(sum)])),
  };
}

/** How a window calls what was answered where a shadow scored beside. */
export function besideShadow(arm: string): string {
  return `${arm}~`;
}

/** Figures of both; the caller's to keep. */
export function addedFigures(...parts: readonly ArmFigures[]): ArmFigures {
  const sum = armFiguresKind.create();
  for (const part of parts) armFiguresKind.add(sum, part, 1);
  return sum;
}

/** Time that a share of requests took at most, ms; null of nothing. */
export function latencyQuantile({ latencies }: Pick<ArmFigures, 'latencies'>, share: number): number | null {
  const count = latencies.reduce((sum, value) => sum + value, 0);
  if (count <= 0) return null;
  let left = Math.ceil(share * count);
  for (let cell = 0; cell < latencies.length; cell += 1) {
    left -= latencies[cell];
    if (left <= 0) return latencyOfCell(cell);
  }
  return latencyOfCell(latencies.length - 1);
}

function scoringOf(figures: ArmFigures): ArmScoring {
  const { requests, errors, notFinite, dropped } = figures;
  return {
    requests,
    errors,
    notFinite,
    dropped,
    p50Ms: latencyQuantile(figures, 0.5),
    p99Ms: latencyQuantile(figures, 0.99),
  };
}

function addCounts(
  to: ArmFigures,
  what: Omit<ArmCounts, 'arm' | 'latencies'> & { readonly latencies: ArrayLike<number> },
  sign: 1 | -1,
): void {
  to.requests += sign * what.requests;
  to.errors += sign * what.errors;
  to.notFinite += sign * what.notFinite;
  to.dropped += sign * what.dropped;
  for (let cell = 0; cell < to.latencies.length; cell += 1) to.latencies[cell] += sign * what.latencies[cell];
}

function isSilent({ requests, errors, notFinite, dropped, shown }: ArmFigures): boolean {
  return requests + errors + notFinite + dropped === 0 && Math.abs(shown) < 1e-9;
}
