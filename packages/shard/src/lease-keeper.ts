/** Renews this shard's lease, and says so at once when something that routing depends on has changed. */
import { encodeShardLease, leaseRenewMs, type ModelLease } from '@millrace/protocol';
import type { Bus, Clock, Kv, Logger, Timer } from '@millrace/runtime';

export interface LeaseKeeper {
  /** Writes the lease now rather than at the next renewal. */
  renew(): Promise<void>;
  /** Marks the shard as leaving. */
  drain(): Promise<void>;
  /** Takes the lease away, so that nobody has to wait for it to lapse. */
  close(): Promise<void>;
}

export interface LeaseOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly shard: string;
  readonly host: string;
  readonly port: number;
  readonly zone: string;
  readonly models: () => readonly ModelLease[];
}

export async function keepLease(options: LeaseOptions): Promise<LeaseKeeper> {
  const { bus, clock, logger, shard } = options;
  const startedMs = clock.now();
  let renewal = 0;
  let draining = false;
  let closed = false;
  const kv: Kv = await bus.kv('shards');
  let writing: Promise<void> = Promise.resolve();

  const write = async () => {
    if (closed) return;
    renewal += 1;
    const { host, port, zone } = options;
    const lease = { shard, startedMs, renewal, host, port, zone, draining, models: options.models() };
    try {
      await kv.put(shard, encodeShardLease(lease));
    } catch (error) {
      logger.warn({ err: error }, 'lease not renewed');
    }
  };
  const renew = () => {
    writing = writing.then(write);
    return writing;
  };

  let timer: Timer = { cancel() {} };
  const schedule = () => {
    if (closed) return;
    timer = clock.setTimer(leaseRenewMs, () => {
      void renew().then(schedule);
    });
  };
  await renew();
  schedule();

  return {
    renew,
    drain() {
      draining = true;
      return renew();
    },
    async close() {
      closed = true;
      timer.cancel();
      await writing;
      await kv.delete(shard).catch((error: unknown) => logger.warn({ err: error }, 'lease not removed'));
    },
  };
}
