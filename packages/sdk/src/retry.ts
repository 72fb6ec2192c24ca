/**
 * When to send again, and after how long.
 *   wait = retryAfter + half … whole of min(1,000, 50 · 2^attempt) ms
 * What the server asks for, in an error's details or by Retry-After, is the least; what comes on top spreads the callers of one overload over time.
 */
import { isMillraceError } from '@millrace/protocol';

const delayMsFirst = 50;
const delayMsMax = 1_000;

/** True when the table says that waiting helps. The caller knows whether a second sending can do harm. */
export function waitingHelps(error: unknown): boolean {
  return isMillraceError(error) && error.retry === 'backoff';
}

/** What an error's details ask for; null: nothing. Finer than Retry-After, which knows whole seconds. */
export function retryAfterMsOf(error: unknown): number | null {
  const afterMs = isMillraceError(error) ? error.details?.retryAfterMs : undefined;
  return typeof afterMs === 'number' && afterMs >= 0 ? afterMs : null;
}

/**
 * @param attempt       sendings so far, minus one.
 * @param retryAfterMs  what the server asked for, 0 if nothing.
 * @param random        uniform in [0, 1).
 */
export function retryDelayMs(options: { attempt: number; retryAfterMs: number; random: number }): number {
  const { attempt, retryAfterMs, random } = options;
  const backoffMs = Math.min(delayMsMax, delayMsFirst * 2 ** attempt);
  return retryAfterMs + backoffMs * (0.5 + random / 2);
}
