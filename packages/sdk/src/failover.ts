/**
 * One call, several nodes: the first is asked at once, each further one as soon as the one before it has failed or has been
 * silent for `failoverMs`. Nobody is given up for being slow: the first answer of any of them counts, and ends the rest.
 */
import { waitingHelps } from './retry.ts';

export interface AskControl {
  /** Fires once the call is decided; undefined where there is one node alone. */
  readonly signal: AbortSignal | undefined;
  /** To be called at a failure even if this node will be tried again: the next one is asked at once. */
  onFailure(): void;
}

export interface FailoverOptions<T> {
  /** At least one. */
  readonly nodes: number;
  readonly failoverMs: number;
  /** Asks the node at `place` in the order of choice, as often as it likes; rejects when it gives that node up. */
  readonly ask: (place: number, control: AskControl) => Promise<T>;
}

export interface FirstAnswer<T> {
  readonly value: T;
  /** Who gave it. */
  readonly place: number;
}

/**
 * Resolves to the first answer. Rejects with the first error that no other node would mend, or with the last one's when all
 * have been given up.
 */
export function firstAnswer<T>({ nodes, failoverMs, ask }: FailoverOptions<T>): Promise<FirstAnswer<T>> {
  return new Promise((resolve, reject) => {
    const abort = nodes > 1 ? new AbortController() : undefined;
    let started = 0;
    let givenUp = 0;
    let decided = false;
    let silence: NodeJS.Timeout | undefined;

    const decide = (end: () => void) => {
      decided = true;
      clearTimeout(silence);
      end();
      abort?.abort();
    };
    const startNext = () => {
      clearTimeout(silence);
      if (decided || started === nodes) return;
      const place = started;
      started += 1;
      if (started < nodes) silence = setTimeout(startNext, failoverMs);
      const onFailure = () => {
        if (started === place + 1) startNext();
      };
      ask(place, { signal: abort?.signal, onFailure }).then(
        (value) => {
          if (!decided) decide(() => resolve({ value, place }));
        },
        (error: unknown) => {
          if (decided) return;
          givenUp += 1;
          if (givenUp === nodes || !waitingHelps(error)) decide(() => reject(error));
          else onFailure();
        },
      );
    };
    startNext();
  });
}
