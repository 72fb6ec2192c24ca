/** What sums have to know of the arms that a model's log names; asked for each impression, so it is remembered between changes. */
import { dealOf, experimentOfArm, isRunning } from './catalog.ts';
import type { ExperimentsView } from './watch-experiments.ts';

export interface ArmDeals {
  /** From when on its units are told apart, Unix ms; null: it does not run. */
  unitsSinceMs(arm: string): number | null;
  isRunning(arm: string): boolean;
  close(): void;
}

/** Names that are remembered; impressions of a cluster name far fewer. */
const namesMax = 1_024;

export function followArmDeals(
  view: Pick<ExperimentsView, 'catalogOf' | 'onChange'>,
  model: string,
): ArmDeals {
  const known = new Map<string, number | null>();
  const close = view.onChange(() => known.clear());
  const unitsSinceMs = (arm: string): number | null => {
    const found = known.get(arm);
    if (found !== undefined) return found;
    const experiment = experimentOfArm(arm, model, view.catalogOf);
    const sinceMs =
      experiment !== undefined && isRunning(experiment) ? (dealOf(experiment)?.sinceMs ?? null) : null;
    if (known.size < namesMax) known.set(arm, sinceMs);
    return sinceMs;
  };
  return { unitsSinceMs, isRunning: (arm) => unitsSinceMs(arm) !== null, close };
}
