/**
 * How scoring goes by arm on this node, told once a second to whoever guards arms, and at once where scores were no numbers:
 * an arm that makes such is taken out within moments.
 */
import {
  type ArmCounts,
  armNamesMax,
  armsSubject,
  encodeArmNotice,
  latencyCellCount,
  latencyCellOf,
  modelNameFrom,
} from '@millrace/protocol';
import type { Bus, Clock } from '@millrace/runtime';

export interface ArmCounter {
  /** One that was answered after so many ms. */
  answered(model: string, arms: readonly string[], ms: number): void;
  /** @param requests  that failed so. Default 1. */
  failed(
    model: string,
    arms: readonly string[],
    how: 'errors' | 'notFinite' | 'dropped',
    requests?: number,
  ): void;
  /** Requests whose scores were no numbers since the start. */
  readonly notFinite: number;
  close(): void;
}

const tellEveryMs = 1_000;

type Counting = { -readonly [K in Exclude<keyof ArmCounts, 'latencies' | 'arm'>]: ArmCounts[K] } & {
  readonly latencies: number[];
};

export function createArmCounter(bus: Bus, clock: Clock, node: string): ArmCounter {
  const models = new Map<string, Map<string, Counting>>();
  let notFinite = 0;
  const countingOf = (model: string, arm: string): Counting | undefined => {
    let arms = models.get(model);
    if (arms === undefined) {
      arms = new Map();
      models.set(model, arms);
    }
    let counting = arms.get(arm);
    if (counting === undefined && arms.size < armNamesMax) {
      counting = {
        requests: 0,
        errors: 0,
        notFinite: 0,
        dropped: 0,
        latencies: new Array<number>(latencyCellCount).fill(0),
      };
      arms.set(arm, counting);
    }
    return counting;
  };
  const tell = () => {
    for (const [model, arms] of models) {
      const told = [...arms].map(([arm, counts]) => ({ arm, ...counts }));
      if (told.length > 0)
        bus.notify(armsSubject(modelNameFrom(model)), encodeArmNotice({ node, model, arms: told }));
    }
    models.clear();
  };
  const onTurn = () => {
    tell();
    timer = clock.setTimer(tellEveryMs, onTurn);
  };
  let timer = clock.setTimer(tellEveryMs, onTurn);
  return {
    answered(model, arms, ms) {
      for (const arm of arms) {
        const counting = countingOf(model, arm);
        if (counting === undefined) continue;
        counting.requests += 1;
        counting.latencies[latencyCellOf(ms)] += 1;
      }
    },
    failed(model, arms, how, requests = 1) {
      for (const arm of arms) {
        const counting = countingOf(model, arm);
        if (counting === undefined) continue;
        counting[how] += requests;
        if (how === 'errors') counting.requests += requests;
      }
      if (how !== 'notFinite') return;
      notFinite += requests;
      tell();
    },
    get notFinite() {
      return notFinite;
    },
    close() {
      timer.cancel();
      tell();
    },
  };
}
