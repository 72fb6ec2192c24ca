/**
 * Distinct units of an arm, counted by a sample: those whose numbers are the smallest. Numbers of units are a hash that says
 * nothing of their bucket, so below one number of both, two arms' samples are all units of a fair part of the traffic.
 *
 * A set, so whoever folds a stretch of the log twice adds nothing twice. Source: Beyer et al., SIGMOD 2007 (KMV).
 */
import { unitSampleMax } from '@millrace/protocol';

export interface UnitSample {
  /** What was shown before counts for none: shares were others. */
  readonly sinceMs: number;
  /** uint32[size], ascending, each once; size is at most unitSampleMax. */
  readonly units: Uint32Array;
  size: number;
}

export function emptyUnits(sinceMs: number): UnitSample {
  return { sinceMs, units: new Uint32Array(unitSampleMax), size: 0 };
}

/** @param stored  uint32[size] as raw bytes. */
export function unitsFrom(sinceMs: number, stored: Uint8Array): UnitSample {
  const sample = emptyUnits(sinceMs);
  const units = new Uint32Array(Uint8Array.from(stored).buffer);
  sample.units.set(units);
  sample.size = units.length;
  return sample;
}

/** @returns true when it was not there, and is now. */
export function addUnit(sample: UnitSample, unit: number): boolean {
  const { units, size } = sample;
  const isFull = size === unitSampleMax;
  if (isFull && unit >= units[size - 1]) return false;
  let [from, to] = [0, size];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (units[middle] < unit) from = middle + 1;
    else to = middle;
  }
  if (from < size && units[from] === unit) return false;
  // The largest of a full one falls off the end.
  units.copyWithin(from + 1, from, isFull ? size - 1 : size);
  units[from] = unit;
  if (!isFull) sample.size += 1;
  return true;
}
