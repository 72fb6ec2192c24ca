/**
 * When a key gets a row. A policy a file; each is asked about keys that have none, in the order of the log, and what it
 * answers depends on what it was asked before and on the log's sequence alone (I2). Its memory is bounded, is part of the
 * partition's state, and so of snapshots and of the state's hash.
 */

export interface Admission {
  /**
   * Whether a key without a row gets one now; remembers what it needs to.
   * @param occurrences  examples of the block in which the key stands, at least 1.
   * @param sequence     of the log message that is being applied.
   */
  admits(low: number, high: number, occurrences: number, sequence: number): boolean;
  /** Bytes of what is remembered. */
  bytes(): number;
  /** All that is remembered, the caller's to keep: the same words for the same log, on every machine. */
  words(): Uint32Array;
  /** Puts back what `words` gave. Throws RangeError where it is not of this policy's form. */
  restore(words: Uint32Array): void;
}
