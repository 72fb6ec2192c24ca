/** A gate that opens once, or fails once; waiting for it is bounded. */
export class Gate {
  #isOpen = false;
  readonly #passed: Promise<void>;
  #resolve: () => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor() {
    this.#passed = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // A failure that nobody waits for is told elsewhere.
    this.#passed.catch(() => undefined);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  open(): void {
    this.#isOpen = true;
    this.#resolve();
  }

  fail(error: Error): void {
    this.#reject(error);
  }

  /** Resolves when the gate opens; rejects when it fails or `msMax` pass. */
  async passed(msMax: number): Promise<void> {
    const timer = setTimeout(() => this.#reject(new Error(`nothing within ${msMax} ms`)), msMax);
    try {
      await this.#passed;
    } finally {
      clearTimeout(timer);
    }
  }
}
