import { bodyBytesMax, eventsPerPostMax, type OutcomeRequest } from '@millrace/protocol';

/** Bodies of the posts that carry `outcomes`, in order: each within the server's limits on outcomes and bytes. */
export function* outcomeBodies(outcomes: readonly OutcomeRequest[]): Generator<string, void, undefined> {
  if (outcomes.length === 0) return;
  if (outcomes.length <= eventsPerPostMax) {
    const body = JSON.stringify(outcomes);
    // A single outcome over the limit is sent as it is; the server says what is wrong with it.
    if (outcomes.length === 1 || Buffer.byteLength(body) <= bodyBytesMax) {
      yield body;
      return;
    }
  }
  const half = Math.min(eventsPerPostMax, Math.ceil(outcomes.length / 2));
  yield* outcomeBodies(outcomes.slice(0, half));
  yield* outcomeBodies(outcomes.slice(half));
}
