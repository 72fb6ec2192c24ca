/** How a shard leaves: it serves on until others answer for what it holds, unless there is nobody who could. */
import type { Bus, Clock, ClusterView } from '@millrace/runtime';

/** NATS going away changes nothing that the view would tell of, so it is looked at this often. */
const lookEveryMs = 250;

export interface HandoverOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly view: ClusterView;
  readonly shard: string;
  readonly waitMsMax: number;
}

/** `alone`: nobody takes over, or nobody can be reached. */
export type HandoverEnd = 'handed over' | 'alone' | 'too late';

/** Resolves once the shard may go. */
export function awaitHandover(options: HandoverOptions): Promise<HandoverEnd> {
  const { clock, view, waitMsMax } = options;
  const deadlineMs = clock.monotonicMs() + waitMsMax;
  return new Promise((resolve) => {
    let timer = { cancel() {} };
    const look = () => {
      timer.cancel();
      const now = stateOf(options);
      const end = now ?? (clock.monotonicMs() >= deadlineMs ? 'too late' : null);
      if (end === null) {
        timer = clock.setTimer(Math.min(lookEveryMs, deadlineMs - clock.monotonicMs()), look);
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
