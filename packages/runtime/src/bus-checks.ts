/** Checks that both buses make before a message leaves the process, so that neither is stricter than the other. */
import { invariant, type LogName, MillraceError, messageBytesMax, streams } from '@millrace/protocol';

/** Stops with a defect unless `subject` is one exact subject of `log`: a stray one would be stored nowhere. */
export function assertLogSubject(log: LogName, subject: string): void {
  const prefix = prefixes[log];
  invariant(
    subject.length > prefix.length && subject.startsWith(prefix) && !hasWildcard(subject),
    `log "${log}": subject must be one of ${streams[log].subjects.join(', ')}, got "${subject}"`,
  );
}

/** Stops with a defect if `subject` stands for several subjects. */
export function assertExactSubject(subject: string): void {
  invariant(subject.length > 0 && !hasWildcard(subject), `subject must have no wildcard, got "${subject}"`);
}

/** @throws MILL_BODY_TOO_LARGE when no log could hold `payload`. */
export function assertMessageBytes(subject: string, payload: Uint8Array): void {
  if (payload.length <= messageBytesMax) return;
  throw new MillraceError(
    'MILL_BODY_TOO_LARGE',
    `cannot append to "${subject}": a message has at most ${messageBytesMax} bytes, got ${payload.length}`,
  );
}

const prefixes: Readonly<Record<LogName, string>> = {
  events: prefixOf('events'),
  gradients: prefixOf('gradients'),
  dense: prefixOf('dense'),
  measures: prefixOf('measures'),
};

function prefixOf(log: LogName): string {
  const [subject] = streams[log].subjects;
  return subject.slice(0, subject.indexOf('*'));
}

function hasWildcard(subject: string): boolean {
  return subject.includes('*') || subject.includes('>');
}
