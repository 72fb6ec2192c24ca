/**
 * A process: all that reaches it (timers, answers, messages, bytes) comes through `enter`. A killed process is one that
 * nothing reaches any more: its writes so far stand, nothing that it began goes on, and nobody tells it. A frozen one finds
 * all of it at once when it is thawed, as after a long pause of its machine. Its clock may run fast or slow, and jump.
 */
import { reasonFrom } from '@millrace/protocol';
import type { Clock } from '@millrace/runtime';
import type { World } from './world.ts';

/** Unix time of the beginning. */
export const startMs = 1_700_000_000_000;
/** A process that keeps more than this many timers, or arrivals while frozen, collects them. */
const timersMax = 400;
const timerLateMsMax = 2;
const timerVeryLateMsMax = 30;

export interface SimulatedProcess {
  readonly name: string;
  readonly world: World;
  readonly clock: Clock;
  readonly alive: boolean;
  readonly frozen: boolean;
  /** When it was last thawed, cut off or otherwise held up, virtual ms. */
  troubledMs: number;
  /** Runs `act` now, or when it is thawed, or never. */
  enter(act: () => void): void;
  /** Resolves after `delayMs` of the world's time, if the process still lives then. */
  sleep(delayMs: number): Promise<void>;
  freeze(): void;
  thaw(): void;
  kill(): void;
  /** Sets its wall clock on or back. */
  jump(ms: number): void;
  /** Called once at its death. */
  onKill(told: () => void): void;
}

export interface ProcessOptions {
  readonly name: string;
  readonly world: World;
  /** Seconds of its clock in a second of the world. */
  readonly clockRate: number;
}

export function createSimulatedProcess({ name, world, clockRate }: ProcessOptions): SimulatedProcess {
  const held: (() => void)[] = [];
  const mourners: (() => void)[] = [];
  const bornMs = world.nowMs;
  let alive = true;
  let frozen = false;
  /** True while what came in a freeze is taken, one after the other. */
  let catchingUp = false;
  let jumpedMs = 0;
  let timers = 0;
  let workedMs = 0;

  const run = (act: () => void) => {
    if (!alive) return;
    if (frozen || catchingUp) held.push(act);
    else perform(act);
  };
  const perform = (act: () => void) => {
    try {
      act();
    } catch (error) {
      world.violate('defect', `${name}: uncaught: ${reasonFrom(error)}`);
      process.kill();
    }
  };

  const catchUp = () => {
    if (!alive || frozen) return;
    const act = held.shift();
    catchingUp = act !== undefined;
    if (act === undefined) return;
    perform(act);
    world.after(0, catchUp);
  };

  const latenessMs = () =>
    (world.random.chance(0.1) ? timerVeryLateMsMax : timerLateMsMax) * world.random.uniform();

  const clock: Clock = {
    now: () => Math.floor(startMs + jumpedMs + world.nowMs * clockRate),
    monotonicMs() {
      // Work takes time too, now and then: what measures itself finds its turn over in the middle.
      if (world.random.chance(0.2)) workedMs += 3 * world.random.uniform();
      return (world.nowMs - bornMs) * clockRate + workedMs;
    },
    setTimer(delayMs, fire) {
      let waits = true;
      timers += 1;
      if (timers > timersMax) world.violate('I7', `${name} keeps more than ${timersMax} timers`);
      const end = () => {
        if (waits) timers -= 1;
        waits = false;
      };
      // Timers are late, as those of a busy process are; one of no time at all lets other things happen first.
      const planned = world.after(delayMs / clockRate + latenessMs(), () =>
        run(() => {
          if (!waits) return;
          end();
          fire();
        }),
      );
      return {
        cancel() {
          end();
          planned.cancel();
        },
      };
    },
  };

  const process: SimulatedProcess = {
    name,
    world,
    clock,
    troubledMs: world.nowMs,
    get alive() {
      return alive;
    },
    get frozen() {
      return frozen;
    },
    enter: run,
    sleep: (delayMs) =>
      new Promise((resolve) => {
        world.after(delayMs, () => run(resolve));
      }),
    freeze() {
      frozen = true;
      process.troubledMs = world.nowMs;
    },
    thaw() {
      if (!frozen) return;
      frozen = false;
      process.troubledMs = world.nowMs;
      catchingUp = true;
      world.after(0, catchUp);
    },
    kill() {
      if (!alive) return;
      alive = false;
      held.length = 0;
      for (const told of mourners.splice(0)) told();
    },
    jump(ms) {
      jumpedMs += ms;
    },
    onKill(told) {
      mourners.push(told);
    },
  };
  return process;
}
