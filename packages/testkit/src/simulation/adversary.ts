/** The harm that is done: to processes, machines, connections, disks, clocks, and to the membership of the cluster. Each ends by itself. */
import {
  decodeGradientBlock,
  encodeGradientBlock,
  gradientsSubject,
  modelNameFrom,
} from '@millrace/protocol';
import type { Host, HostKind, SimulatedCluster } from './simulated-cluster.ts';
import { createSimulatedStore, putBlob, type SimulatedStore } from './simulated-store.ts';
import type { HarmKind } from './weather.ts';

export interface Adversary {
  /** Does one kind of harm. */
  strike(): void;
  /** Undoes what is under way; no more harm is done. */
  relent(): void;
  /** Harm done, by kind. */
  readonly counts: Record<string, number>;
}

export interface Membership {
  readonly shards: number;
  readonly nodes: number;
  readonly updaters: number;
}

export const shardNames = ['shard-a', 'shard-b', 'shard-c', 'shard-d', 'shard-e'];

export function createAdversary(cluster: SimulatedCluster): Adversary {
  const { world, weather, nats, network, hosts, file } = cluster;
  const { random } = world;
  const counts: Record<string, number> = {};
  /** NATS takes every write at once, so one that starts has told its lease before those that are alone have left. */
  const isPrompt = weather.slowChance + weather.refused + weather.unanswered === 0;
  let relented = false;
  let strays = 0;
  /** Folds that a file in the shared store was damaged of. */
  const struck = new Set<string>();

  const running = (kind?: HostKind) =>
    hosts.filter((host) => host.process !== null && (kind === undefined || host.kind === kind));
  const later = (msMin: number, msMax: number, act: () => void) => {
    world.after(msMin + (msMax - msMin) * random.uniform(), () => {
      if (!relented) act();
    });
  };
  const told = (what: string) => world.note(`harm: ${what}`);

  /** What becomes of a dead shard's disk. */
  const touchDisk = (host: Host) => {
    const fate = random.pick(['kept', 'kept', 'empty', 'damaged']);
    if (fate === 'empty') host.disk = createSimulatedStore(host.disk.name, host.disk.onPut);
    if (fate === 'damaged') for (let i = 0; i < 3; i += 1) damageBlob(host.disk);
    if (fate !== 'kept') told(`the disk of ${host.name} is ${fate}`);
  };

  /**
   * One file of a fold in the store that all share is damaged at a time, whichever it is: that much must cost nothing. The
   * next has its turn once two whole full snapshots lie there again.
   */
  const mayBeStruck = (name: string) => {
    const siblings = [...nats.snapshots.blobs].filter(([other]) => foldOf(other) === foldOf(name));
    if (siblings.some(([, { damaged }]) => damaged)) return false;
    return !struck.has(foldOf(name)) || siblings.filter(([other]) => other.endsWith('-full')).length > 1;
  };

  const damageBlob = (store: SimulatedStore) => {
    const isShared = store === nats.snapshots;
    const names = [...store.blobs.keys()].filter((name) => !isShared || mayBeStruck(name));
    if (names.length === 0) return;
    const name = random.pick(names);
    const blob = store.blobs.get(name);
    if (blob === undefined) return;
    if (isShared) struck.add(foldOf(name));
    const how = random.pick(['flipped', 'flipped', 'cut', 'lost']);
    told(`${store.name}/${name} ${how}`);
    if (how === 'lost') {
      store.blobs.delete(name);
      return;
    }
    const bytes = blob.bytes.slice(0, how === 'cut' ? random.whole(blob.bytes.length) : blob.bytes.length);
    if (how === 'flipped' && bytes.length > 0) bytes[random.whole(bytes.length)] ^= 1 << random.whole(8);
    putBlob(store, name, bytes, true);
  };

  const crash = () => {
    const all = running();
    if (all.length === 0) return;
    const victims = random.chance(0.05)
      ? all
      : random.chance(0.15)
        ? [random.pick(all), random.pick(all)]
        : [random.pick(all)];
    for (const host of victims) {
      told(`${host.name} is killed`);
      if (host.kind === 'shard') touchDisk(host);
      cluster.crash(host);
    }
  };

  const freeze = () => {
    const [host] = [random.pick(running())];
    const process = host?.process;
    if (!host || !process || process.frozen) return;
    told(`${host.name} stands still`);
    process.freeze();
    host.harmedMs = world.nowMs;
    later(50, random.pick([300, weather.absenceMsMax]), () => {
      process.thaw();
      host.harmedMs = world.nowMs;
    });
  };

  const cutFromNats = (host: Host | undefined, msMax: number) => {
    const link = host?.link;
    if (!host || !link?.up) return;
    told(`${host.name} is cut off from NATS`);
    link.cut();
    host.harmedMs = world.nowMs;
    later(50, msMax, () => {
      link.heal();
      host.harmedMs = world.nowMs;
    });
  };

  const cutFromProcess = () => {
    const a = random.pick(running().filter(({ kind }) => kind !== 'shard'));
    const b = random.pick(running('shard'));
    if (!a || !b) return;
    told(`${a.name} and ${b.name} are cut off from each other`);
    network.cut(a.name, b.name);
    a.harmedMs = world.nowMs;
    b.harmedMs = world.nowMs;
    later(100, 8_000, () => {
      network.heal(a.name, b.name);
      a.harmedMs = world.nowMs;
      b.harmedMs = world.nowMs;
    });
  };

  const membership = () => {
    const shards = hosts.filter(({ kind, wanted }) => kind === 'shard' && wanted);
    const absent = shardNames.filter((name) => !shards.some((host) => host.name === name));
    const join = (name: string) => {
      told(`${name} joins`);
      cluster.start(cluster.host(name, 'shard'));
    };
    const leave = (host: Host) => {
      told(`${host.name} is to leave`);
      cluster.stop(host);
    };
    // By some that begin at once: one whose process is still leaving would begin when that has ended.
    const replaceAll = () => {
      const isOver = (name: string) => !hosts.some((host) => host.name === name && host.process !== null);
      const fresh = absent.filter(isOver).slice(0, 2);
      if (fresh.length === 0) return;
      fresh.forEach(join);
      for (const host of shards) later(0, 100, () => leave(host));
    };
    const acts = [
      () => isPrompt && replaceAll(),
      () => absent.slice(0, 1).forEach(join),
      () => absent.slice(0, 2).forEach(join),
      () => shards.length > 2 && leave(random.pick(shards)),
      () => shards.length > 3 && shards.slice(0, 2).forEach(leave),
      () => {
        // Another updater takes the model over; sooner or later only one is wanted.
        const name = random.pick(['updater-a', 'updater-b']);
        told(`${name} joins`);
        cluster.start(cluster.host(name, 'updater'));
      },
      () => {
        const updaters = hosts.filter(({ kind, wanted }) => kind === 'updater' && wanted);
        if (updaters.length > 1) leave(random.pick(updaters));
      },
      () => {
        const nodes = hosts.filter(({ kind, wanted }) => kind === 'node' && wanted);
        if (nodes.length > 1) leave(random.pick(nodes));
        else cluster.start(cluster.host(nodes[0]?.name === 'node-a' ? 'node-b' : 'node-a', 'node'));
      },
    ];
    random.pick(acts)();
  };

  const clockJump = () => {
    const host = random.pick(running());
    const ms = Math.round(5_000 * (random.uniform() - 0.5));
    if (!host?.process) return;
    told(`the clock of ${host.name} jumps by ${ms} ms`);
    host.process.jump(ms);
  };

  /** A block that stands in the log already, again or damaged; or one that a stranger sends to the wrong partition. */
  const badBlock = () => {
    const partitions = file.partitions ?? 1;
    const partition = random.whole(partitions);
    const subjectOf = (place: number) => gradientsSubject(modelNameFrom(file.name), place % partitions);
    const good = nats
      .subject('gradients', subjectOf(partition))
      .messages.filter(({ payload }) => isOf(payload, partition));
    if (good.length === 0) return;
    const block = random.pick(good).payload.slice();
    const kind = random.pick(['repeated', 'damaged', 'foreign']);
    told(`a ${kind} block`);
    if (kind === 'foreign') {
      strays += 1;
      const stray = { ...decodeGradientBlock(block), producer: 'stranger', sequence: strays, previous: 0 };
      nats.append('gradients', subjectOf(partition + 1), encodeGradientBlock(stray), undefined);
      return;
    }
    if (kind === 'damaged') block[random.whole(block.length)] ^= 1 + random.whole(255);
    nats.append('gradients', subjectOf(partition), block, undefined);
  };

  const diskFull = () => {
    const stores = [nats.snapshots, ...running('shard').map(({ disk }) => disk)];
    const store = random.pick(stores);
    told(`${store.name} is full`);
    store.writesLeft = random.whole(3);
    later(1_000, 15_000, () => {
      store.writesLeft = Number.POSITIVE_INFINITY;
    });
  };

  const harms: Record<HarmKind, () => void> = {
    crash,
    freeze,
    'cut-from-nats': () =>
      cutFromNats(
        random.pick(running(random.pick(['shard', 'node', 'updater']))),
        random.pick([500, weather.absenceMsMax]),
      ),
    'cut-from-process': cutFromProcess,
    'nats-restart'() {
      const msMax = random.pick([400, 5_000]);
      for (const host of running()) cutFromNats(host, msMax);
    },
    membership,
    damage: () => damageBlob(nats.snapshots),
    'clock-jump': clockJump,
    'bad-block': badBlock,
    'disk-full': diskFull,
  };

  return {
    counts,
    strike() {
      const kinds = [...weather.kinds];
      if (kinds.length === 0 || relented) return;
      const kind = random.pick(kinds);
      counts[kind] = (counts[kind] ?? 0) + 1;
      harms[kind]();
    },
    relent() {
      relented = true;
      network.healAll();
      for (const { process, link, disk } of hosts) {
        process?.thaw();
        link?.heal();
        disk.writesLeft = Number.POSITIVE_INFINITY;
      }
      nats.snapshots.writesLeft = Number.POSITIVE_INFINITY;
    },
  };
}

/** What stands before the last part of a snapshot's path: model, fingerprint and fold. */
function foldOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

/** False for what stands in the log as an earlier piece of harm. */
function isOf(payload: Uint8Array, partition: number): boolean {
  try {
    return decodeGradientBlock(payload).partition === partition;
  } catch {
    return false;
  }
}
