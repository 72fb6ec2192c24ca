/**
 * A cluster of production code: shards, inference nodes and updaters, each with its own view of NATS, network, clock and
 * disk. A process that ends by itself is started again, as a supervisor would; who is to run is the simulation's to say.
 */
import { createScoringCore, type ScoringCore } from '@millrace/inference';
import { decodeShardLease, isMillraceError, type ModelFile, reasonFrom } from '@millrace/protocol';
import { type Bus, createLogger, createMetrics, type Logger, watchCluster } from '@millrace/runtime';
import { type RunningShard, startShard } from '@millrace/shard';
import { createArchive } from '@millrace/snapshot';
import { type RunningUpdater, startUpdater } from '@millrace/updater';
import { createNatsLink, type NatsLink } from './nats-link.ts';
import { openNodeRows } from './node-rows.ts';
import { createProcessBlobs } from './process-blobs.ts';
import { createProcessBus } from './process-bus.ts';
import { createSimulatedNats, type SimulatedNats } from './simulated-nats.ts';
import { createSimulatedNetwork, type SimulatedNetwork } from './simulated-network.ts';
import { createSimulatedProcess, type SimulatedProcess } from './simulated-process.ts';
import { createSimulatedStore, type SimulatedStore } from './simulated-store.ts';
import { type Truth, tellTruth } from './truth.ts';
import type { Weather } from './weather.ts';
import type { World } from './world.ts';

export type HostKind = 'shard' | 'node' | 'updater';

export interface NodeUnit {
  readonly core: ScoringCore;
  close(): Promise<void>;
}

/** A machine: what runs there now, and its disk. */
export interface Host {
  readonly name: string;
  readonly kind: HostKind;
  process: SimulatedProcess | null;
  link: NatsLink | null;
  disk: SimulatedStore;
  shard: RunningShard | null;
  node: NodeUnit | null;
  updater: RunningUpdater | null;
  /** True while it is to run; a process that ended is started again then. */
  wanted: boolean;
  /** True from the beginning of an orderly end. */
  leaving: boolean;
  /** True once it has ended in order, and has handed over what it held. */
  left: boolean;
  starts: number;
  /** When harm was done to it last, virtual ms. */
  harmedMs: number;
  /** No start before this, virtual ms. */
  restsUntilMs: number;
  /** Folds that its process has read snapshots of. */
  readonly restored: Set<string>;
}

export interface ClusterSettings {
  readonly replicas: number;
  readonly minReplicas: number;
  readonly snapshotEveryMs: number;
  readonly snapshotChains: number;
  readonly hasSharedStore: boolean;
  readonly hasOwnDisks: boolean;
  readonly batchDelayUs: number;
  readonly lanes: number;
  readonly queueRowsMax: number;
  readonly swapEveryMs: number;
  readonly pullTimeoutMs: number;
  readonly drainMsMax: number;
  /** Rows of each table that nodes keep; 0: none. */
  readonly cacheRows: number;
  readonly cacheStalenessMsMax: number;
}

export interface SimulatedCluster {
  readonly world: World;
  readonly weather: Weather;
  readonly nats: SimulatedNats;
  readonly network: SimulatedNetwork;
  readonly truth: Truth;
  readonly file: ModelFile;
  readonly settings: ClusterSettings;
  readonly hosts: readonly Host[];
  /** How often what was logged: snapshots written, partitions restored, … */
  readonly figures: Readonly<Record<string, number>>;
  /** A host of that name, made when there is none. */
  host(name: string, kind: HostKind): Host;
  /** Starts its process; nothing happens when it runs. */
  start(host: Host): void;
  /** Ends it in order; it is killed when that takes too long. */
  stop(host: Host): void;
  /** Kills it. It comes back if it is wanted. */
  crash(host: Host): void;
  /** Told of each shard that has ended in order and in time. */
  onLeft: (shard: string) => void;
  /** Told of each snapshot that was put into any store, or damaged there. */
  onBlob: (store: SimulatedStore, name: string) => void;
  /** What a process that is no part of the cluster sees of it. */
  visitor(name: string): { readonly process: SimulatedProcess; readonly link: NatsLink; readonly bus: Bus };
}

/** A supervisor waits so long, at most, before it starts a process again. */
const restartMsMax = 1_500;
/** A second updater waits longer, or two would take the model from each other for ever. */
const fencedMs = 8_000;
/** Longer than any drain that is configured here. */
const killAfterMs = 25_000;
/** What may end a process: it starts again, and nothing is lost. */
const endings = new Set(['backoff', 'same', 'refresh-map']);

/** Lines of the log whose number says what a run has met. */
const told = [
  ['"msg":"snapshot written"', 'snapshots'],
  ['"msg":"dense snapshot written"', 'snapshots'],
  ['"msg":"snapshot passed over"', 'damagedSnapshots'],
  ['"msg":"partitions restored"', 'restores'],
  ['"msg":"dense weights restored"', 'restores'],
  ['"msg":"partition map changed"', 'maps'],
  ['"msg":"partitions released"', 'released'],
] as const;

export interface ClusterOptions {
  readonly world: World;
  readonly weather: Weather;
  readonly file: ModelFile;
  readonly settings: ClusterSettings;
  readonly onLog?: (line: string) => void;
}

export function openSimulatedCluster(options: ClusterOptions): SimulatedCluster {
  const { world, weather, file, settings } = options;
  const { random } = world;
  const nats = createSimulatedNats(world);
  const network = createSimulatedNetwork(world, weather);
  const truth = tellTruth(file, nats, world);
  const hosts: Host[] = [];

  const figures: Record<string, number> = {};
  const count = (what: string, by = 1) => {
    figures[what] = (figures[what] ?? 0) + by;
  };

  const loggerOf = (name: string): Logger =>
    createLogger({
      service: name,
      level: options.onLog ? 'debug' : 'info',
      destination: {
        write(line) {
          options.onLog?.(line);
          for (const [text, what] of told) if (line.includes(text)) count(what);
          if (line.includes('"msg":"log lacks a block"'))
            world.violate('I3', `${name} took a block for missing that the log has`);
          if (line.includes('"msg":"partition cannot be restored"'))
            world.violate('I3', `${name} finds neither snapshot nor log for a partition`);
        },
      },
    });

  const failed = (host: Host, process: SimulatedProcess, error: unknown) => {
    if (!process.alive) return;
    const code = isMillraceError(error) ? error.code : reasonFrom(error);
    world.note(`${host.name} failed: ${code}`);
    const isFenced = code === 'MILL_FENCED';
    if (!isFenced && !(isMillraceError(error) && endings.has(error.retry)))
      world.violate(
        'defect',
        `${host.name} failed: ${error instanceof Error ? error.stack : reasonFrom(error)}`,
      );
    if (isFenced) host.restsUntilMs = world.nowMs + fencedMs;
    process.kill();
  };

  const died = (host: Host, process: SimulatedProcess) => {
    if (host.process !== process) return;
    host.process = null;
    host.link = null;
    host.shard = null;
    host.node = null;
    host.updater = null;
    world.note(`${host.name} died`);
    if (!host.left) host.harmedMs = world.nowMs;
    world.after(Math.max(host.restsUntilMs - world.nowMs, 50 + restartMsMax * random.uniform()), () => {
      if (host.wanted) cluster.start(host);
    });
  };

  /** What every kind of process gets. */
  const surroundings = (host: Host, process: SimulatedProcess, link: NatsLink) => {
    const bus = createProcessBus(link, nats);
    const onRead = (path: string) => host.restored.add(path.split('/')[2]);
    const own = {
      name: 'own',
      blobs: createProcessBlobs({ process, weather, store: host.disk, link: null, onRead }),
    };
    const shared = {
      name: 'shared',
      blobs: createProcessBlobs({ process, weather, store: nats.snapshots, link, onRead }),
    };
    const logger = loggerOf(host.name);
    const sharedStores = settings.hasSharedStore ? [shared] : [];
    return {
      bus,
      network: network.of(process),
      clock: process.clock,
      logger,
      metrics: createMetrics({ service: host.name }),
      cluster: 'simulation',
      engine: 'plain' as const,
      pullTimeoutMs: settings.pullTimeoutMs,
      stores: host.kind === 'shard' && settings.hasOwnDisks ? [own, ...sharedStores] : sharedStores,
      archive: settings.hasSharedStore
        ? createArchive({
            stores: [shared],
            onDamaged: (_store, path) => world.note(`${host.name} passed over ${path}`),
          })
        : null,
      snapshotEveryMs: settings.snapshotEveryMs,
      snapshotChains: settings.snapshotChains,
      onFailed: (error: Error) => failed(host, process, error),
    };
  };
  type Surroundings = ReturnType<typeof surroundings>;

  const startNode = async (around: Surroundings, name: string): Promise<NodeUnit> => {
    const { bus, clock, logger } = around;
    const view = await watchCluster(bus, clock, logger);
    const { rows, close } = openNodeRows({
      ...around,
      view,
      settings,
      onHits: (hits) => count('cacheHits', hits),
    });
    let requests = 0;
    const core = createScoringCore({
      ...around,
      view,
      rows,
      limits: {
        rowsMax: 16,
        delayUs: settings.batchDelayUs,
        queueRowsMax: settings.queueRowsMax,
        lanes: settings.lanes,
      },
      swapEveryMs: settings.swapEveryMs,
      newRequestId: () => {
        requests += 1;
        return `${name}-${requests}`;
      },
    });
    const stopListening = view.onChange(() => {
      core.reconcile().catch(around.onFailed);
    });
    await core.reconcile();
    return {
      core,
      async close() {
        stopListening();
        await core.close();
        await close();
        await view.close();
      },
    };
  };

  const run = async (host: Host, around: Surroundings, process: SimulatedProcess) => {
    const id = `${host.name}-${host.starts}`;
    if (host.kind === 'shard') {
      const { replicas, minReplicas, drainMsMax } = settings;
      const running = await startShard({
        ...around,
        shard: host.name,
        host: host.name,
        port: 0,
        advertiseHost: host.name,
        zone: '',
        replicas,
        minReplicas,
        drainMsMax,
        connectionsMax: 32,
      });
      if (process.alive) host.shard = running;
    } else if (host.kind === 'node') {
      const running = await startNode(around, id);
      if (process.alive) host.node = running;
    } else {
      const running = await startUpdater({ ...around, writer: id });
      if (process.alive) host.updater = running;
    }
    world.note(`${host.name} runs`);
  };

  nats.snapshots.onPut = (store, name) => cluster.onBlob(store, name);
  const cluster: SimulatedCluster = {
    world,
    weather,
    nats,
    network,
    truth,
    file,
    settings,
    hosts,
    figures,
    onLeft: () => undefined,
    onBlob: () => undefined,
    host(name, kind) {
      const known = hosts.find((host) => host.name === name);
      if (known) return known;
      const host: Host = {
        name,
        kind,
        process: null,
        link: null,
        disk: createSimulatedStore(`disk of ${name}`, (store, blob) => cluster.onBlob(store, blob)),
        shard: null,
        node: null,
        updater: null,
        wanted: false,
        leaving: false,
        left: false,
        starts: 0,
        harmedMs: Number.NEGATIVE_INFINITY,
        restsUntilMs: 0,
        restored: new Set(),
      };
      hosts.push(host);
      return host;
    },
    start(host) {
      host.wanted = true;
      if (host.process !== null) return;
      host.leaving = false;
      host.left = false;
      host.starts += 1;
      host.restored.clear();
      const process = createSimulatedProcess({
        name: host.name,
        world,
        clockRate: weather.kinds.has('clock-jump') ? 0.95 + 0.1 * random.uniform() : 1,
      });
      const link = createNatsLink(process, weather);
      host.process = process;
      host.link = link;
      process.onKill(() => died(host, process));
      world.note(`${host.name} starts`);
      run(host, surroundings(host, process, link), process).catch((error: unknown) =>
        failed(host, process, error),
      );
    },
    stop(host) {
      host.wanted = false;
      const { process, leaving } = host;
      if (process === null || leaving) return;
      const unit = host.shard ?? host.node ?? host.updater;
      if (unit === null) {
        process.kill();
        return;
      }
      host.leaving = true;
      const leavesMs = world.nowMs;
      world.note(`${host.name} leaves`);
      const overdue = world.after(killAfterMs, () => {
        if (!process.alive) return;
        const isHarmed = process.frozen || world.nowMs - process.troubledMs < killAfterMs;
        if (!isHarmed) world.violate('liveness', `${host.name} did not end within ${killAfterMs} ms`);
        process.kill();
      });
      process.enter(() => {
        unit.close().then(
          () => {
            overdue.cancel();
            host.left = world.nowMs - leavesMs < settings.drainMsMax;
            if (host.left && host.kind === 'shard') cluster.onLeft(host.name);
            world.note(`${host.name} left`);
            process.kill();
          },
          (error: unknown) => failed(host, process, error),
        );
      });
    },
    crash(host) {
      host.process?.kill();
    },
    visitor(name) {
      const process = createSimulatedProcess({ name, world, clockRate: 1 });
      const link = createNatsLink(process, weather);
      return { process, link, bus: createProcessBus(link, nats) };
    },
  };
  return cluster;
}

/** Address that a shard's newest lease tells, null when there is none. */
export function addressOf(nats: SimulatedNats, shard: string): { host: string; port: number } | null {
  const value = nats.bucket('shards').values.get(shard)?.value;
  if (!value) return null;
  const { host, port } = decodeShardLease(value);
  return { host, port };
}
