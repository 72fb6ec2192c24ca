/**
 * What one process sees of the world: a bus, a clock and rows that work until it is frozen or killed. A killed process is
 * one whose next await never ends: its writes so far stand, nothing that it began goes on, and nobody tells it. A frozen one
 * goes on where it was when it is thawed, late, as after a long pause of its machine.
 */
import type { RowSource } from '@millrace/client';
import { MillraceError } from '@millrace/protocol';
import type { Bus, Clock, Kv, LogReader } from '@millrace/runtime';

/**
 * What becomes of a write: done; not stored, and refused; stored, but the answer is lost; the process dies before or
 * after it is stored.
 */
export type WriteFate = 'done' | 'refused' | 'unanswered' | 'dies-before' | 'dies-after';

export interface MortalOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly rows: RowSource;
  /** Asked once for every append and every write to the key-value store. */
  readonly fateOfWrite: () => WriteFate;
  /** False: appends carry no id, as if the server had forgotten the earlier one. */
  readonly keepsMessageIds: boolean;
}

export interface MortalProcess {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly rows: RowSource;
  readonly alive: boolean;
  freeze(): void;
  thaw(): void;
  kill(): void;
}

const never = new Promise<never>(() => {});

export function createMortalProcess(options: MortalOptions): MortalProcess {
  const { bus, clock, rows } = options;
  const readers = new Set<LogReader>();
  let frozen = false;
  let alive = true;
  let wakers: (() => void)[] = [];

  /** Resolves while the process runs; later when it is frozen; at its death too. */
  const awake = async () => {
    while (frozen && alive) await new Promise<void>((resolve) => wakers.push(resolve));
  };
  const wake = () => {
    const waiting = wakers;
    wakers = [];
    for (const waker of waiting) waker();
  };
  const kill = () => {
    alive = false;
    for (const reader of readers) void reader.close();
    wake();
  };
  const during = async <T>(work: () => Promise<T>): Promise<T> => {
    await awake();
    if (!alive) return never;
    const result = await work();
    await awake();
    return alive ? result : never;
  };
  const write = <T>(work: () => Promise<T>): Promise<T> =>
    during(async () => {
      const fate = options.fateOfWrite();
      if (fate === 'dies-before') kill();
      if (fate === 'refused') throw new MillraceError('MILL_LOG_UNAVAILABLE', 'refused by the simulation');
      if (!alive) return never;
      const result = await work();
      if (fate === 'dies-after') kill();
      if (fate === 'unanswered')
        throw new MillraceError('MILL_LOG_UNAVAILABLE', 'stored, but the answer was lost in the simulation');
      return result;
    });

  return {
    bus: {
      ensure: () => during(() => bus.ensure()),
      append: (log, subject, payload, more) =>
        write(() => bus.append(log, subject, payload, options.keepsMessageIds ? more : {})),
      read: (log, more) =>
        during(async () => {
          const onMessage: typeof more.onMessage = (message) => {
            if (!alive) return;
            if (frozen) return awake().then(() => (alive ? more.onMessage(message) : undefined));
            return more.onMessage(message);
          };
          const reader = await bus.read(log, { ...more, onMessage });
          readers.add(reader);
          return reader;
        }),
      logState: (log) => during(() => bus.logState(log)),
      headOf: (log, subject) => during(() => bus.headOf(log, subject)),
      trim: (log, subject, before) => write(() => bus.trim(log, subject, before)),
      blobs: (bucket) => during(() => bus.blobs(bucket)),
      kv: async (bucket) => mortalKv(await bus.kv(bucket), during, write),
      notify(subject, payload) {
        if (alive && !frozen) bus.notify(subject, payload);
      },
      onNotice: (subject, onNotice) =>
        bus.onNotice(subject, (payload) => {
          if (alive && !frozen) onNotice(payload);
        }),
      get connected() {
        return bus.connected;
      },
      close: () => never,
    },
    clock: {
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
      setTimer(delayMs, fire) {
        let cancelled = false;
        const fireIfAlive = () => {
          if (alive && !cancelled) fire();
        };
        const timer = clock.setTimer(delayMs, () => {
          if (frozen) void awake().then(fireIfAlive);
          else fireIfAlive();
        });
        return {
          cancel() {
            cancelled = true;
            timer.cancel();
          },
        };
      },
    },
    rows: { pull: (request) => during(() => rows.pull(request)) },
    get alive() {
      return alive;
    },
    freeze() {
      frozen = true;
    },
    thaw() {
      frozen = false;
      wake();
    },
    kill,
  };
}

type Step = <T>(work: () => Promise<T>) => Promise<T>;

function mortalKv(kv: Kv, during: Step, write: Step): Kv {
  return {
    get: (key) => during(() => kv.get(key)),
    keys: () => during(() => kv.keys()),
    put: (key, value) => write(() => kv.put(key, value)),
    putIf: (key, value, revision) => write(() => kv.putIf(key, value, revision)),
    delete: (key) => write(() => kv.delete(key)),
    watch: (onChange) => during(() => kv.watch(onChange)),
  };
}
