/** What figures mean, in words. */
import type { ArmComparison, ArmReport, Experiment, SampleRatio } from '@millrace/protocol';

type Compared = Omit<ArmComparison, 'verdict'>;

/** Whether more of a metric is better. */
function isBetterUp(metric: string): boolean {
  return metric !== 'logloss';
}

const words: Readonly<Record<string, string>> = {
  clickRate: 'click rate',
  logloss: 'logloss',
  greedyClickRate: 'click rate in first place without exploration',
};

export function comparisonVerdict({ arm, metric, control, interval }: Compared, shadow: boolean): string {
  const name = words[metric] ?? metric;
  const against = shadow ? 'what was answered' : 'the control';
  if (interval === null) return `too little to say anything of the ${name} yet`;
  const [low, high] = interval;
  if (low <= 0 && high >= 0) {
    const most = Math.max(-low, high);
    return `no difference in ${name} to be told; if there is one, it is below ${amount(most, control)}`;
  }
  const isUp = low > 0;
  const isBetter = isUp === isBetterUp(metric);
  const [least, most] = isUp ? [low, high] : [-high, -low];
  const direction = isUp ? 'higher' : 'lower';
  return `${isBetter ? 'better' : 'worse'}: the ${name} of ${arm} is ${direction} than that of ${against}, by ${amount(least, control)} to ${amount(most, control)}`;
}

/** What to do about it. The first metric is the one that decides: clicks, of shadows logloss. */
export function experimentVerdict(
  { confidence, control }: Pick<Experiment, 'confidence' | 'control'>,
  arms: readonly ArmReport[],
  comparisons: readonly ArmComparison[],
  sampleRatio: SampleRatio,
): string {
  // Before all else: it takes the ground from under the rest.
  const ratio = sampleRatio.mismatch ? [`Beware: ${sampleRatio.verdict}.`] : [];
  const out = arms
    .filter(({ takenOut }) => takenOut !== null)
    .map(({ name, takenOut }) => `${name} was taken out by a guard: ${takenOut}.`);
  const decided = arms
    .filter(({ name, shadow, takenOut }) => (name !== control || shadow) && takenOut === null)
    .map(({ name }) =>
      sentenceOn(
        name,
        comparisons.find(({ arm }) => arm === name),
      ),
    );
  const sure = comparisons.some(({ interval }) => interval !== null && (interval[0] > 0 || interval[1] < 0));
  const tail = sure ? [`All of it holds together at ${percent(confidence)}, however often one looks.`] : [];
  return [...ratio, ...out, ...decided, ...tail].join(' ');
}

function sentenceOn(arm: string, comparison: ArmComparison | undefined): string {
  if (comparison === undefined) return `Nothing came of ${arm} yet.`;
  const { interval, verdict } = comparison;
  if (interval === null) return `${arm}: ${verdict}.`;
  const isOpen = interval[0] <= 0 && interval[1] >= 0;
  return isOpen ? `${arm}: ${verdict}. Go on, or stop if that is small enough.` : `${arm} is ${verdict}.`;
}

/** A difference, and how much that is of the control's. */
function amount(value: number, control: number): string {
  const share = control > 0 ? ` (${percent(value / control)})` : '';
  return `${short(value)}${share}`;
}

function percent(share: number): string {
  return `${short(100 * share)} %`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
