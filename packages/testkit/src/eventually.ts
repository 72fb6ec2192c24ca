/** Waiting for something that other processes bring about: looked at again and again, up to a deadline. */

export interface EventuallyOptions {
  /** Deadline from now. Generous values cost nothing where all is well. */
  readonly withinMs: number;
  /** Pause between two looks. Default 50. */
  readonly everyMs?: number;
}

/**
 * Resolves to what `check` gives the first time it does not throw. After the deadline it throws what `check` threw last.
 * @param check  reads the present state and throws while it is not the awaited one, for example by an assertion.
 */
export async function eventually<T>(check: () => T | Promise<T>, options: EventuallyOptions): Promise<T> {
  const untilMs = performance.now() + options.withinMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() >= untilMs) throw error;
    }
    await pause(options.everyMs ?? 50);
  }
}

/** Resolves after `delayMs`: for the pace of a load, never to wait for an effect. */
export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
