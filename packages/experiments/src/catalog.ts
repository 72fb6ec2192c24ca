/** What may become of a catalog of experiments, as functions from one to the next; the registry writes by compare-and-set. */
import {
  type Arm,
  type ArmTarget,
  type Experiment,
  type ExperimentCatalog,
  type ExperimentChange,
  experimentBuckets,
  experimentChangesKept,
  experimentsMax,
  experimentsRunningMax,
  MillraceError,
  resultArmsMax,
  shareOf,
  versionNoteCharsMax,
} from '@millrace/protocol';
import { bucketsOf, type CheckedExperiment, invalid } from './experiment-file.ts';
import { dealBuckets, freeIn, type Ranges, sizeOf } from './shares.ts';

export type Change = Pick<ExperimentChange, 'timeMs' | 'by' | 'reason'>;

export function emptyExperiments(model: string): ExperimentCatalog {
  return { format: 1, model, experiments: [], kept: null };
}

export function isRunning({ endedMs }: Experiment): boolean {
  return endedMs === null;
}

/** @throws MILL_EXPERIMENT_UNKNOWN naming what there is. */
export function experimentIn({ model, experiments }: ExperimentCatalog, name: string): Experiment {
  const found = experiments.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw unknown(
    `model "${model}" has no experiment "${name}"`,
    experiments.map((one) => one.name),
  );
}

/** @throws MILL_EXPERIMENT_INVALID */
export function withExperiment(
  catalog: ExperimentCatalog,
  wanted: CheckedExperiment,
  change: Change,
): ExperimentCatalog {
  const { name, layer, key, salt, arms } = wanted;
  const running = catalog.experiments.filter(isRunning);
  if (catalog.experiments.some((one) => one.name === name))
    throw invalid('name', 'one that no experiment here had: its figures would be counted on', `"${name}"`);
  if (running.length >= experimentsRunningMax)
    throw invalid('experiment', `at most ${experimentsRunningMax} that run at a time`, `${running.length}`);
  const runningArms = running.reduce((sum, one) => sum + one.arms.length, 0);
  if (runningArms + arms.length > resultArmsMax)
    throw invalid(
      'arms',
      `at most ${resultArmsMax} arms of the model's experiments that run: results are kept of so many, and ${runningArms} run`,
      `${arms.length} more`,
    );
  const neighbours = running.filter((one) => one.layer === layer);
  for (const other of neighbours) {
    if (other.key !== key || other.salt !== salt)
      throw invalid(
        'layer',
        `key ${other.key} and salt "${other.salt}" as "${other.name}" has in layer "${layer}": arms of a layer exclude each other by one hash`,
        `key ${key} and salt "${salt}"`,
      );
  }
  refuseSecondDecider(running, wanted);
  const held = heldIn(neighbours);
  const free = sizeOf(freeIn(held));
  const total = arms.reduce((sum, { buckets }) => sum + buckets, 0);
  if (total > free) throw noRoom(layer, total, free);
  const dealt = dealBuckets(held, new Map(arms.map((arm) => [idOf(name, arm.name), arm.buckets])));
  const { model: _of, arms: _dealt, ...about } = wanted;
  const started: Experiment = {
    ...about,
    arms: arms.map(({ buckets: _count, ...arm }) => ({
      ...arm,
      ranges: dealt.get(idOf(name, arm.name)) ?? [],
    })),
    startedMs: change.timeMs,
    endedMs: null,
    changes: [],
  };
  return {
    ...catalog,
    experiments: withinMax([...catalog.experiments, noted(started, change)], catalog.kept),
  };
}

/**
 * Shares of some arms of a running experiment; the others keep theirs.
 * @throws MILL_EXPERIMENT_UNKNOWN, MILL_EXPERIMENT_INVALID
 */
export function withShares(
  catalog: ExperimentCatalog,
  name: string,
  shares: Readonly<Record<string, unknown>>,
  change: Change,
): ExperimentCatalog {
  const experiment = runningIn(catalog, name);
  const wanted = new Map<string, number>();
  for (const [arm, share] of Object.entries(shares)) {
    requireArm(experiment, arm);
    wanted.set(idOf(name, arm), bucketsOf(arm, share));
  }
  const held = heldIn(catalog.experiments.filter((one) => isRunning(one) && one.layer === experiment.layer));
  let total = 0;
  for (const [arm, ranges] of held) total += wanted.get(arm) ?? sizeOf(ranges);
  if (total > experimentBuckets) throw noRoom(experiment.layer, total, experimentBuckets);
  const dealt = dealBuckets(held, wanted);
  const arms = experiment.arms.map((arm) => ({ ...arm, ranges: dealt.get(idOf(name, arm.name)) ?? [] }));
  return replaced(catalog, noted({ ...experiment, arms }, change));
}

/**
 * Ends an experiment: its units are everybody again. With `keep` what that arm scored with scores all requests that no arm
 * takes. Of one that has ended what it kept is changed.
 * @throws MILL_EXPERIMENT_UNKNOWN, MILL_EXPERIMENT_INVALID
 */
export function withStopped(
  catalog: ExperimentCatalog,
  name: string,
  keep: string | null,
  change: Change,
): ExperimentCatalog {
  const experiment = experimentIn(catalog, name);
  const kept = keep === null ? keptWithout(catalog, name) : keptOf(experiment, keep);
  const arms = experiment.arms.map((arm) => ({ ...arm, ranges: [] }));
  const endedMs = experiment.endedMs ?? change.timeMs;
  return { ...replaced(catalog, noted({ ...experiment, arms, endedMs }, change)), kept };
}

/** A decision of the guard: the arm gets no more units; those that it had are everybody again. */
export function withArmOut(
  catalog: ExperimentCatalog,
  name: string,
  arm: string,
  change: Omit<Change, 'by'>,
): ExperimentCatalog {
  const experiment = catalog.experiments.find((one) => one.name === name);
  const found = experiment?.arms.find((one) => one.name === arm);
  // Somebody was quicker: it has ended, or has no units any more.
  if (experiment === undefined || !isRunning(experiment) || found === undefined || shareOf(found) === 0)
    return catalog;
  return withShares(catalog, name, { [arm]: 0 }, { ...change, by: 'guard' });
}

/** How long outcomes of an arm that has ended are still sent to its own model: the longest time that they could be late. */
const lateMsMax = 24 * 3_600_000;

/** Models of arms that learn apart, and that outcomes sent to the experiments' model may belong to. */
export function modelsApart({ experiments, kept }: ExperimentCatalog, nowMs: number): readonly string[] {
  const models = new Set<string>();
  for (const { arms, endedMs } of experiments) {
    if (endedMs !== null && nowMs - endedMs > lateMsMax) continue;
    for (const { target, shadow } of arms) if (target.type === 'model' && !shadow) models.add(target.model);
  }
  if (kept?.target.type === 'model') models.add(kept.target.model);
  return [...models];
}

/** How long nodes may deal by the shares of before; clocks differ by less. */
const settleMs = 5_000;

export interface Deal {
  readonly shares: Readonly<Record<string, number>>;
  /** Of what was shown from here on it is certain that it was dealt so. */
  readonly sinceMs: number;
}

/** The shares that hold, and of an ended experiment those that held last; null: it never dealt any. */
export function dealOf({ changes }: Pick<Experiment, 'changes'>): Deal | null {
  let deal: Deal | null = null;
  for (const { timeMs, shares } of changes) {
    const isDealt = Object.values(shares).some((share) => share > 0);
    const isSame = deal !== null && Object.keys(shares).every((arm) => deal?.shares[arm] === shares[arm]);
    if (isDealt && !isSame) deal = { shares, sinceMs: timeMs + settleMs };
  }
  return deal;
}

/**
 * Of an arm as impressions of a model's log name it the experiment that it is of.
 * @returns undefined when no catalog knows it.
 */
export function experimentOfArm(
  name: string,
  model: string,
  catalogOf: (model: string) => ExperimentCatalog,
): Experiment | undefined {
  const [before, arm] = name.split('/');
  const parts = before.split(':');
  const [of, experiment] = parts.length === 2 ? parts : [model, before];
  const found = catalogOf(of).experiments.find((one) => one.name === experiment);
  return found?.arms.some((one) => one.name === arm) ? found : undefined;
}

export function sharesOf({ arms }: Pick<Experiment, 'arms'>): Readonly<Record<string, number>> {
  return Object.fromEntries(arms.map((arm) => [arm.name, shareOf(arm)]));
}

/** What of a model's versions and labels its experiments score with, and who does, in words. */
export interface TargetsInUse {
  readonly versions: ReadonlyMap<number, string>;
  readonly labels: ReadonlyMap<string, string>;
}

/** Arms without units use nothing: they find it again when they are given some. */
export function targetsInUse({ experiments, kept }: ExperimentCatalog): TargetsInUse {
  const versions = new Map<number, string>();
  const labels = new Map<string, string>();
  const note = (target: ArmTarget, who: string) => {
    if (target.type === 'version') versions.set(target.version, who);
    if (target.type === 'label') labels.set(target.label, who);
  };
  for (const { name, arms } of experiments.filter(isRunning))
    for (const arm of arms)
      if (shareOf(arm) > 0) note(arm.target, `arm "${arm.name}" of experiment "${name}"`);
  if (kept !== null)
    note(kept.target, `experiment "${kept.experiment}", which keeps "${kept.arm}" in charge`);
  return { versions, labels };
}

type Decision = Pick<Arm, 'target' | 'shadow' | 'exploration'>;

/** True for an arm that makes its experiment one about what scores. */
export function decidesScorer({ target, shadow }: Pick<Arm, 'target' | 'shadow'>): boolean {
  return !shadow && target.type !== 'default';
}

function runningIn(catalog: ExperimentCatalog, name: string): Experiment {
  const experiment = experimentIn(catalog, name);
  if (!isRunning(experiment)) throw invalid('name', 'an experiment that runs', `"${name}", which has ended`);
  return experiment;
}

/**
 * A request is scored once, and ordered once: what scores it is decided in one layer alone, and how it explores too, or what one
 * layer deals would depend on the other.
 */
function refuseSecondDecider(running: readonly Experiment[], wanted: CheckedExperiment): void {
  const questions: readonly (readonly [string, (arm: Decision) => boolean])[] = [
    ['what scores', decidesScorer],
    ['how ranks explore', ({ exploration }) => exploration !== null],
    ['what is scored in the shadow', ({ shadow }) => shadow],
  ];
  for (const [question, decides] of questions) {
    if (!wanted.arms.some(decides)) continue;
    const other = running.find(({ layer, arms }) => layer !== wanted.layer && arms.some(decides));
    if (other !== undefined)
      throw invalid(
        'layer',
        `"${other.layer}": experiment "${other.name}" decides ${question} there, and one layer decides it`,
        `"${wanted.layer}"`,
      );
  }
}

function keptOf(experiment: Experiment, arm: string): ExperimentCatalog['kept'] {
  const { target, shadow } = requireArm(experiment, arm);
  if (shadow) throw invalid('keep', 'an arm that answered', `"${arm}", a shadow`);
  return target.type === 'default' ? null : { experiment: experiment.name, arm, target };
}

function keptWithout({ kept }: ExperimentCatalog, name: string): ExperimentCatalog['kept'] {
  return kept?.experiment === name ? null : kept;
}

function requireArm({ name, arms }: Experiment, arm: string): Arm {
  const found = arms.find((one) => one.name === arm);
  if (found !== undefined) return found;
  throw unknown(
    `experiment "${name}" has no arm "${arm}"`,
    arms.map((one) => one.name),
  );
}

function heldIn(experiments: readonly Experiment[]): ReadonlyMap<string, Ranges> {
  return new Map(
    experiments.flatMap(({ name, arms }) => arms.map((arm) => [idOf(name, arm.name), arm.ranges] as const)),
  );
}

function idOf(experiment: string, arm: string): string {
  return `${experiment}/${arm}`;
}

function noted(experiment: Experiment, { timeMs, by, reason }: Change): Experiment {
  if (reason.length > versionNoteCharsMax)
    throw invalid('reason', `at most ${versionNoteCharsMax} characters`, `${reason.length}`);
  const change: ExperimentChange = { timeMs, by, reason, shares: sharesOf(experiment) };
  return { ...experiment, changes: [...experiment.changes, change].slice(-experimentChangesKept) };
}

function replaced(catalog: ExperimentCatalog, experiment: Experiment): ExperimentCatalog {
  const experiments = catalog.experiments.map((one) => (one.name === experiment.name ? experiment : one));
  return { ...catalog, experiments };
}

/** The oldest ended ones are forgotten, but not one that is in charge; running ones are too few to fill it. */
function withinMax(
  experiments: readonly Experiment[],
  kept: ExperimentCatalog['kept'],
): readonly Experiment[] {
  let surplus = experiments.length - experimentsMax;
  return experiments.filter((one) => isRunning(one) || one.name === kept?.experiment || surplus-- <= 0);
}

function noRoom(layer: string, wanted: number, free: number): MillraceError {
  const share = (buckets: number) => String(buckets / experimentBuckets);
  return invalid(
    'share',
    `at most ${share(free)} together: more of layer "${layer}" is not free`,
    share(wanted),
  );
}

function unknown(message: string, names: readonly string[]): MillraceError {
  const there = names.length === 0 ? 'there are none' : `there are ${names.join(', ')}`;
  return new MillraceError('MILL_EXPERIMENT_UNKNOWN', `${message}; ${there}`, { details: { names } });
}
