/** How a shard leaves: it serves on until others answer for what it holds, unless there is nobody who could. */
import type { Bus, Clock, ClusterView } from '@millrace/runtime';

/** NATS going away changes nothing that the view would tell of, so it is looked at this often. */
const lookEveryMs = 250;

/**
 * One that finds itself alone and is read goes on for so long: another may be starting that has not told its lease yet, as
 * where all shards are replaced at once. A process takes about half of it from its first instruction to its lease. A cluster
 * that is shut down never waits for this, since whoever reads rows ends before shards do.
 */
export const aloneMsMax = 1_000;

export interface HandoverOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly view: ClusterView;
  readonly shard: string;
  readonly waitMsMax: number;
  /** True while somebody is connected who could read here. */
  readonly isRead: () => boolean;
}

/** `alone`: nobody takes over, or nobody can be reached; then nobody reads here, or aloneMsMax have gone by. */
export type HandoverEnd = 'handed over' | 'alone' | 'too late';

/** Resolves once the shard may go. */
export function awaitHandover(options: HandoverOptions): Promise<HandoverEnd> {
  const { clock, view, waitMsMax, isRead } = options;
  const deadlineMs = clock.monotonicMs() + waitMsMax;
  let aloneSinceMs: number | null = null;
  const endAt = (nowMs: number): HandoverEnd | null => {
    const end = stateOf(options);
    aloneSinceMs = end === 'alone' ? (aloneSinceMs ?? nowMs) : null;
    const serves = aloneSinceMs !== null && isRead() && nowMs - aloneSinceMs < aloneMsMax;
    if (end !== null && !serves) return end;
    return nowMs >= deadlineMs ? 'too late' : null;
  };
  return new Promise((resolve) => {
    let timer = { cancel() {} };
    const look = () => {
      timer.cancel();
      const nowMs = clock.monotonicMs();
      const end = endAt(nowMs);
      if (end === null) {
        timer = clock.setTimer(Math.min(lookEveryMs, deadlineMs - nowMs), look);
        return;
      }
      stopListening();
      resolve(end);
    };
    const stopListening = view.onChange(look);
    look();
  });
}

function stateOf({ bus, view, shard }: HandoverOptions): HandoverEnd | null {
  if (!bus.connected) return 'alone';
  if (!isNamed(view, shard)) return 'handed over';
  const hasSuccessor = view
    .shards()
    .some(({ live, lease }) => live && !lease.draining && lease.shard !== shard);
  return hasSuccessor ? null : 'alone';
}

/** True while a map wants this shard to hold anything. */
function isNamed(view: ClusterView, shard: string): boolean {
  return [...view.models.keys()].some((model) => {
    const map = view.mapOf(model);
    const place = map?.shards.indexOf(shard) ?? -1;
    if (!map || place < 0) return false;
    const holds = (places: readonly number[]) => places.includes(place);
    return map.owners.some(holds) || (map.former?.some(holds) ?? false);
  });
}
