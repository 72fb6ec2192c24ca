/**
 * What a process owns and how it ends. Whatever has a `close` is handed over when it is opened, and is closed in reverse
 * order, each within a time limit, so that one stuck part cannot keep the others from saving what they have. Promises that
 * nobody waits for are handed over too: one that rejects fails the service.
 */
import { MillraceError, reasonFrom } from '@millrace/protocol';
import { type Clock, systemClock } from './clock.ts';
import type { Logger } from './logger.ts';

export interface Closeable {
  close(): Promise<void> | void;
}

export interface CloseLimits {
  readonly closeMsMax: number;
}

export interface ServiceOptions {
  readonly name: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** How long one owned thing may take to close, ms. Default 10,000. */
  readonly closeMsMax?: number;
}

export interface Service {
  readonly name: string;
  readonly logger: Logger;
  /** True from the first call of `close`. */
  readonly closing: boolean;
  /**
   * Takes over `closeable` and gives it back.
   * @param limits.closeMsMax  how long closing it may take, ms, where that is not what the service says.
   * @throws MILL_CLOSED when the service is closing already; `closeable` is closed then too.
   */
  own<Owned extends Closeable>(what: string, closeable: Owned, limits?: CloseLimits): Owned;
  /** Takes over a promise. If it rejects before the service closes, the service fails. */
  background(promise: Promise<unknown>, what: string): void;
  /** Rejects when a background promise did; never resolves. */
  readonly failed: Promise<never>;
  /** Closes everything, the last owned first; the same promise however often it is called. Never rejects. */
  close(): Promise<void>;
}

/** Creates a service that owns nothing yet. */
export function createService(options: ServiceOptions): Service {
  return new ServiceCore(options);
}

const closeMsMaxDefault = 10_000;

interface OwnedPart {
  readonly what: string;
  readonly closeable: Closeable;
  readonly closeMsMax: number;
}

class ServiceCore implements Service {
  readonly name: string;
  readonly logger: Logger;
  readonly failed: Promise<never>;
  readonly #clock: Clock;
  readonly #closeMsMax: number;
  readonly #owned: OwnedPart[] = [];
  readonly #background = new Set<Promise<void>>();
  #fail: (error: Error) => void = () => undefined;
  #closing: Promise<void> | null = null;

  constructor(options: ServiceOptions) {
    this.name = options.name;
    this.logger = options.logger;
    this.#clock = options.clock ?? systemClock;
    this.#closeMsMax = options.closeMsMax ?? closeMsMaxDefault;
    this.failed = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
    // A failure that comes before anyone waits for it is not an unhandled one: it is logged, and waits here.
    this.failed.catch(() => undefined);
  }

  get closing(): boolean {
    return this.#closing !== null;
  }

  own<Owned extends Closeable>(what: string, closeable: Owned, limits?: CloseLimits): Owned {
    const part = { what, closeable, closeMsMax: limits?.closeMsMax ?? this.#closeMsMax };
    if (this.#closing === null) {
      this.#owned.push(part);
      return closeable;
    }
    this.background(this.#closePart(part), `closing ${what}`);
    throw new MillraceError('MILL_CLOSED', `${this.name} is closing: ${what} is not wanted any more`);
  }

  background(promise: Promise<unknown>, what: string): void {
    const watched: Promise<void> = promise
      .then(
        () => undefined,
        (error: unknown) => this.#backgroundFailed(error, what),
      )
      .finally(() => this.#background.delete(watched));
    this.#background.add(watched);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // One turn of the event loop, so that `closing` is true before the first part is closed.
    await Promise.resolve();
    for (let part = this.#owned.pop(); part !== undefined; part = this.#owned.pop())
      await this.#closePart(part);
    const ended = await this.#within(this.#closeMsMax, Promise.all(this.#background));
    if (!ended) this.logger.warn({ promises: this.#background.size }, 'background work did not end in time');
  }

  async #closePart({ what, closeable, closeMsMax }: OwnedPart): Promise<void> {
    try {
      const ended = await this.#within(closeMsMax, Promise.resolve(closeable.close()));
      if (!ended) this.logger.warn({ part: what, limitMs: closeMsMax }, 'part did not close in time');
    } catch (error) {
      this.logger.error({ part: what, reason: reasonFrom(error) }, 'part failed to close');
    }
  }

  /** True when `promise` resolved within the limit; a rejection passes through. */
  async #within(limitMs: number, promise: Promise<unknown>): Promise<boolean> {
    let timer = { cancel: () => {} };
    const late = new Promise<false>((resolve) => {
      timer = this.#clock.setTimer(limitMs, () => resolve(false));
    });
    try {
      return await Promise.race([promise.then(() => true), late]);
    } finally {
      timer.cancel();
    }
  }

  #backgroundFailed(error: unknown, what: string): void {
    if (this.closing) {
      this.logger.warn({ what, reason: reasonFrom(error) }, 'background work failed while closing');
      return;
    }
    this.logger.error({ what, reason: reasonFrom(error) }, 'background work failed');
    this.#fail(error instanceof Error ? error : new Error(String(error)));
  }
}
