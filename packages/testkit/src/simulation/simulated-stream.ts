/** One connection: two ends, each with a queue of what is unsent and a buffer of what came and is not read yet. */
import type { Wire, WireEvents } from '@millrace/runtime';
import type { SimulatedProcess } from './simulated-process.ts';
import { delayOf, type Weather } from './weather.ts';
import type { World } from './world.ts';

/** Looks at the bytes of one connection where the shard reads and writes them. */
export interface WireWatch {
  onRequest(bytes: Uint8Array): void;
  onAnswer(bytes: Uint8Array): void;
}

export interface Stream {
  readonly ended: boolean;
  /** True for a stream of that name's process, and of this very one if it is given. */
  has(name: string, process?: SimulatedProcess): boolean;
  /** True when it joins the two names of a pair, `a b`. */
  joins(pair: string): boolean;
  openClient(events: WireEvents): Wire;
  openServer(process: SimulatedProcess, onConnection: (wire: Wire) => WireEvents, watch: WireWatch): void;
  /** The connection is not made. */
  refuse(reason: string): void;
  /** Both sides find it broken. */
  reset(): void;
  /** One side has died; the other hears of it, or not. */
  bury(process: SimulatedProcess, isSilent: boolean): void;
  /** What waited for the cut between its processes goes on, or breaks. */
  healed(): void;
  onEnded(told: () => void): void;
}

export interface StreamOptions {
  readonly world: World;
  readonly weather: Weather;
  readonly client: SimulatedProcess;
  readonly peer: string;
  readonly isCut: (a: string, b: string) => boolean;
  readonly onEnded: () => void;
}

/** Bytes on their way or not yet read by the other side; more waits as unsent. */
const windowBytes = 64 * 1024;
/** What a shard and a client let wait at most: 32 MiB and one answer. */
const unsentBytesMax = 48 * 1024 * 1024;
const brokenByHealing = 0.3;
/** A peer that is not heard of any more is given up after this. */
const silenceMsMax = 15_000;

interface End {
  readonly process: SimulatedProcess;
  readonly events: WireEvents;
  readonly watch: WireWatch | null;
  /** The first `null` ends this half. */
  readonly queue: ({ readonly bytes: Uint8Array; readonly onSent: (() => void) | undefined } | null)[];
  queuedBytes: number;
  /** Sent and not read by the other side. */
  flyingBytes: number;
  corks: number;
  /** Bytes come and not read; null at its end: the other half has ended. */
  readonly came: (Uint8Array | null)[];
  paused: boolean;
  /** This half takes no more writes. */
  ending: boolean;
  over: boolean;
  lastArrivalMs: number;
  readonly stalled: (() => void)[];
  mustDrain: boolean;
}

export function createStream(options: StreamOptions): Stream {
  const { world, weather, client, isCut } = options;
  const { random } = world;
  const endings: (() => void)[] = [options.onEnded];
  let near: End | null = null;
  let far: End | null = null;
  let ended = false;
  let silent = false;

  const otherOf = (end: End): End | null => (end === near ? far : near);
  const isStalled = () => far !== null && isCut(client.name, far.process.name);

  const endWhenOver = () => {
    if (ended || !near?.over || (far !== null && !far.over)) return;
    ended = true;
    for (const told of endings.splice(0)) told();
  };

  /** The end finds its stream over. */
  const close = (end: End, reason: string | null) => {
    if (end.over) return;
    end.over = true;
    const unsent = end.queue.splice(0);
    end.came.length = 0;
    end.queuedBytes = 0;
    world.after(0, () =>
      end.process.enter(() => {
        for (const entry of unsent) entry?.onSent?.();
        end.events.onClosed(reason);
      }),
    );
    endWhenOver();
  };

  /** Carries `act` to the other end, behind what is on its way to it. */
  const carry = (from: End, act: (to: End) => void) => {
    from.lastArrivalMs = Math.max(
      from.lastArrivalMs,
      world.nowMs + delayOf(random, weather, weather.netDelayMs),
    );
    const arrive = () => {
      const to = otherOf(from);
      if (to === null || to.over || silent) return;
      if (isStalled() || from.stalled.length > 0) from.stalled.push(arrive);
      else act(to);
    };
    world.after(from.lastArrivalMs - world.nowMs, arrive);
  };

  const flush = (end: End) => {
    if (end.corks > 0 || end.over || far === null) return;
    while (end.queue.length > 0 && end.flyingBytes < windowBytes) {
      const entry = end.queue.shift();
      if (!entry) {
        carry(end, (to) => arrived(to, null));
        return;
      }
      const bytes = entry.bytes.slice();
      end.queuedBytes -= bytes.length;
      end.flyingBytes += bytes.length;
      const { onSent } = entry;
      if (onSent) world.after(0, () => end.process.enter(onSent));
      carry(end, (to) => arrived(to, bytes));
    }
    if (end.mustDrain && end.queue.length === 0) {
      end.mustDrain = false;
      world.after(0, () => end.process.enter(() => end.events.onDrain?.()));
    }
  };

  const arrived = (to: End, bytes: Uint8Array | null) => {
    if (weather.broken > 0 && random.chance(weather.broken)) {
      stream.reset();
      return;
    }
    to.came.push(bytes);
    to.process.enter(() => feed(to));
  };

  /** Hands over what came, cut anywhere. */
  const feed = (end: End) => {
    while (!end.over && !end.paused && end.came.length > 0) {
      const bytes = end.came[0];
      if (bytes === null) {
        end.came.shift();
        otherHalfEnded(end);
        return;
      }
      const room = end.events.room();
      const most = Math.min(room.length, bytes.length);
      const taken =
        bytes.length > 1 && random.chance(0.15) ? Math.min(most, 1 + random.whole(bytes.length)) : most;
      room.set(bytes.subarray(0, taken));
      if (taken === bytes.length) end.came.shift();
      else end.came[0] = bytes.subarray(taken);
      const other = otherOf(end);
      if (other !== null) {
        other.flyingBytes -= taken;
        flush(other);
      }
      // What comes after this side has ended its half is dropped.
      if (!end.ending) {
        end.watch?.onRequest(bytes.subarray(0, taken));
        end.events.onFilled(taken);
      }
      if (taken < bytes.length && random.chance(0.5)) {
        world.after(delayOf(random, weather, weather.netDelayMs), () => end.process.enter(() => feed(end)));
        return;
      }
    }
  };

  /** As sockets do: the other half's end ends this one. */
  const otherHalfEnded = (end: End) => {
    const other = otherOf(end);
    if (!end.ending) {
      end.ending = true;
      end.queue.push(null);
      flush(end);
    }
    close(end, null);
    if (other?.ending) carry(end, (to) => close(to, null));
  };

  const wireOf = (end: End, peer: string): Wire => ({
    peer,
    write(bytes, onSent) {
      if (end.over || end.ending) {
        if (onSent) world.after(0, () => end.process.enter(onSent));
        return;
      }
      end.watch?.onAnswer(bytes);
      end.queue.push({ bytes, onSent });
      end.queuedBytes += bytes.length;
      if (end.queuedBytes > 16 * 1024) end.mustDrain = true;
      if (end.queuedBytes > unsentBytesMax)
        world.violate('I7', `${end.process.name} has ${end.queuedBytes} bytes unsent on a connection`);
      if (silent) giveUpLater(end);
      flush(end);
    },
    cork() {
      end.corks += 1;
    },
    uncork() {
      end.corks = Math.max(0, end.corks - 1);
      flush(end);
    },
    get unsentBytes() {
      return end.queuedBytes;
    },
    pause() {
      end.paused = true;
    },
    resume() {
      if (!end.paused) return;
      end.paused = false;
      world.after(0, () => end.process.enter(() => feed(end)));
    },
    end(last) {
      if (end.over || end.ending) return;
      if (last) {
        end.watch?.onAnswer(last);
        end.queue.push({ bytes: last, onSent: undefined });
        end.queuedBytes += last.length;
      }
      end.ending = true;
      end.paused = false;
      end.queue.push(null);
      flush(end);
      world.after(0, () => end.process.enter(() => feed(end)));
    },
    destroy() {
      if (end.over) return;
      close(end, null);
      carry(end, (to) => close(to, 'reset by the other side'));
    },
  });

  const giveUpLater = (end: End) => {
    world.after(silenceMsMax, () => end.process.enter(() => close(end, 'the other side is silent')));
  };

  const stream: Stream = {
    get ended() {
      return ended;
    },
    has: (name, process) =>
      [near, far].some(
        (end) =>
          end !== null &&
          !end.over &&
          end.process.name === name &&
          (process === undefined || end.process === process),
      ),
    joins: (pair) =>
      far !== null && pair.split(' ').includes(client.name) && pair.split(' ').includes(far.process.name),
    openClient(events) {
      near = endOf(client, events, null);
      return wireOf(near, options.peer);
    },
    openServer(process, onConnection, watch) {
      // The port's system takes the connection even while its process is frozen.
      const opened = near;
      if (opened === null || opened.over) return;
      let events: WireEvents | null = null;
      const end = endOf(
        process,
        {
          room: () => (events as WireEvents).room(),
          onFilled: (bytes) => events?.onFilled(bytes),
          onDrain: () => events?.onDrain?.(),
          onClosed: (reason) => events?.onClosed(reason),
        },
        watch,
      );
      far = end;
      process.enter(() => {
        events = onConnection(wireOf(end, client.name));
      });
      world.after(delayOf(random, weather, weather.netDelayMs), () => flush(opened));
    },
    refuse(reason) {
      if (near === null) return;
      const end = near;
      world.after(delayOf(random, weather, weather.netDelayMs), () => {
        close(end, reason);
      });
    },
    reset() {
      for (const end of [near, far]) if (end) close(end, 'connection reset');
    },
    bury(process, isSilent) {
      for (const end of [near, far]) {
        if (end === null || end.process !== process || end.over) continue;
        end.over = true;
        const other = otherOf(end);
        if (other === null || other.over) continue;
        if (isSilent) {
          silent = true;
          if (other.queue.length > 0) giveUpLater(other);
        } else carry(end, (to) => close(to, 'reset by the other side'));
      }
      endWhenOver();
    },
    healed() {
      if (random.chance(brokenByHealing)) {
        stream.reset();
        return;
      }
      for (const end of [near, far]) {
        for (const arrive of end?.stalled.splice(0) ?? []) world.after(0, arrive);
      }
    },
    onEnded(told) {
      if (ended) told();
      else endings.push(told);
    },
  };
  return stream;
}

function endOf(process: SimulatedProcess, events: WireEvents, watch: WireWatch | null): End {
  return {
    process,
    events,
    watch,
    queue: [],
    queuedBytes: 0,
    flyingBytes: 0,
    corks: 0,
    came: [],
    paused: false,
    ending: false,
    over: false,
    lastArrivalMs: 0,
    stalled: [],
    mustDrain: false,
  };
}
