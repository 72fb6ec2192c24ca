/**
 * How far a subject of a log has been trimmed. Bucket mill-trims, key = log subject, JSON, written before anything is
 * forgotten. A fold whose state is older than `before − 1` cannot be continued from the log: it starts from a snapshot.
 */
import { jsonBytes, jsonFrom } from './packing.ts';
import { checkedRecord, readRecord } from './record-checks.ts';

const what = 'trim mark';

export interface TrimMark {
  /** Messages of the subject with lower sequences may be gone. */
  readonly before: number;
  /** When it was written, Unix ms. */
  readonly timeMs: number;
}

export function encodeTrimMark(mark: TrimMark): Uint8Array {
  return jsonBytes(mark);
}

/** Reads and checks a mark. Throws MILL_RECORD_INVALID. */
export function decodeTrimMark(bytes: Uint8Array): TrimMark {
  return checkedRecord<TrimMark>(
    what,
    readRecord(what, () => jsonFrom(bytes)),
    {
      before: 'count',
      timeMs: 'number',
    },
  );
}
