/**
 * Byte streams between simulated processes. Bytes of one direction arrive in order, late and cut anywhere; connections do not
 * wait for each other. Two processes that are cut off from each other hear nothing, and what was on its way waits for the
 * cut to heal, if the connection lives that long. A process that dies resets its connections, or is not heard of again.
 */
import type { ListenOptions, Network, WireAddress, WireEvents } from '@millrace/runtime';
import type { SimulatedProcess } from './simulated-process.ts';
import { createStream, type Stream, type WireWatch } from './simulated-stream.ts';
import { delayOf, type Weather } from './weather.ts';
import type { World } from './world.ts';

export interface SimulatedNetwork {
  /** What a process sees of it. */
  of(process: SimulatedProcess): Network;
  cut(a: string, b: string): void;
  heal(a: string, b: string): void;
  healAll(): void;
  isCut(a: string, b: string): boolean;
  /** Breaks a random connection; both sides hear of it. */
  breakOne(): void;
  /** Looks at every connection as its shard end sees it. */
  watch: (shard: SimulatedProcess) => WireWatch;
  /** Connections that `name` has open or half open. */
  openOf(name: string): number;
}

interface Listener {
  readonly process: SimulatedProcess;
  readonly options: ListenOptions;
  readonly streams: Set<Stream>;
  closed: boolean;
  emptied: (() => void) | null;
}

const connectMsMax = 10_000;
const connectAgainMs = 1_000;
/** Of a process of the simulation: every other one twice, and a few that are being let go. */
const openMax = 24;
/** Of all deaths, those that nobody is told of. */
const silentDeaths = 0.2;

export function createSimulatedNetwork(world: World, weather: Weather): SimulatedNetwork {
  const { random } = world;
  const listeners = new Map<string, Listener>();
  const streams = new Set<Stream>();
  const cuts = new Set<string>();
  let lastPort = 40_000;

  const pairOf = (a: string, b: string) => (a < b ? `${a} ${b}` : `${b} ${a}`);
  const isCut = (a: string, b: string) => cuts.has(pairOf(a, b));
  const openOf = (name: string) => [...streams].filter((stream) => stream.has(name)).length;

  const mourn = (process: SimulatedProcess) => {
    for (const [address, listener] of listeners) if (listener.process === process) listeners.delete(address);
    const isSilent = random.chance(silentDeaths);
    for (const stream of [...streams]) if (stream.has(process.name, process)) stream.bury(process, isSilent);
  };

  const connect = (process: SimulatedProcess, { host, port }: WireAddress, events: WireEvents) => {
    const stream = createStream({
      world,
      weather,
      client: process,
      peer: `${host}:${port}`,
      isCut,
      onEnded: () => streams.delete(stream),
    });
    streams.add(stream);
    if (openOf(process.name) > openMax)
      world.violate('I7', `${process.name} has more than ${openMax} connections open`);
    const wire = stream.openClient(events);
    const began = world.nowMs;
    const tryToOpen = () => {
      if (stream.ended || !process.alive) return;
      if (isCut(process.name, host)) {
        if (world.nowMs - began > connectMsMax) stream.refuse('connecting took too long');
        else world.after(connectAgainMs, tryToOpen);
        return;
      }
      const listener = listeners.get(`${host}:${port}`);
      if (listener === undefined || listener.closed) {
        stream.refuse('connection refused');
        return;
      }
      accept(stream, listener);
    };
    world.after(delayOf(random, weather, weather.netDelayMs), tryToOpen);
    return wire;
  };

  const accept = (stream: Stream, listener: Listener) => {
    const { process, options } = listener;
    if (listener.streams.size >= options.connectionsMax) {
      stream.refuse('turned away');
      return;
    }
    listener.streams.add(stream);
    stream.onEnded(() => {
      listener.streams.delete(stream);
      if (listener.streams.size === 0) listener.emptied?.();
    });
    stream.openServer(process, options.onConnection, network.watch(process));
  };

  const listen = async (process: SimulatedProcess, options: ListenOptions) => {
    await process.sleep(0.1);
    lastPort += 1;
    const port = options.port === 0 ? lastPort : options.port;
    const listener: Listener = { process, options, streams: new Set(), closed: false, emptied: null };
    listeners.set(`${process.name}:${port}`, listener);
    return {
      port,
      close: () => {
        listener.closed = true;
        listeners.delete(`${process.name}:${port}`);
        return new Promise<void>((resolve) => {
          const emptied = () => process.enter(resolve);
          if (listener.streams.size === 0) world.after(0, emptied);
          else listener.emptied = emptied;
        });
      },
    };
  };

  const healed = (pair: string) => {
    for (const stream of [...streams]) if (stream.joins(pair)) stream.healed();
  };

  const network: SimulatedNetwork = {
    of(process) {
      process.onKill(() => mourn(process));
      return {
        connect: (address, events) => connect(process, address, events),
        listen: (options) => listen(process, options),
      };
    },
    cut: (a, b) => cuts.add(pairOf(a, b)),
    heal(a, b) {
      const pair = pairOf(a, b);
      if (cuts.delete(pair)) healed(pair);
    },
    healAll() {
      const pairs = [...cuts];
      cuts.clear();
      for (const pair of pairs) healed(pair);
    },
    isCut,
    breakOne() {
      if (streams.size > 0) random.pick([...streams]).reset();
    },
    watch: () => ({ onRequest: () => undefined, onAnswer: () => undefined }),
    openOf,
  };
  return network;
}
