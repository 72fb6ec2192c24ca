/**
 * Takes arms out that do worse than what they are compared with (experiments/guard.ts): a thin loop over a pure decision. It
 * runs where the models are learned, which is one process a model; should two look at the same arm, the second finds it out.
 */
import {
  type ArmFigures,
  type ArmWindow,
  addedFigures,
  armSlotMs,
  besideShadow,
  createArmWindow,
  type ExperimentRegistry,
  type ExperimentsView,
  guardReason,
  isRunning,
} from '@millrace/experiments';
import {
  type Arm,
  armName,
  armsSubject,
  decodeArmNotice,
  type Experiment,
  isMillraceError,
  modelNameFrom,
  reasonFrom,
  shareOf,
  versionArm,
} from '@millrace/protocol';
import type { VersionRegistry, VersionsView } from '@millrace/registry';
import type { Bus, Clock, Logger, LogReader, Metrics } from '@millrace/runtime';
import { createLabelGuards } from './label-guards.ts';

export interface ArmGuardsOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly view: ExperimentsView;
  readonly registry: ExperimentRegistry;
  readonly versions: VersionsView;
  readonly labels: Pick<VersionRegistry, 'setLabel'>;
}

export interface ArmGuards {
  /** Watches a model from now on; what comes of its scores is told to the window. */
  watch(model: string): ArmWindow;
  close(): Promise<void>;
}

const lookEveryMs = 1_000;
const looksASlot = armSlotMs / lookEveryMs;

interface Watched {
  readonly window: ArmWindow;
  readonly notices: LogReader;
}

export function createArmGuards(options: ArmGuardsOptions): ArmGuards {
  const { bus, clock, logger, metrics, view, registry } = options;
  const watched = new Map<string, Watched>();
  const takenOut = metrics.counter({
    name: 'mill_experiment_arms_taken_out_total',
    help: 'Arms that a guard has taken out.',
    labels: ['model', 'experiment', 'arm'],
  });
  /** Arms without units at the last look, by name, and what could not be guarded then: told once, not once a second. */
  let without: ReadonlySet<string> = new Set();
  const unguarded = new Set<string>();
  let looks = 0;
  let looking: Promise<void> | null = null;

  const labels = createLabelGuards({
    clock,
    logger,
    versions: options.versions,
    registry: options.labels,
    windowOf: (model) => watched.get(model)?.window,
  });

  const figuresOf = (model: string, name: string, arm: Arm): ArmFigures | null => {
    const parts = [watched.get(model)?.window.figuresOf(name) ?? null];
    // A model of its own is judged where it learns; how scoring goes is told where it is asked.
    if (arm.target.type === 'model' && !arm.shadow)
      parts.push(watched.get(arm.target.model)?.window.figuresOf(name) ?? null);
    const there = parts.filter((part) => part !== null);
    return there.length === 0 ? null : addedFigures(...there);
  };

  /** What it did is over: whoever gives it units again judges it anew. */
  const forget = (model: string, full: string, { target }: Pick<Arm, 'target'>) => {
    for (const where of target.type === 'model' ? [model, target.model] : [model]) {
      const window = watched.get(where)?.window;
      window?.forget(full);
      window?.forget(besideShadow(full));
    }
  };

  /** @param outNow  arms without units; added to. */
  const lookAt = async (model: string, experiment: Experiment, outNow: Set<string>): Promise<void> => {
    const { name, control, guards, arms } = experiment;
    const controlArm = arms.find((arm) => arm.name === control) as Arm;
    const controlFigures = figuresOf(model, armName(model, experiment, controlArm), controlArm);
    const inWindow = (name: string) => watched.get(model)?.window.figuresOf(name) ?? null;
    for (const arm of arms) {
      const full = armName(model, experiment, arm);
      const key = `${model} ${full}`;
      if (shareOf(arm) === 0) {
        outNow.add(key);
        continue;
      }
      if (without.has(key)) forget(model, full, arm);
      // A control that is scored as without the experiment is what there is; any other is held against the live line.
      if (arm.name === control && arm.target.type === 'default' && !arm.shadow) continue;
      const own = figuresOf(model, full, arm);
      if (own === null) continue;
      const against = arm.shadow
        ? inWindow(besideShadow(full))
        : arm.name === control
          ? inWindow(versionArm(0))
          : controlFigures;
      const reason = guardReason(guards, own, against);
      if (reason === null) continue;
      const isNews = (await registry.takeOut(model, name, arm.name, reason)) !== null;
      forget(model, full, arm);
      // Out already: the catalog that says so is still on its way here.
      if (!isNews) continue;
      takenOut.inc({ model, experiment: name, arm: arm.name });
      logger.warn({ model, experiment: name, arm: arm.name, reason }, 'arm taken out by a guard');
    }
  };

  const tried = async (key: string, about: object, work: () => Promise<void>) => {
    try {
      await work();
      unguarded.delete(key);
    } catch (error) {
      if (!unguarded.has(key)) logger.warn({ ...about, reason: reasonFrom(error) }, 'not guarded now');
      unguarded.add(key);
    }
  };

  const lookAtAll = async () => {
    const outNow = new Set<string>();
    for (const model of watched.keys()) {
      await tried(`${model} labels`, { model, what: 'labels' }, () => labels.lookAt(model));
      for (const experiment of view.catalogOf(model).experiments) {
        const { name } = experiment;
        const key = `${model} ${name}/`;
        if (!isRunning(experiment)) unguarded.delete(key);
        else await tried(key, { model, experiment: name }, () => lookAt(model, experiment, outNow));
      }
    }
    without = outNow;
  };

  const onLook = () => {
    timer = clock.setTimer(lookEveryMs, onLook);
    looks += 1;
    if (looks % looksASlot === 0) for (const { window } of watched.values()) window.advance();
    // While a store is out of reach one look waits for it, not one a second.
    looking ??= lookAtAll().finally(() => {
      looking = null;
    });
  };
  let timer = clock.setTimer(lookEveryMs, onLook);

  return {
    watch(model) {
      const window = createArmWindow();
      const notices = bus.onNotice(armsSubject(modelNameFrom(model)), (payload) => {
        try {
          window.noteScoring(decodeArmNotice(payload));
        } catch (error) {
          if (!isMillraceError(error)) throw error;
          logger.warn({ model, reason: error.message }, 'notice of arms passed over');
        }
      });
      watched.set(model, { window, notices });
      return window;
    },
    async close() {
      timer.cancel();
      labels.close();
      await looking;
      for (const { notices } of watched.values()) await notices.close();
    },
  };
}
