/** Keeps a store busy for a while and takes the time of every request. */
import type { Setting } from './parameters.ts';
import type { RowStore } from './row-store.ts';
import { type Request, rowFloats } from './workload.ts';

export interface Round {
  readonly keysPerSecond: number;
  /** Time from asking to having the rows, of each request. */
  readonly latenciesMs: readonly number[];
}

/** `inFlight` askers, each with the next request as soon as its last is answered, until `roundMs` have passed. */
export async function driveRound(
  store: RowStore,
  requests: readonly Request[],
  { count, inFlight, roundMs }: Setting & { readonly roundMs: number },
): Promise<Round> {
  const latenciesMs: number[] = [];
  const startMs = performance.now();
  let next = 0;
  const askOn = async () => {
    const out = new Float32Array(count * rowFloats);
    for (;;) {
      const askedMs = performance.now();
      if (askedMs - startMs >= roundMs) return;
      const request = requests[next % requests.length];
      next += 1;
      await store.ask(request, out);
      latenciesMs.push(performance.now() - askedMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, askOn));
  const elapsedMs = performance.now() - startMs;
  return { keysPerSecond: (latenciesMs.length * count * 1_000) / elapsedMs, latenciesMs };
}
