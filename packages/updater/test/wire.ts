/** A process's end of the bus that a test can break: fail for a while, or die at one operation and never come back. */
import { MillraceError } from '@millrace/protocol';
import type { Bus, Kv } from '@millrace/runtime';

/** What happens to one durable write (an append, or a compare-and-set of a batch record). */
export type Fate =
  | 'done'
  /** Not stored, and said so. */
  | 'fails'
  /** Stored, but the acknowledgement is lost. */
  | 'unacknowledged'
  /** The process dies before it is stored, or right after. */
  | 'dies-before'
  | 'dies-after';

export interface Wire {
  readonly bus: Bus;
  /** Durable writes that were tried. */
  readonly writes: number;
  /** Resolves when the process has died. */
  readonly died: Promise<'died'>;
  readonly isDead: boolean;
}

/** @param fateOf the n-th durable write, from 1; `what` says which it is. */
export function wireTo(bus: Bus, fateOf: (n: number, what: string) => Fate = () => 'done'): Wire {
  let writes = 0;
  let dead = false;
  let die: (word: 'died') => void = () => {};
  const died = new Promise<'died'>((resolve) => {
    die = resolve;
  });
  const never = new Promise<never>(() => {});
  const end = () => {
    dead = true;
    die('died');
    return never;
  };
  const lost = () => new MillraceError('MILL_LOG_UNAVAILABLE', 'the server did not answer');
  const alive = <T>(work: () => Promise<T>): Promise<T> => (dead ? never : work());
  const write = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    if (dead) return never;
    writes += 1;
    switch (fateOf(writes, what)) {
      case 'done':
        return work();
      case 'fails':
        throw lost();
      case 'unacknowledged':
        await work();
        throw lost();
      case 'dies-before':
        return end();
      case 'dies-after':
        await work();
        return end();
    }
  };
  const bent: Bus = {
    ensure: () => alive(() => bus.ensure()),
    // Without message ids: repeats must be recognised by the fold, not by the server's memory of two minutes.
    append: (log, subject, payload) => write(subject, () => bus.append(log, subject, payload)),
    read: (log, options) =>
      alive(() =>
        bus.read(log, {
          ...options,
          onMessage: (message) => (dead ? undefined : options.onMessage(message)),
        }),
      ),
    logState: (log) => alive(() => bus.logState(log)),
    headOf: (log, subject) => alive(() => bus.headOf(log, subject)),
    trim: (log, subject, before) => alive(() => bus.trim(log, subject, before)),
    blobs: (bucket) => alive(() => bus.blobs(bucket)),
    async kv(bucket): Promise<Kv> {
      const kv = await alive(() => bus.kv(bucket));
      return {
        get: (key) => alive(() => kv.get(key)),
        put: (key, value) => write(`put ${key}`, () => kv.put(key, value)),
        putIf: (key, value, revision) => write(`putIf ${key}`, () => kv.putIf(key, value, revision)),
        delete: (key) => alive(() => kv.delete(key)),
        keys: () => alive(() => kv.keys()),
        watch: (onChange) => alive(() => kv.watch(onChange)),
      };
    },
    notify(subject, payload) {
      if (!dead) bus.notify(subject, payload);
    },
    onNotice: (subject, onNotice) => bus.onNotice(subject, onNotice),
    connected: true,
    close: async () => {},
  };
  return {
    bus: bent,
    get writes() {
      return writes;
    },
    died,
    get isDead() {
      return dead;
    },
  };
}
