/**
 * One process's connection to NATS. What it asks arrives in the order it was asked and is answered in order, each way after
 * a delay. A cut connection is silent at first; when the process notices, all that it waits for fails, whether it was done or
 * not. A write may be refused, or done without an answer, or be the last thing that the process does.
 */
import { MillraceError } from '@millrace/protocol';
import type { SimulatedProcess } from './simulated-process.ts';
import { delayOf, type Weather } from './weather.ts';

export interface NatsLink {
  readonly process: SimulatedProcess;
  readonly weather: Weather;
  /** As the process knows it. */
  readonly connected: boolean;
  /** True while bytes can pass. */
  readonly up: boolean;
  /** Ascends whenever what is on its way is lost. */
  readonly generation: number;
  /** Asks the server something; `atServer` runs there. */
  call<T>(what: string, kind: 'read' | 'write', atServer: () => T): Promise<T>;
  cut(): void;
  heal(): void;
  /** Breaks the connection and makes it again. */
  reset(): void;
  /** Calls `resume` whenever the connection is back, until the returned function is called. */
  onResume(resume: () => void): () => void;
}

/** How long an answer may take, as in the NATS bus. */
const answerMsMax = 5_000;
const callsMax = 4_096;
/** A cut is noticed within this, by missing pings in truth. */
const noticeMsMax = 3_000;
const reconnectMsMax = 500;

export function createNatsLink(process: SimulatedProcess, weather: Weather): NatsLink {
  const { world, name } = process;
  const { random } = world;
  const pending = new Set<(reason: string) => void>();
  const resumers = new Set<() => void>();
  let up = true;
  let connected = true;
  let generation = 0;
  let upMs = 0;
  let downMs = 0;

  const lose = () => {
    generation += 1;
    if (!connected) return;
    connected = false;
    for (const fail of [...pending]) fail('the connection was lost before the answer came');
  };
  const reconnect = () => {
    const at = generation;
    world.after(20 + random.uniform() * reconnectMsMax, () =>
      process.enter(() => {
        if (!up || connected || at !== generation) return;
        connected = true;
        world.note(`${name} connected`);
        for (const resume of [...resumers]) resume();
      }),
    );
  };

  const send = <T>(atServer: () => T, answered: (result: T) => void) => {
    const mine = generation;
    upMs = Math.max(upMs, world.nowMs + delayOf(random, weather, weather.natsDelayMs));
    world.after(upMs - world.nowMs, () => {
      if (mine !== generation) return;
      const result = atServer();
      downMs = Math.max(downMs, world.nowMs + delayOf(random, weather, weather.natsDelayMs));
      world.after(downMs - world.nowMs, () => {
        if (mine === generation) process.enter(() => answered(result));
      });
    });
  };

  const writeFate = (): 'done' | 'refused' | 'unanswered' | 'dies-before' | 'dies-after' => {
    if (weather.dies > 0 && random.chance(weather.dies)) return random.pick(['dies-before', 'dies-after']);
    if (weather.refused > 0 && random.chance(weather.refused)) return 'refused';
    if (weather.unanswered > 0 && random.chance(weather.unanswered)) return 'unanswered';
    return 'done';
  };

  return {
    process,
    weather,
    get connected() {
      return connected;
    },
    get up() {
      return up;
    },
    get generation() {
      return generation;
    },
    call<T>(what: string, kind: 'read' | 'write', atServer: () => T): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        const unavailable = (reason: string) =>
          new MillraceError('MILL_LOG_UNAVAILABLE', `cannot ${what}: ${reason}`);
        if (!connected) {
          reject(unavailable('the connection to NATS is lost'));
          return;
        }
        const fate = kind === 'write' ? writeFate() : 'done';
        if (fate === 'dies-before') {
          world.note(`${name} dies before: ${what}`);
          process.kill();
          return;
        }
        const fail = (reason: string) => {
          end();
          reject(unavailable(reason));
        };
        const late = world.after(answerMsMax, () => process.enter(() => fail('no answer in time')));
        const end = () => {
          late.cancel();
          pending.delete(fail);
        };
        pending.add(fail);
        if (pending.size > callsMax) world.violate('I7', `${name} waits for more than ${callsMax} answers`);
        const act = fate === 'refused' ? () => null : atServer;
        send(
          () => {
            const result = act();
            if (fate === 'dies-after') {
              world.note(`${name} dies after: ${what}`);
              process.kill();
            }
            return result;
          },
          (result) => {
            if (!pending.has(fail)) return;
            if (fate === 'refused') fail('refused by the simulation');
            else if (fate === 'unanswered') fail('the answer was lost in the simulation');
            else {
              end();
              resolve(result as T);
            }
          },
        );
      });
    },
    cut() {
      if (!up) return;
      up = false;
      generation += 1;
      process.troubledMs = world.nowMs;
      const at = generation;
      world.after(random.uniform() * noticeMsMax, () =>
        process.enter(() => {
          if (at === generation) lose();
        }),
      );
    },
    heal() {
      if (up) return;
      up = true;
      process.troubledMs = world.nowMs;
      process.enter(() => {
        lose();
        reconnect();
      });
    },
    reset() {
      if (!up) return;
      process.troubledMs = world.nowMs;
      generation += 1;
      process.enter(() => {
        lose();
        reconnect();
      });
    },
    onResume(resume) {
      resumers.add(resume);
      return () => resumers.delete(resume);
    },
  };
}
