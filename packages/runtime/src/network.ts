/**
 * Byte streams between processes as a thing that is handed in: TCP or TLS outside tests (tcp-network.ts), a simulated
 * network inside the simulator. Shaped after what pulls need: bytes read into memory of the reader's own, writes of one turn
 * sent together, a bound on what is unsent. Events come in turns of their own, never from within a call of the wire.
 */

/** One end of a stream that is open or opening. After its end every call does nothing. */
export interface Wire {
  /**
   * Queues `bytes`; writes before the stream is open wait for it. They must stay as they are until `onSent`, which is called
   * once they are handed to the network, or the stream is over.
   */
  write(bytes: Uint8Array, onSent?: () => void): void;
  /** Writes between the two leave together. */
  cork(): void;
  uncork(): void;
  /** Bytes queued and not yet handed to the network. */
  readonly unsentBytes: number;
  /** Stops and resumes reading. */
  pause(): void;
  resume(): void;
  /**
   * Ends this half of the stream after what is queued, and `last`. Bytes that still come are dropped; the stream is over
   * once the other side ends its half too, so whoever does not trust it calls `destroy` some time later.
   */
  end(last?: Uint8Array): void;
  /** Ends it at once. */
  destroy(): void;
  /** Address of the other side, for logs. */
  readonly peer: string;
}

/** None of these may throw. */
export interface WireEvents {
  /** Memory that the next bytes go to, at least one byte. Asked again after each `onFilled`. */
  room(): Uint8Array;
  /** `bytes` bytes were put at the start of the last room. */
  onFilled(bytes: number): void;
  /** What was queued has been handed to the network. */
  onDrain?(): void;
  /** The stream is over, called once whoever ended it. `reason` says why in words; null after an orderly end. */
  onClosed(reason: string | null): void;
}

export interface WireAddress {
  readonly host: string;
  readonly port: number;
}

export interface WireListener {
  readonly port: number;
  /** Takes no more connections and resolves once those that were taken have closed; the caller ends them. */
  close(): Promise<void>;
}

export interface ListenOptions extends WireAddress {
  /** More are turned away. */
  readonly connectionsMax: number;
  /** Called for each connection; what it returns is told of its bytes. */
  readonly onConnection: (wire: Wire) => WireEvents;
  /**
   * A caller was refused before it could carry a byte of ours: one without TLS, or with a certificate that the port does not
   * take. What this returns is sent to it if it can read it, in the clear or through TLS as it came, and the stream ends.
   */
  readonly onRefused: (reason: string, peer: string) => Uint8Array;
  readonly onFailed: (error: Error) => void;
}

export interface Network {
  /** Begins a connection; `events.onClosed` tells when it cannot be made. */
  connect(address: WireAddress, events: WireEvents): Wire;
  /** @throws when the port cannot be taken */
  listen(options: ListenOptions): Promise<WireListener>;
}
