/** Settings that every service has. */
import { defineConfig } from './config.ts';
import { choiceSetting, listSetting, textSetting, wholeSetting } from './config-parsers.ts';
import { logLevels } from './logger.ts';

export const commonSettings = defineConfig({
  natsUrl: {
    env: 'MILL_NATS_URL',
    parser: listSetting(textSetting()),
    default: ['nats://127.0.0.1:4222'],
    sentence: 'Addresses of the NATS servers.',
  },
  natsReplicas: {
    env: 'MILL_NATS_REPLICAS',
    parser: wholeSetting({ min: 1, max: 5 }),
    default: 1,
    sentence: 'Copies that a JetStream cluster keeps of each log and bucket; used when they are created.',
  },
  cluster: {
    env: 'MILL_CLUSTER',
    parser: textSetting({ pattern: /^[a-z][a-z0-9-]{0,39}$/, wanted: 'a lower-case name' }),
    default: 'millrace',
    sentence: 'Name of the cluster; a shard refuses callers that name another.',
  },
  zone: {
    env: 'MILL_ZONE',
    parser: textSetting(),
    default: null,
    sentence: 'Where this process runs, in any words; pulls prefer shards in the zone of their caller.',
  },
  logLevel: {
    env: 'MILL_LOG_LEVEL',
    parser: choiceSetting(logLevels),
    default: 'info',
    sentence: 'Least severe level that is logged.',
  },
  heapGrowthPercent: {
    env: 'MILL_HEAP_GROWTH_PERCENT',
    parser: wholeSetting({ min: 0, max: 10_000 }),
    default: 400,
    unit: '%',
    sentence:
      'How much the JavaScript heap may grow over what the last full collection left before the next; 0: as Node.js has it. Rows are not on it.',
  },
  metricsHost: {
    env: 'MILL_METRICS_HOST',
    parser: textSetting(),
    default: '127.0.0.1',
    sentence: 'Address that MILL_METRICS_PORT listens on.',
  },
  metricsPort: {
    env: 'MILL_METRICS_PORT',
    parser: wholeSetting({ min: 0, max: 65_535 }),
    default: 0,
    sentence:
      'Port of /metrics and /health of a shard or updater; 0: none. Inference nodes serve both on their own port.',
  },
});
