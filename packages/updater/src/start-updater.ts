/** The updater process: learns every model of the cluster. */
import { createHedgeCounters, createPullClient, type PullPreferences } from '@millrace/client';
import { openExperiments, watchExperiments } from '@millrace/experiments';
import { type EngineName, importsNet } from '@millrace/model';
import type { LearningCounters } from '@millrace/protocol';
import { openVersionRegistry, watchVersions } from '@millrace/registry';
import {
  type Bus,
  type Clock,
  type Logger,
  type Metrics,
  type Network,
  watchCluster,
} from '@millrace/runtime';
import type { Archive } from '@millrace/snapshot';
import { createArmGuards } from './experiments/arm-guards.ts';
import { addLearningGauges } from './learning-gauges.ts';
import { createMeasureGauges } from './measures/measure-gauges.ts';
import { type ModelUpdater, startModelUpdater } from './model-updater.ts';

export interface UpdaterOptions {
  readonly bus: Bus;
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly cluster: string;
  /** Shown to shards; null: none. Default null. */
  readonly token?: string | null;
  readonly engine: 'auto' | EngineName;
  readonly pullTimeoutMs: number;
  /** Default: as PullPreferences says. */
  readonly pull?: PullPreferences;
  /** Unique to this process. */
  readonly writer: string;
  readonly archive: Archive | null;
  readonly snapshotEveryMs: number;
  readonly snapshotChains: number;
  /** Told as moved beyond it (measures/); absent: nothing is measured. */
  readonly driftAlert?: number;
  readonly onFailed: (error: Error) => void;
}

export interface RunningUpdater {
  counters(): ReadonlyMap<string, LearningCounters>;
  close(): Promise<void>;
}

export async function startUpdater(options: UpdaterOptions): Promise<RunningUpdater> {
  const { bus, clock, logger, cluster } = options;
  const view = await watchCluster(bus, clock, logger, options.pull);
  const rows = createPullClient({
    network: options.network,
    view,
    clock,
    cluster,
    role: 'updater',
    token: options.token ?? null,
    onRefused: ({ code, message }) => logger.warn({ code, reason: message }, 'refused by a shard'),
    requestTimeoutMs: options.pullTimeoutMs,
    ...options.pull,
    onHedge: createHedgeCounters(options.metrics),
  });
  const { driftAlert } = options;
  const measures =
    driftAlert === undefined ? null : { driftAlert, gauges: createMeasureGauges(options.metrics) };
  const experiments = await watchExperiments(bus, logger);
  const versions = await watchVersions(bus, logger);
  const guards = createArmGuards({
    ...options,
    view: experiments,
    registry: await openExperiments(bus, clock),
    versions,
    labels: await openVersionRegistry(bus, clock),
  });
  const arms = { view: experiments, guards };
  const updaters = new Map<string, ModelUpdater>();
  const imported = new Set<string>();
  let reconciling: Promise<void> = Promise.resolve();
  let closed = false;

  const reconcile = () => {
    reconciling = reconciling.then(async () => {
      for (const file of view.models.values()) {
        if (closed || updaters.has(file.name) || imported.has(file.name)) continue;
        if (importsNet(file)) {
          imported.add(file.name);
          logger.info({ model: file.name }, 'imported net: not learned');
          continue;
        }
        updaters.set(
          file.name,
          await startModelUpdater(file, { ...options, rows, measures, experiments: arms, drive: 'timers' }),
        );
      }
    });
    return reconciling;
  };
  addLearningGauges(options.metrics, () => [...updaters.values()].map((updater) => updater.counters));
  const stopListening = view.onChange(() => {
    reconcile().catch(options.onFailed);
  });
  await reconcile();
  logger.info({ models: updaters.size }, 'updater started');

  return {
    counters: () => new Map([...updaters].map(([name, updater]) => [name, updater.counters])),
    async close() {
      closed = true;
      stopListening();
      await reconciling.catch(() => {});
      await Promise.all([...updaters.values()].map((updater) => updater.close()));
      await guards.close();
      await experiments.close();
      await versions.close();
      rows.close();
      await view.close();
    },
  };
}
