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
  watch(model: string): Pick<ArmWindow, 'noteExample'>;
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

  const lookAt = async (model: string, experiment: Experiment): Promise<void> => {
    const { name, control, guards, arms } = experiment;
    const controlArm = arms.find((arm) => arm.name === control) as Arm;
    const controlFigures = figuresOf(model, armName(model, experiment, controlArm), controlArm);
    const inWindow = (name: string) => watched.get(model)?.window.figuresOf(name) ?? null;
    for (const arm of arms) {
      // A control that is scored as without the experiment is what there is; any other is held against the live line.
      if ((arm.name === control && arm.target.type === 'default' && !arm.shadow) || shareOf(arm) === 0)
        continue;
      const full = armName(model, experiment, arm);
      const own = figuresOf(model, full, arm);
      if (own === null) continue;
      const against = arm.shadow
        ? inWindow(besideShadow(full))
        : arm.name === control
          ? inWindow(versionArm(0))
          : controlFigures;
      const reason = guardReason(guards, own, against);
      if (reason === null) continue;
      await registry.takeOut(model, name, arm.name, reason);
      takenOut.inc({ model, experiment: name, arm: arm.name });
      logger.warn({ model, experiment: name, arm: arm.name, reason }, 'arm taken out by a guard');
    }
  };

  const lookAtAll = async () => {
    for (const model of watched.keys()) {
      await labels.lookAt(model).catch((error: unknown) => {
        logger.warn({ model, reason: reasonFrom(error) }, 'labels not guarded now');
      });
      for (const experiment of view.catalogOf(model).experiments) {
        if (!isRunning(experiment)) continue;
        try {
          await lookAt(model, experiment);
        } catch (error) {
          const { name } = experiment;
          logger.warn({ model, experiment: name, reason: reasonFrom(error) }, 'experiment not guarded now');
        }
      }
    }
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
