/** What this node has written itself and acts on only once it has come back through a watch. */
import type { Clock } from '@millrace/runtime';

/** How long a write may take to come back. */
export const ownWriteMsMax = 5_000;

interface ModelView {
  onChange(listener: (model: string) => void): () => void;
}

/** Resolves once `holds`, which is asked now and at every change of the model, or when the time is up: the answer goes out then all the same. */
export function untilSeen(
  view: ModelView,
  clock: Pick<Clock, 'setTimer'>,
  model: string,
  holds: () => boolean,
): Promise<void> {
  return new Promise((resolve) => {
    if (holds()) return resolve();
    const done = () => {
      stop();
      limit.cancel();
      resolve();
    };
    const stop = view.onChange((changed) => {
      if (changed === model && holds()) done();
    });
    const limit = clock.setTimer(ownWriteMsMax, done);
  });
}
