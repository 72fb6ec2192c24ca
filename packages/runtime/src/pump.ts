/**
 * Hands items to a handler one after the other, never two at once. While handlers return nothing the pump runs in the
 * caller's stack and allocates nothing; once a handler returns a promise, the rest waits for it. A handler that feeds the
 * pump again (by appending to the log that it reads) does not re-enter: the loop that runs already sees the new item.
 */

export interface PumpOptions<Item> {
  /** The next item, or undefined when there is none now. Called once for each item, in order. */
  readonly take: () => Item | undefined;
  readonly handle: (item: Item) => void | Promise<void>;
  /** Called once, after the handler threw or its promise rejected; nothing is handled any more. */
  readonly onFailed: (error: Error) => void;
  /** Called whenever `take` had nothing left. */
  readonly onIdle?: () => void;
  /** Holds the promise of this pump while handlers are under way that answered with one; shared by many pumps. */
  readonly draining?: Set<Promise<void>>;
}

export class Pump<Item> {
  readonly #options: PumpOptions<Item>;
  #active = false;
  #stopped = false;
  #failed = false;
  #draining: Promise<void> | null = null;

  constructor(options: PumpOptions<Item>) {
    this.#options = options;
  }

  /** Handles what there is, unless it is being handled already. */
  run(): void {
    if (this.#active || this.#stopped) return;
    this.#active = true;
    const pending = this.#runUntilPromise();
    if (pending === null) this.#active = false;
    else this.#await(pending);
  }

  /** Handles nothing more; resolves once no handler runs. Never to be awaited inside the handler. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#draining;
  }

  /** Handles items until there are none (null) or one answers with a promise. */
  #runUntilPromise(): Promise<void> | null {
    const { take, handle, onIdle } = this.#options;
    while (!this.#stopped) {
      const item = take();
      if (item === undefined) {
        onIdle?.();
        return null;
      }
      try {
        // An arrow function may hand back anything where nothing is wanted; only a promise is waited for.
        const result: unknown = handle(item);
        if (result instanceof Promise) return result;
      } catch (error) {
        this.#fail(error);
      }
    }
    return null;
  }

  #await(pending: Promise<void>): void {
    const draining = this.#drain(pending).then(() => {
      this.#options.draining?.delete(draining);
    });
    this.#draining = draining;
    this.#options.draining?.add(draining);
  }

  async #drain(first: Promise<void>): Promise<void> {
    let pending: Promise<void> | null = first;
    while (pending !== null) {
      try {
        await pending;
      } catch (error) {
        this.#fail(error);
      }
      pending = this.#runUntilPromise();
    }
    this.#draining = null;
    this.#active = false;
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#stopped = true;
    this.#options.onFailed(error instanceof Error ? error : new Error(String(error)));
  }
}
