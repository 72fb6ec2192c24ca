export {
  type Access,
  createKeyedAccess,
  type KeyedAccess,
  type Need,
  openAccess,
  type RequestFacts,
  shownKeyFrom,
  type Verdict,
} from './access.ts';
export {
  type ApiKey,
  apiKeysFrom,
  apiKeysMax,
  hashOfKey,
  isRate,
  isRole,
  type Role,
  roles,
} from './api-keys.ts';
export { type BlobSight, type BlobStore, isBlobName } from './blob-store.ts';
export type * from './bus.ts';
export {
  type Clock,
  createManualClock,
  type ManualClock,
  systemClock,
  type Timer,
} from './clock.ts';
export { type ClusterView, type ClusterViewOptions, type ShardSight, watchCluster } from './cluster-view.ts';
export { commonSettings } from './common-settings.ts';
export {
  type ConfigOf,
  type ConfigRow,
  type ConfigTable,
  defineConfig,
  describeConfig,
  type Environment,
  readConfig,
  type Setting,
  unknownSettings,
} from './config.ts';
export {
  choiceSetting,
  flagSetting,
  listSetting,
  type NumberRange,
  numberSetting,
  type SettingParser,
  type TextShape,
  textSetting,
  wholeSetting,
} from './config-parsers.ts';
export { createDirectoryBlobs } from './directory-blobs.ts';
export { setHeapGrowth } from './heap-growth.ts';
export { type KeyFile, type KeyFileOptions, openKeyFile } from './key-file.ts';
export { createLogger, type Logger, type LoggerOptions, type LogLevel, logLevels } from './logger.ts';
export { createMemoryBlobs } from './memory-blobs.ts';
export { createMemoryBus, type MemoryBus, type MemoryBusOptions } from './memory-bus.ts';
export {
  type Counter,
  createMetrics,
  type Gauge,
  type Histogram,
  type HistogramOptions,
  type MetricOptions,
  type Metrics,
  type MetricsOptions,
} from './metrics.ts';
export { connectNatsBus, type NatsBusOptions } from './nats-bus.ts';
export type { NatsCredentials, NatsTls } from './nats-connection.ts';
export {
  type NatsClusterOptions,
  type NatsProcess,
  type NatsProcessOptions,
  spawnNatsServer,
} from './nats-process.ts';
export type * from './network.ts';
export { type OperationsPort, type OperationsPortOptions, openOperationsPort } from './operations-port.ts';
export { type ProcessHost, type RunOptions, runService } from './run-service.ts';
export { readSecurity, type Security } from './security.ts';
export { securitySettings } from './security-settings.ts';
export { type Closeable, createService, type Service, type ServiceOptions } from './service.ts';
export { createTcpNetwork, type TcpNetworkOptions } from './tcp-network.ts';
export {
  readTlsAuthority,
  readTlsIdentity,
  readTlsPair,
  type TlsFile,
  type TlsIdentity,
  type TlsPair,
} from './tls-files.ts';
export { shardCertificateName } from './tls-sockets.ts';
