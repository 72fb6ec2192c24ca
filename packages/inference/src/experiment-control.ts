/**
 * Experiments as the faces ask for them: changes are written for every node and answered once this one acts on them; what is
 * told comes of the sums that updaters keep and of what nodes tell of scoring.
 */
import {
  type ArmWindow,
  armSlotMs,
  createArmWindow,
  type ExperimentRegistry,
  type ExperimentsView,
  experimentFrom,
  experimentIn,
  openSums,
  reportOn,
} from '@millrace/experiments';
import {
  type ArmTarget,
  armsSubject,
  decodeArmNotice,
  decodeExperimentSums,
  type ExperimentCatalog,
  type ExperimentReport,
  type ExperimentSums,
  isMillraceError,
  modelNameFrom,
} from '@millrace/protocol';
import type { Bus, Clock, Logger, LogReader } from '@millrace/runtime';
import { untilSeen } from './own-write.ts';
import type { ServedModel } from './served-model.ts';
import type { VersionControl } from './version-control.ts';

/** Every method throws MILL_MODEL_UNKNOWN, MILL_LOG_UNAVAILABLE and MILL_EXPERIMENT_UNKNOWN. */
export interface ExperimentControl {
  /** In the order they were started, ended ones too. */
  list(model: string): Promise<readonly ExperimentReport[]>;
  report(model: string, name: string): Promise<ExperimentReport>;
  /**
   * Versions that arms name are loaded on every node first.
   * @param spec  of any shape. @throws MILL_EXPERIMENT_INVALID, and for arms' targets MILL_VERSION_UNKNOWN, MILL_NOT_READY
   */
  start(model: string, spec: unknown): Promise<ExperimentReport>;
  /** Versions of arms that get units are loaded first. @throws MILL_EXPERIMENT_INVALID, and as start for targets */
  setShares(
    model: string,
    name: string,
    shares: Readonly<Record<string, unknown>>,
    reason?: string,
  ): Promise<ExperimentReport>;
  /** @throws MILL_EXPERIMENT_INVALID */
  stop(model: string, name: string, keep: string | null, reason?: string): Promise<ExperimentReport>;
}

export interface WatchingControl extends ExperimentControl {
  /** Listens to what nodes tell of a model's arms. */
  watch(model: string): void;
  close(): Promise<void>;
}

export interface ExperimentControlOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: () => Promise<ExperimentRegistry>;
  readonly view: () => Promise<ExperimentsView>;
  readonly versions: Pick<VersionControl, 'load'>;
  readonly modelNamed: (model: string) => ServedModel;
}

export function createExperimentControl(options: ExperimentControlOptions): WatchingControl {
  const { bus, clock, logger, versions, modelNamed } = options;
  const windows = new Map<string, ArmWindow>();
  const notices: LogReader[] = [];
  const onSlot = () => {
    for (const window of windows.values()) window.advance();
    timer = clock.setTimer(armSlotMs, onSlot);
  };
  let timer = clock.setTimer(armSlotMs, onSlot);

  const reports = async (catalog: ExperimentCatalog): Promise<ExperimentReport[]> => {
    const { model, experiments } = catalog;
    const targets = experiments.flatMap(({ arms }) => arms.map(({ target }) => target));
    const models = targets.flatMap((target) => (target.type === 'model' ? [target.model] : []));
    const sums = openSums(await readSums(bus, [...new Set([model, ...models])]));
    const scoring = windows.get(model)?.scoring() ?? new Map();
    return experiments.map((experiment) => reportOn(catalog, experiment, sums, scoring));
  };
  const reportIn = async (catalog: ExperimentCatalog, name: string): Promise<ExperimentReport> => {
    const experiment = experimentIn(catalog, name);
    const [report] = await reports({ ...catalog, experiments: [experiment] });
    return report;
  };

  /** Makes a change and waits until this node has seen it. */
  const changed = async (
    model: string,
    name: string,
    change: (registry: ExperimentRegistry) => Promise<ExperimentCatalog>,
  ): Promise<ExperimentReport> => {
    modelNamed(model);
    const catalog = await change(await options.registry());
    const { changes } = experimentIn(catalog, name);
    const view = await options.view();
    await untilSeen(view, clock, model, () => {
      const found = view.catalogOf(model).experiments.find((one) => one.name === name);
      return found !== undefined && found.changes.length >= changes.length;
    });
    return reportIn(catalog, name);
  };

  const makeReady = async (model: string, target: ArmTarget) => {
    if (target.type === 'version') await versions.load(model, target.version);
    if (target.type === 'label') modelNamed(model).versions.route({ label: target.label });
    if (target.type === 'model') modelNamed(target.model);
  };

  return {
    async list(model) {
      modelNamed(model);
      return reports(await (await options.registry()).catalogOf(model));
    },
    async report(model, name) {
      modelNamed(model);
      return reportIn(await (await options.registry()).catalogOf(model), name);
    },
    async start(model, spec) {
      const wanted = experimentFrom(withModel(spec, model));
      modelNamed(model);
      for (const { target } of wanted.arms) await makeReady(model, target);
      return changed(model, wanted.name, (registry) => registry.start(withModel(spec, model)));
    },
    async setShares(model, name, shares, reason) {
      modelNamed(model);
      const { arms } = experimentIn(await (await options.registry()).catalogOf(model), name);
      // One that had no units may have been unloaded meanwhile.
      for (const { name: arm, target } of arms) if (Number(shares[arm]) > 0) await makeReady(model, target);
      return changed(model, name, (registry) => registry.setShares(model, name, shares, reason));
    },
    stop: (model, name, keep, reason) =>
      changed(model, name, (registry) => registry.stop(model, name, keep, reason)),
    watch(model) {
      const window = createArmWindow();
      windows.set(model, window);
      notices.push(
        bus.onNotice(armsSubject(modelNameFrom(model)), (payload) => {
          try {
            window.noteScoring(decodeArmNotice(payload));
          } catch (error) {
            if (!isMillraceError(error)) throw error;
            logger.warn({ model, reason: error.message }, 'notice of arms passed over');
          }
        }),
      );
    },
    async close() {
      timer.cancel();
      for (const reader of notices) await reader.close();
    },
  };
}

/** The address names the model already; one in the body must agree. */
function withModel(spec: unknown, model: string): unknown {
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) return spec;
  return { model, ...spec };
}

async function readSums(bus: Bus, models: readonly string[]): Promise<ExperimentSums[]> {
  const kv = await bus.kv('results');
  const entries = await Promise.all(models.map((model) => kv.get(model)));
  return entries.flatMap((entry) => (entry === null ? [] : [decodeExperimentSums(entry.value)]));
}
