/** `millrace shard`, `millrace inference`, `millrace updater`: one process of a cluster, as a container or a supervisor runs it. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type PullPreferences, pullSettings } from '@millrace/client';
import { inferenceSettings, openTracing, startInference, type Tracing } from '@millrace/inference';
import { MillraceError } from '@millrace/protocol';
import {
  type Access,
  type ConfigOf,
  type ConfigTable,
  commonSettings,
  connectNatsBus,
  createLogger,
  createMetrics,
  createTcpNetwork,
  describeConfig,
  type Logger,
  type Metrics,
  type Network,
  openAccess,
  openKeyFile,
  openOperationsPort,
  readConfig,
  readSecurity,
  readTlsPair,
  runService,
  type Security,
  type Service,
  securitySettings,
  setHeapGrowth,
  systemClock,
  type TlsPair,
  unknownSettings,
} from '@millrace/runtime';
import { shardSettings, startShard } from '@millrace/shard';
import { openArchive, openStores, snapshotSettings } from '@millrace/snapshot';
import { startUpdater, updaterSettings } from '@millrace/updater';
import { Command } from 'commander';
import { advertisedHost } from '../advertised-host.ts';
import { cliSettings } from '../cli-settings.ts';
import { type OpenPorts, securityWarnings } from '../security-warnings.ts';
import { codeText } from '../training/code-version.ts';

/** Every table there is: a MILL_… variable that none of them knows is most likely misspelt. */
export const settingsTables = {
  common: commonSettings,
  security: securitySettings,
  snapshot: snapshotSettings,
  pull: pullSettings,
  shard: shardSettings,
  inference: inferenceSettings,
  updater: updaterSettings,
  cli: cliSettings,
} as const satisfies Record<string, ConfigTable>;

/** Within the 30 s of a whole drain, beside the longest wait for others to take over. */
const shardCloseMsMax = 4_000;

interface Shell {
  readonly service: Service;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly common: ReturnType<typeof readCommon>;
  readonly bus: Awaited<ReturnType<typeof connectNatsBus>>;
  readonly network: Network;
  readonly security: Security;
  /** Shown to shards, and wanted by them. */
  readonly token: string | null;
  /** Who may do what over HTTP. */
  readonly access: Access;
  /** For what fails long after its start: the process ends, and whoever supervises it starts it anew. */
  readonly onFailed: (error: Error) => void;
}

export function shardCommand(): Command {
  return serviceCommand(
    'shard',
    'own partitions: fold their log, answer pulls',
    [snapshotSettings, shardSettings],
    async (shell) => {
      const settings = readConfig(shardSettings, process.env);
      warnAbout(shell, { pulls: settings.host });
      const shard =
        settings.shard ??
        `shard-${hostname()
          .toLowerCase()
          .replaceAll(/[^a-z0-9-]/g, '-')}`.slice(0, 40);
      const snapshots = readConfig(snapshotSettings, process.env);
      const { service, common, bus } = shell;
      const running = await startShard({
        ...shell,
        clock: systemClock,
        cluster: common.cluster,
        shard,
        host: settings.host,
        port: settings.port,
        advertiseHost:
          settings.advertiseHost ?? (await advertisedHost({ host: settings.host, natsUrls: common.natsUrl })),
        zone: common.zone ?? '',
        replicas: settings.replicas,
        minReplicas: settings.minReplicas,
        stores: await openStores(bus, { ...snapshots, ownDirectory: settings.shardDirectory }),
        snapshotEveryMs: snapshots.snapshotEveryMs,
        snapshotChains: snapshots.snapshotChains,
        drainMsMax: settings.drainMsMax,
        connectionsMax: settings.connectionsMax,
      });
      // The wait for others to take over comes before everything that closing does itself.
      service.own('shard', running, { closeMsMax: settings.drainMsMax + shardCloseMsMax });
      await openOperations(shell, () => running.ready);
      tellParent({ ready: true, port: running.port });
    },
  );
}

export function inferenceCommand(): Command {
  return serviceCommand(
    'inference',
    'serve scores over HTTP',
    [pullSettings, snapshotSettings, inferenceSettings],
    async (shell) => {
      const settings = readConfig(inferenceSettings, process.env);
      const tls = await readHttpTls(settings);
      const asksForKeys = shell.access !== openAccess;
      warnAbout(shell, { http: { host: settings.host, asksForKeys, expiresMs: tls?.expiresMs ?? null } });
      const {
        batchRowsMax,
        batchDelayUs,
        queueRowsMax,
        queueDelayMsMax,
        queueDelayMsTarget,
        lanes,
        ...rest
      } = settings;
      const { bus, logger } = shell;
      const tracing = await openSpans(shell, settings);
      const running = await startInference({
        ...shell,
        ...rest,
        httpTls: tls,
        tracing,
        archive: await openArchive(bus, logger, readConfig(snapshotSettings, process.env)),
        clock: systemClock,
        cluster: shell.common.cluster,
        limits: {
          rowsMax: batchRowsMax,
          delayUs: batchDelayUs,
          queueRowsMax,
          queueDelayMsMax,
          queueDelayMsTarget,
          lanes,
        },
        pull: pullPreferences(shell),
        code: codeText,
      });
      shell.service.own('inference', running);
      tellParent({ ready: true, url: running.url });
    },
  );
}

export function updaterCommand(): Command {
  return serviceCommand(
    'updater',
    'join events, learn, publish gradients',
    [pullSettings, snapshotSettings, updaterSettings],
    async (shell) => {
      const settings = readConfig(updaterSettings, process.env);
      warnAbout(shell, {});
      const snapshots = readConfig(snapshotSettings, process.env);
      const running = await startUpdater({
        ...shell,
        ...settings,
        ...snapshots,
        pull: pullPreferences(shell),
        writer: randomUUID(),
        archive: await openArchive(shell.bus, shell.logger, snapshots),
        clock: systemClock,
        cluster: shell.common.cluster,
      });
      shell.service.own('updater', running);
      await openOperations(shell, () => true);
      tellParent({ ready: true });
    },
  );
}

function serviceCommand(
  name: string,
  does: string,
  tables: readonly ConfigTable[],
  start: (shell: Shell) => Promise<void>,
): Command {
  const lines = [commonSettings, securitySettings, ...tables]
    .flatMap(describeConfig)
    .map(
      ({ env, default: standard, unit, sentence }) =>
        `  ${env.padEnd(30)} ${sentence} [${standard}${unit ? ` ${unit}` : ''}]`,
    );
  return new Command(name)
    .description(does)
    .addHelpText('after', `\nSettings:\n${lines.join('\n')}`)
    .action(() => runProcess(name, start));
}

async function runProcess(name: string, start: (shell: Shell) => Promise<void>): Promise<void> {
  const common = readCommon();
  setHeapGrowth(common.heapGrowthPercent);
  const security = await readSecurity(readConfig(securitySettings, process.env), systemClock.now());
  const logger = createLogger({ service: name, level: common.logLevel });
  await runService({
    name,
    logger,
    main: async (service) => {
      const bus = service.own(
        'bus',
        await connectNatsBus({
          servers: common.natsUrl,
          name: `millrace-${name}`,
          logger,
          replicas: common.natsReplicas,
          ...security.nats,
        }),
      );
      await bus.ensure();
      const metrics = createMetrics({ service: name, withProcess: true });
      const onFailed = (error: Error) => service.background(Promise.reject(error), name);
      const access = await openKeys(service);
      const network = createTcpNetwork({ tls: security.tls });
      const { token } = security;
      await start({ service, logger, metrics, common, bus, network, security, access, token, onFailed });
    },
  });
}

function pullPreferences({ common }: Shell): PullPreferences {
  return { ...readConfig(pullSettings, process.env), zone: common.zone ?? '' };
}

function warnAbout({ security, logger }: Shell, ports: OpenPorts): void {
  const warnings = securityWarnings(security, { ...ports, nowMs: systemClock.now() });
  for (const { what, fields } of warnings) logger.warn(fields, what);
}

/** What the HTTP port shows; null: it speaks plain HTTP. */
function readHttpTls({
  httpTlsCert,
  httpTlsKey,
}: ConfigOf<typeof inferenceSettings>): Promise<TlsPair | null> {
  const { httpTlsCert: cert, httpTlsKey: key } = inferenceSettings;
  const files = {
    cert: { setting: cert.env, path: httpTlsCert },
    key: { setting: key.env, path: httpTlsKey },
  };
  return readTlsPair(files, systemClock.now());
}

/** Closed after the ports are, so that the last requests are told; null: nothing is traced. */
async function openSpans(
  { service, logger, common }: Shell,
  { otelUrl: url, otelRatio: ratio }: ConfigOf<typeof inferenceSettings>,
): Promise<Tracing | null> {
  if (url === null) return null;
  return service.own('spans', await openTracing({ url, ratio, cluster: common.cluster, logger }));
}

/** Keys of the file that is set; without one everybody may do everything. */
async function openKeys(service: Service): Promise<Access> {
  const { apiKeysFile: path } = readConfig(securitySettings, process.env);
  if (path === null) return openAccess;
  const { logger } = service;
  const { env: setting } = securitySettings.apiKeysFile;
  return service.own('api keys', await openKeyFile({ setting, path, clock: systemClock, logger }));
}

function readCommon() {
  const unknown = unknownSettings(Object.values(settingsTables), process.env);
  if (unknown.length > 0) {
    throw new MillraceError(
      'MILL_CONFIG_INVALID',
      `no setting is named ${unknown.join(', ')}; docs/configuration.md lists them`,
    );
  }
  return readConfig(commonSettings, process.env);
}

async function openOperations(shell: Shell, isReady: () => boolean): Promise<void> {
  const { common, metrics, logger, service, access } = shell;
  if (common.metricsPort === 0) return;
  const port = await openOperationsPort({
    host: common.metricsHost,
    port: common.metricsPort,
    metrics,
    logger,
    access,
    isReady,
  });
  service.own('operations port', port);
}

/** A supervisor that holds a channel learns that the process is up. */
function tellParent(message: Record<string, unknown>): void {
  process.send?.(message);
}
