/**
 * One process's reader of a log subject, as a reconnecting JetStream consumer delivers: in order, late, and from where it was
 * after a lost connection. Where the process can bear it (gradients, dense) a message may come again, and a gradient block
 * may be passed over while later ones come; whoever looks again is given it.
 */
import { decodeGradientBlock, isMillraceError, type LogName, type Sequence } from '@millrace/protocol';
import type { LogReader, ReadOptions } from '@millrace/runtime';
import type { NatsLink } from './nats-link.ts';
import { placeFrom, type StoredMessage, type SubjectLog } from './simulated-nats.ts';
import { delayOf } from './weather.ts';

/** Messages of one delivery. */
const burstMax = 8;
/** What was passed over comes after this, if nobody looks again before. */
const missedMsMax = 3_000;

/** @param passedOver  sequences of `list` that this process has been made to miss once; shared by its readers. */
export function openProcessReader(
  link: NatsLink,
  log: LogName,
  list: SubjectLog,
  passedOver: Set<Sequence>,
  options: ReadOptions,
  onClosed: () => void,
): LogReader {
  const { process, weather } = link;
  const { world } = process;
  const { random } = world;
  let next: Sequence = Math.max(1, options.from);
  /** Passed over, and not delivered since. */
  let missed: StoredMessage | null = null;
  let scheduled = false;
  let closed = false;
  let handling: Promise<void> | null = null;

  const fail = (error: unknown) => {
    if (closed) return;
    stop();
    options.onError(error instanceof Error ? error : new Error(String(error)));
  };

  /** Hands over what is there; stops at a handler that takes its time. */
  const deliver = () => {
    scheduled = false;
    for (let burst = 0; burst < burstMax && !closed && handling === null; burst += 1) {
      const place = placeFrom(list, next);
      if (place >= list.messages.length) return;
      // A block that does not build on the missed one would hide that it was missed.
      if (missed !== null && !buildsOn(list.messages[place].payload, missed.payload)) {
        next = missed.sequence;
        missed = null;
        continue;
      }
      const mayMiss = log === 'gradients' && weather.skipped > 0 && missed === null;
      const { sequence } = list.messages[place];
      if (mayMiss && !passedOver.has(sequence) && random.chance(weather.skipped)) {
        passOver(list.messages[place]);
        continue;
      }
      next = list.messages[place].sequence + 1;
      if (!hand(place)) return;
      const mayRepeat = log !== 'events' && weather.repeated > 0 && handling === null;
      if (mayRepeat && random.chance(weather.repeated)) {
        if (!hand(Math.max(list.start, place - random.whole(4)))) return;
      }
    }
    wake();
  };

  /** Delivery goes on behind `message`; some time later it begins with it again, unless it was closed. */
  const passOver = (message: StoredMessage) => {
    const { sequence } = message;
    passedOver.add(sequence);
    missed = message;
    next = sequence + 1;
    world.note(`${process.name} misses ${options.subject} ${sequence}`);
    world.after(missedMsMax * random.uniform(), () => {
      if (missed !== message) return;
      missed = null;
      next = sequence;
      wake();
    });
  };

  const hand = (place: number): boolean => {
    const { sequence, payload, timeMs } = list.messages[place];
    const pending = list.messages.length - 1 - place;
    try {
      // The receiver owns the bytes until it returns: it gets its own.
      const result = options.onMessage({
        subject: options.subject,
        sequence,
        payload: payload.slice(),
        timeMs,
        pending,
      });
      if (!(result instanceof Promise)) return true;
      handling = result.then(
        () => {
          handling = null;
          wake();
        },
        (error: unknown) => {
          handling = null;
          fail(error);
        },
      );
    } catch (error) {
      if (isMillraceError(error)) fail(error);
      else {
        fail(error);
        throw error;
      }
      return false;
    }
    return true;
  };

  const wake = () => {
    if (scheduled || closed || handling !== null || !link.up || !link.connected || !process.alive) return;
    if (placeFrom(list, next) >= list.messages.length) return;
    scheduled = true;
    const { generation } = link;
    world.after(delayOf(random, weather, weather.natsDelayMs), () => {
      if (generation !== link.generation) scheduled = false;
      else process.enter(deliver);
    });
  };

  const stop = () => {
    closed = true;
    list.readers.delete(wake);
    endResume();
    onClosed();
  };
  const endResume = link.onResume(() => {
    scheduled = false;
    wake();
  });
  process.onKill(() => list.readers.delete(wake));
  list.readers.add(wake);
  wake();
  return {
    async close() {
      if (!closed) stop();
      await handling;
    },
  };
}

/** True when both are blocks of one producer and partition, the first later in their chain. */
function buildsOn(later: Uint8Array, earlier: Uint8Array): boolean {
  try {
    const [a, b] = [decodeGradientBlock(later), decodeGradientBlock(earlier)];
    return a.producer === b.producer && a.partition === b.partition && a.sequence > b.sequence;
  } catch {
    return false;
  }
}
