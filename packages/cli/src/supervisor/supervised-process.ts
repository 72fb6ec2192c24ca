/**
 * One child process that is kept running: started, told apart as ready, started anew with a growing pause when it dies,
 * stopped with SIGTERM and after a time limit with SIGKILL. Its output goes to a file, which begins anew with every start of
 * the supervisor.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { MillraceError } from '@millrace/protocol';
import type { Clock } from '@millrace/runtime';

export interface ProcessPlan {
  readonly name: string;
  /** Starts the process; called again after every death. */
  readonly start: (logDescriptor: number) => ChildProcess | Promise<ChildProcess>;
  readonly logFile: string;
  /** What says that it is up: its own message over the channel, or that `start` has resolved. */
  readonly readyBy: 'message' | 'start';
}

export interface ProcessWatch {
  /** It died and will be started again after the pause. */
  onDeath(name: string, reason: string, pauseMs: number): void;
  onReady(name: string, restarts: number): void;
}

export interface SupervisedProcess {
  readonly name: string;
  readonly pid: number | undefined;
  readonly restarts: number;
  /** True once the process that runs now is up. */
  readonly ready: boolean;
  /** Resolves when it is ready for the first time. @throws MILL_NOT_READY when it is not within the limit. */
  firstReady(limitMs: number): Promise<void>;
  /** Asks it to drain and waits for its end. */
  stop(limitMs: number): Promise<void>;
}

const pauseFirstMs = 250;
const pauseMaxMs = 10_000;
/** A process that has run this long was well; its next death starts with the short pause again. */
const wellAfterMs = 20_000;

export function superviseProcess(plan: ProcessPlan, watch: ProcessWatch, clock: Clock): SupervisedProcess {
  const log = openSync(plan.logFile, 'w');
  let child: ChildProcess | null = null;
  let restarts = 0;
  let pauseMs = pauseFirstMs;
  let stopping = false;
  let restartTimer = { cancel() {} };
  let isReady = false;
  let wasReady = false;
  let lastDeath = '';
  const waiters = new Set<() => void>();
  let ended: () => void = () => {};

  const noteReady = () => {
    isReady = true;
    wasReady = true;
    watch.onReady(plan.name, restarts);
    for (const waiter of waiters) waiter();
  };

  const onExit = (startedMs: number, reason: string) => {
    child = null;
    isReady = false;
    ended();
    if (stopping) return;
    if (clock.monotonicMs() - startedMs > wellAfterMs) pauseMs = pauseFirstMs;
    lastDeath = reason;
    watch.onDeath(plan.name, reason, pauseMs);
    restartTimer = clock.setTimer(pauseMs, () => {
      restarts += 1;
      starting = run();
    });
    pauseMs = Math.min(pauseMaxMs, 2 * pauseMs);
  };

  const run = async () => {
    const startedMs = clock.monotonicMs();
    try {
      const started = await plan.start(log);
      child = started;
      started.once('exit', (code, signal) => onExit(startedMs, signal ?? `exit code ${code}`));
      started.once('error', (error) => onExit(startedMs, error.message));
      if (stopping) started.kill('SIGTERM');
      if (plan.readyBy === 'start') noteReady();
      else started.once('message', noteReady);
    } catch (error) {
      onExit(startedMs, error instanceof Error ? error.message : String(error));
    }
  };
  let starting = run();

  return {
    name: plan.name,
    get pid() {
      return child?.pid;
    },
    get restarts() {
      return restarts;
    },
    get ready() {
      return isReady;
    },
    async firstReady(limitMs) {
      if (wasReady) return;
      await new Promise<void>((resolve, reject) => {
        const limit = clock.setTimer(limitMs, () => {
          const last = lastDeath ? `; it died: ${lastDeath}` : '';
          reject(
            new MillraceError(
              'MILL_NOT_READY',
              `${plan.name} is not up after ${limitMs} ms${last}; see ${plan.logFile}`,
            ),
          );
        });
        waiters.add(() => {
          limit.cancel();
          resolve();
        });
      });
    },
    async stop(limitMs) {
      stopping = true;
      restartTimer.cancel();
      // One that is just being started would outlive this call.
      await starting;
      const running = child;
      if (running) {
        const end = new Promise<void>((resolve) => {
          ended = resolve;
        });
        running.kill('SIGTERM');
        const limit = clock.setTimer(limitMs, () => running.kill('SIGKILL'));
        await end;
        limit.cancel();
      }
      closeSync(log);
    },
  };
}

/** Starts this command again as a child: same Node, same flags, its output to `log`, with a channel for its ready message. */
export function startSelf(args: readonly string[], env: NodeJS.ProcessEnv, log: number): ChildProcess {
  const script = process.argv[1];
  return spawn(process.execPath, [...process.execArgv, script, ...args], {
    env,
    stdio: ['ignore', log, log, 'ipc'],
    // Ctrl-C in the terminal reaches the supervisor alone, which stops its children in order.
    detached: true,
  });
}
