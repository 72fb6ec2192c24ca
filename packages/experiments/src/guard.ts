/**
 * When an arm is taken out by itself: it does worse than what it is compared with, by more than a bound, and by more than
 * chance would make of it. Pure: figures of the same minute in, a reason or none out.
 *
 * The minute is looked at once a second for as long as an experiment runs, so what chance may do is bounded tightly: four
 * standard errors, one look in 30,000.
 */
import type { GuardBounds } from '@millrace/protocol';
import { type ArmFigures, latencyQuantile } from './arm-window.ts';

const standardErrors = 4;
/** Examples, positives, requests below which nothing is said. */
const shownMin = 200;
const clickedMin = 20;
const requestsMin = 100;
/** A 99th percentile of fewer requests is one of the slowest few. */
const requestsOfTailMin = 500;
/** Beyond the bound, ms: a tail of a millisecond that doubles is nobody's concern. */
const tailMsSlack = 5;

type Guard = (bound: number, arm: ArmFigures, control: ArmFigures) => string | null;

/** One a bound; the first that finds something says why. */
const guards: Readonly<Record<keyof GuardBounds, Guard>> = {
  nan(bound, { notFinite }) {
    if (notFinite <= bound) return null;
    return `${notFinite} of its requests in the last minute had scores that are no numbers, the bound is ${bound}`;
  },
  errors(bound, arm, control) {
    if (arm.requests < requestsMin) return null;
    const [own, other] = [arm, control].map(({ requests, errors }) => errors / Math.max(1, requests));
    const pooled = (arm.errors + control.errors) / (arm.requests + control.requests);
    const spread = Math.sqrt(pooled * (1 - pooled) * (1 / arm.requests + 1 / Math.max(1, control.requests)));
    if (own - other <= bound || own - other <= standardErrors * spread) return null;
    return `${percent(own)} of its requests failed in the last minute, ${percent(other)} of the control's; the bound is ${percent(bound)} more`;
  },
  logloss(bound, arm, control) {
    if (arm.shown < shownMin || control.shown < shownMin) return null;
    const [own, other] = [arm, control].map(({ loss, shown }) => loss / shown);
    const spread = Math.sqrt(varianceOfMean(arm) + varianceOfMean(control));
    if (own - other <= bound * other || own - other <= standardErrors * spread) return null;
    return `its logloss in the last minute was ${short(own)}, the control's ${short(other)}; the bound is ${percent(bound)} more`;
  },
  calibration(bound, arm, control) {
    if (arm.shown < shownMin || control.shown < shownMin) return null;
    // Nothing predicted and nothing clicked is right; what was hardly clicked cannot be told from chance.
    if (Math.max(arm.clicked, arm.predicted) < clickedMin || control.clicked < clickedMin) return null;
    const [own, other] = [arm, control].map(({ predicted, clicked }) =>
      Math.abs(Math.log((predicted + 0.5) / (clicked + 0.5))),
    );
    const chance = standardErrors * Math.sqrt(Math.max(1, arm.predicted, arm.clicked));
    if (own - other <= Math.log1p(bound) || Math.abs(arm.predicted - arm.clicked) <= chance) return null;
    return `it predicted ${short(arm.predicted)} clicks in the last minute where ${short(arm.clicked)} came; the bound is a factor of ${short(1 + bound)} beyond the control's`;
  },
  p99(bound, arm, control) {
    if (arm.requests < requestsOfTailMin || control.requests < requestsOfTailMin) return null;
    const [own, other] = [arm, control].map((figures) => latencyQuantile(figures, 0.99));
    if (own === null || other === null || own <= (1 + bound) * other + tailMsSlack) return null;
    return `99 % of its requests took up to ${short(own)} ms in the last minute, the control's ${short(other)} ms; the bound is ${percent(bound)} more`;
  },
};

/**
 * @param control figures of what it is compared with; null: there are none, and only what needs none is looked at.
 * @returns why the arm has to go; null: it may stay.
 */
export function guardReason(bounds: GuardBounds, arm: ArmFigures, control: ArmFigures | null): string | null {
  for (const name of Object.keys(guards) as (keyof GuardBounds)[]) {
    const bound = bounds[name];
    if (bound === null || (control === null && name !== 'nan')) continue;
    const reason = guards[name](bound, arm, control ?? arm);
    if (reason !== null) return reason;
  }
  return null;
}

function varianceOfMean({ loss, lossSquares, shown }: ArmFigures): number {
  const mean = loss / shown;
  return Math.max(0, lossSquares / shown - mean * mean) / shown;
}

function percent(share: number): string {
  return `${short(100 * share)} %`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
