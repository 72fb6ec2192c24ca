/**
 * How a node's scoring goes, by experiment arm: notice mill.arms.<model>, MessagePack, every second while there is something to
 * tell and at once when scores were no numbers. Counts since the notice before; lost notices are lost counts.
 */
import { packed, unpacked } from './packing.ts';
import { checkedRecord, isCount, readRecord, recordInvalid } from './record-checks.ts';

const what = 'notice of arms';

export interface ArmCounts {
  /** `experiment/arm`, or what versionArm says of a version. */
  readonly arm: string;
  readonly requests: number;
  readonly errors: number;
  /** Requests whose scores were no numbers. */
  readonly notFinite: number;
  /** Shadow scores that were left out, since the node was busy. */
  readonly dropped: number;
  /** By latencyCellOf, how many took so long. */
  readonly latencies: readonly number[];
}

export interface ArmNotice {
  readonly node: string;
  readonly model: string;
  readonly arms: readonly ArmCounts[];
}

/** Cells of the time that scoring took, each a quarter above the one before: 0.05 ms to about 80 s. */
export const latencyCellCount = 64;
const latencyMsMin = 0.05;
const latencyRatio = 1.25;

export function latencyCellOf(ms: number): number {
  const cell = Math.ceil(Math.log(Math.max(ms, latencyMsMin) / latencyMsMin) / Math.log(latencyRatio));
  return Math.min(latencyCellCount - 1, cell);
}

/** Upper edge of a cell, ms. */
export function latencyOfCell(cell: number): number {
  return latencyMsMin * latencyRatio ** cell;
}

/** How figures of a version are called among those of arms; no arm has such a name. */
export function versionArm(version: number): string {
  return `@${version}`;
}

export function encodeArmNotice(notice: ArmNotice): Uint8Array {
  return packed(notice);
}

/** Reads and checks a notice. Throws MILL_RECORD_INVALID. */
export function decodeArmNotice(bytes: Uint8Array): ArmNotice {
  const value = readRecord(what, () => unpacked(bytes));
  const notice = checkedRecord<ArmNotice>(what, value, { node: 'text', model: 'text', arms: 'list' });
  for (const arm of notice.arms) {
    const counts = checkedRecord<ArmCounts>(what, arm, {
      arm: 'text',
      requests: 'count',
      errors: 'count',
      notFinite: 'count',
      dropped: 'count',
      latencies: 'list',
    });
    if (counts.latencies.length !== latencyCellCount || !counts.latencies.every(isCount))
      throw recordInvalid(what, `${latencyCellCount} counts of latencies`, 'another list');
  }
  return notice;
}
