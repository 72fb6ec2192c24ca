/** Reads through one reader, with what it skipped: what the tests of all formats share. */
import { createLogTally, type LogTally, type SkipReason } from '../../src/log-file/log-tally.ts';
import type { RecordReader } from '../../src/log-file/record-reader.ts';

export interface Tallied {
  /** [line, values] of each record. */
  readonly records: readonly (readonly [number, Readonly<Record<string, unknown>>])[];
  /** Lines skipped, by reason. */
  readonly skipped: Readonly<Partial<Record<SkipReason, readonly number[]>>>;
  /** What the first of each reason said. */
  readonly first: string;
}

/** @param make  makes the reader; @param pieces  texts of whole lines. */
export function readTallied(
  make: (tally: LogTally) => RecordReader,
  pieces: readonly string[],
  rule: 'strict' | 'lenient' = 'lenient',
): Tallied {
  const tally = createLogTally('log', rule);
  const reader = make(tally);
  const records = [...pieces.flatMap((piece) => reader.read(piece)), ...reader.finish()];
  const { skipped } = tally.report();
  return {
    records: records.map(({ line, values }) => [line, { ...values }]),
    skipped: Object.fromEntries(Object.entries(skipped).map(([reason, { lines }]) => [reason, lines])),
    first: Object.values(skipped)
      .map(({ first }) => first)
      .join('; '),
  };
}
