/**
 * Trims a log behind snapshots, and tells how far it was. The mark is written first: a fold that finds itself behind it
 * starts from a snapshot, rather than go on as if nothing were missing.
 */
import { decodeTrimMark, encodeTrimMark, type LogName, type Sequence } from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';

export interface TrimTarget {
  readonly log: LogName;
  readonly subject: string;
}

/** Messages of a subject below this sequence may be gone; 0 when it was never trimmed. Throws MILL_LOG_UNAVAILABLE. */
export async function trimmedBefore(bus: Bus, subject: string): Promise<Sequence> {
  const entry = await (await bus.kv('trims')).get(subject);
  return entry === null ? 0 : decodeTrimMark(entry.value).before;
}

/**
 * True when a fold at `sequence` cannot go on from the log. A trimmed log still has every message from `before` on.
 */
export function isBehindTrim(sequence: Sequence, before: Sequence): boolean {
  return sequence + 1 < before;
}

/**
 * Forgets what lies below `before`. The mark never goes back; when others trim at the same time the farthest stands.
 * @throws MILL_LOG_UNAVAILABLE; the mark may then stand although nothing is forgotten yet, which does no harm.
 */
export async function trimBehind(
  bus: Bus,
  { log, subject }: TrimTarget,
  before: Sequence,
  nowMs: number,
): Promise<void> {
  const kv = await bus.kv('trims');
  for (;;) {
    const entry = await kv.get(subject);
    const standing = entry === null ? 0 : decodeTrimMark(entry.value).before;
    if (standing >= before) break;
    const mark = encodeTrimMark({ before, timeMs: nowMs });
    if ((await kv.putIf(subject, mark, entry?.revision ?? 0)) !== null) break;
  }
  await bus.trim(log, subject, before);
}
