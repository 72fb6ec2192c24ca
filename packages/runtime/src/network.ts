/**
 * Byte streams between processes as a thing that is handed in: TCP or TLS outside tests (tcp-network.ts), a simulated
 * network inside the simulator. Shaped after what pulls need: bytes read into memory of the reader's own, writes of one turn
 * sent together, a bound on what is unsent.
 */

/** One end of an open stream. */
export interface Wire {
  /** Queues `bytes`, which must stay as they are until `onSent`; writes before the stream is open wait for it. */
  write(bytes: Uint8Array, onSent?: () => void): void;
  /** Writes between the two leave together. */
  cork(): void;
  uncork(): void;
  /** Bytes queued and not yet handed to the network. */
  readonly unsentBytes: number;
  /** Stops and resumes reading. */
  pause(): void;
  resume(): void;
  /** Ends the stream after what is queued, and `last`. */
  end(last?: Uint8Array): void;
  /** Ends it at once. */
  destroy(): void;
  /** Address of the other side, for logs. */
  readonly peer: string;
}

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
  /** A connection was refused before it could carry a byte of ours: a caller without TLS, a bad certificate. */
  readonly onRefused: (reason: string, peer: string) => void;
  readonly onFailed: (error: Error) => void;
}

export interface Network {
  /** Begins a connection; `events.onClosed` tells when it cannot be made. */
  connect(address: WireAddress, events: WireEvents): Wire;
  /** @throws when the port cannot be taken */
  listen(options: ListenOptions): Promise<WireListener>;
}
