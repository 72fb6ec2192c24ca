/**
 * What a request says of its own urgency, in parameters, as Triton's clients do: `priority` (1 first, 0 the usual one) and
 * `timeout` (µs, 0: none). Requests of one stream have one call and one set of headers, so only here may they differ.
 */
import type { Clock } from '@millrace/runtime';
import { type Priority, priorities } from '../priority.ts';
import { refusedPart, shownValue } from '../refused-part.ts';
import type { Caller } from '../scoring-service.ts';

export interface RequestTerms {
  /** Gone also once the request's time is up; with the request's priority. */
  readonly caller: Caller | undefined;
  /** ms; null: the request says nothing. */
  readonly timeoutMs: number | null;
}

/** A longer wait is cut to this. */
const timeoutMsMax = 600_000;

/** @throws MILL_BAD_REQUEST naming the parameter */
export function termsFrom(
  { priority, timeout }: Readonly<Record<string, unknown>>,
  caller: Caller | undefined,
  clock: Clock,
): RequestTerms {
  const level = wholeFrom('priority', 'a whole number, 1 for the most urgent', priority);
  const timeoutUs = wholeFrom('timeout', 'whole microseconds', timeout);
  if (level === 0 && timeoutUs === 0) return { caller, timeoutMs: null };
  const timeoutMs = timeoutUs === 0 ? null : Math.min(timeoutMsMax, timeoutUs / 1_000);
  const endMs = timeoutMs === null ? Number.POSITIVE_INFINITY : clock.monotonicMs() + timeoutMs;
  const own = level === 0 ? caller?.priority : priorityOf(level);
  return {
    timeoutMs,
    caller: {
      get gone() {
        return (caller?.gone ?? false) || clock.monotonicMs() >= endMs;
      },
      span: caller?.span,
      ...(own && { priority: own }),
    },
  };
}

/** Levels below the last are the last. */
function priorityOf(level: number): Priority {
  return priorities[Math.min(level, priorities.length) - 1];
}

/** 0 where nothing is said. */
function wholeFrom(name: string, wanted: string, value: unknown = 0): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw refusedPart(`parameters.${name}`, wanted, shownValue(value));
}
