export { auditOf, countsOfRequests, storedIn } from './chaos/audit.ts';
export { auditBlockChains } from './chaos/block-chains.ts';
export { type ChaosLoad, startChaosLoad } from './chaos/chaos-load.ts';
export { type ChaosReport, faultsOf } from './chaos/chaos-report.ts';
export { compareOwners } from './chaos/owner-states.ts';
export { type ChaosOptions, type ChaosSight, runChaos } from './chaos/run-chaos.ts';
export { settledEvents } from './chaos/settle.ts';
export { type Wholeness, watchWholeness } from './chaos/wholeness.ts';
export { type Counted, countFrom, countingKeys, countingModel, countsOf } from './counting-model.ts';
export { type EventuallyOptions, eventually, pause } from './eventually.ts';
export {
  type ClusterSight,
  type LocalClusterFixture,
  type LocalClusterOptions,
  type ProcessName,
  type ProcessSight,
  type ServiceName,
  type StopResult,
  startLocalCluster,
} from './local-cluster-fixture.ts';
export { startNatsCluster, type TestNatsCluster } from './nats-cluster.ts';
export { freePort, startNatsServer, type TestNatsServer, type TestNatsServerOptions } from './nats-server.ts';
export { foldDense, foldGradients, type LogFold, readEvents } from './read-log.ts';
export {
  type CommandOptions,
  type CommandResult,
  runMillrace,
  startMillrace,
  textOf,
} from './run-millrace.ts';
export { type FailedSeed, failedSeeds } from './simulation/failed-seeds.ts';
export {
  type SimulationOptions,
  type SimulationReport,
  simulate,
} from './simulation/simulation.ts';
export { simulationModels } from './simulation/simulation-models.ts';
export {
  type LoadFailure,
  type LoadResult,
  type SteadyLoad,
  type SteadyLoadOptions,
  startSteadyLoad,
} from './steady-load.ts';
