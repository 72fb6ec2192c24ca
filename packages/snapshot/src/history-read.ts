/** Reads a stretch of a log that is there already, in order, with one reader that is closed at its end. */
import type { LogName, Sequence } from '@millrace/protocol';
import type { Bus, LogMessage } from '@millrace/runtime';

export interface Stretch {
  readonly log: LogName;
  readonly subject: string;
  /** First sequence wanted. */
  readonly from: Sequence;
  /** Sequence of a message that the log has; nothing beyond it is read. */
  readonly through: Sequence;
}

/**
 * Hands over the messages of a stretch until `take` says 'stop'. The next message comes once a promise of `take` is settled.
 * @throws what `take` throws, MILL_LOG_UNAVAILABLE.
 */
export async function readStretch(
  bus: Bus,
  { log, subject, from, through }: Stretch,
  take: (message: LogMessage) => 'on' | 'stop' | Promise<'on' | 'stop'>,
): Promise<void> {
  if (from > through) return;
  let end = () => {};
  let fail = (_error: Error) => {};
  const ended = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  let over = false;
  const settle = (message: LogMessage, answer: 'on' | 'stop') => {
    over = answer === 'stop' || message.sequence >= through;
    if (over) end();
  };
  const reader = await bus.read(log, {
    subject,
    from,
    onMessage(message) {
      if (over) return undefined;
      if (message.sequence > through) {
        over = true;
        end();
        return undefined;
      }
      const answer = take(message);
      if (typeof answer === 'string') return settle(message, answer);
      return answer.then((later) => settle(message, later));
    },
    onError: fail,
  });
  await ended.finally(() => reader.close());
}

/** What `look` makes of the first message of a subject at or beyond `from`; null when there is none. */
export async function lookAtFirst<T>(
  bus: Bus,
  { log, subject, from }: Omit<Stretch, 'through'>,
  look: (message: LogMessage) => T,
): Promise<T | null> {
  const through = await bus.headOf(log, subject);
  let found: T | null = null;
  await readStretch(bus, { log, subject, from, through }, (message) => {
    found = look(message);
    return 'stop';
  });
  return found;
}
