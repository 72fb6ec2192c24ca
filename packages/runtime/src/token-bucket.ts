/** A rate with some patience: `perSecond` tokens a second come in, up to a second's worth is kept, a request takes one. */
export interface TokenBucket {
  /** Takes a token. @returns 0 when there was one, else how long until the next, ms. */
  take(nowMs: number): number;
}

/** @param perSecond above 0; below 1 one token may be kept all the same. */
export function createTokenBucket(perSecond: number, startMs: number): TokenBucket {
  const most = Math.max(1, perSecond);
  let tokens = most;
  let lastMs = startMs;
  return {
    take(nowMs) {
      tokens = Math.min(most, tokens + (Math.max(0, nowMs - lastMs) * perSecond) / 1_000);
      lastMs = nowMs;
      if (tokens >= 1) {
        tokens -= 1;
        return 0;
      }
      return ((1 - tokens) * 1_000) / perSecond;
    },
  };
}
