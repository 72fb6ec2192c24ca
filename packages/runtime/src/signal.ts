/** A latch that one waiter sleeps on: raised, it wakes the waiter at once, or the next time it would sleep. */
export class Signal {
  #raised = false;
  #wake: (() => void) | null = null;

  raise(): void {
    this.#raised = true;
    this.#wake?.();
  }

  /** Resolves once the signal was raised since the last wait, or after `msMax`; lowers it. */
  async wait(msMax: number): Promise<void> {
    if (!this.#raised) {
      await new Promise<void>((resolve) => {
        const timer = Number.isFinite(msMax) ? setTimeout(resolve, msMax) : null;
        this.#wake = () => {
          if (timer !== null) clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wake = null;
    this.#raised = false;
  }
}
