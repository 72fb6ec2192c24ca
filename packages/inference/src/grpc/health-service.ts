/** grpc.health.v1.Health: the state of the node, which all its services share. */
import { type ServerWritableStream, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Clock } from '@millrace/runtime';
import type { ScoringService } from '../scoring-service.ts';

type Message = { readonly service: string };
type Watch = ServerWritableStream<Message, object>;

/** How soon a watcher hears of a change, ms. */
const lookEveryMs = 250;

export interface HealthService {
  readonly methods: UntypedServiceImplementation;
  /** Tells watchers that nothing is served any more, and ends their calls. */
  close(): void;
}

/** @param names  services that are told of; '' stands for all. */
export function healthService(
  service: ScoringService,
  names: readonly string[],
  clock: Clock,
): HealthService {
  const watches = new Map<Watch, string>();
  let closed = false;
  const stateNow = () => (service.ready && !closed ? 'SERVING' : 'NOT_SERVING');
  const tell = (watch: Watch, last: string) => {
    const state = names.includes(watch.request.service) ? stateNow() : 'SERVICE_UNKNOWN';
    if (state !== last) watch.write({ status: state });
    watches.set(watch, state);
  };
  const look = () => {
    for (const [watch, last] of watches) tell(watch, last);
    timer = clock.setTimer(lookEveryMs, look);
  };
  let timer = clock.setTimer(lookEveryMs, look);
  return {
    methods: {
      Check(call: { readonly request: Message }, callback: (error: object | null, answer?: object) => void) {
        if (names.includes(call.request.service)) callback(null, { status: stateNow() });
        else callback({ code: status.NOT_FOUND, details: 'no service of that name' });
      },
      List(_call: object, callback: (error: object | null, answer?: object) => void) {
        callback(null, { statuses: Object.fromEntries(names.map((name) => [name, { status: stateNow() }])) });
      },
      Watch(watch: Watch) {
        watch.on('cancelled', () => watches.delete(watch));
        watch.on('error', () => watches.delete(watch));
        tell(watch, '');
      },
    },
    close() {
      closed = true;
      timer.cancel();
      for (const [watch, last] of watches) {
        tell(watch, last);
        watch.end();
      }
      watches.clear();
    },
  };
}
