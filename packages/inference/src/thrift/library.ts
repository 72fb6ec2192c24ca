/** What is used of the `thrift` package, which is optional and loaded here alone: its framing and its binary protocol. */
import { MillraceError, reasonFrom } from '@millrace/protocol';

/** An i64 as the library reads it: 8 bytes, big-endian, from `offset`. */
export interface Int64 {
  readonly buffer: Uint8Array;
  readonly offset: number;
}

/** The binary protocol over one frame. Reading past the end throws. */
export interface ThriftProtocol {
  readMessageBegin(): { readonly fname: string | Buffer; readonly mtype: number; readonly rseqid: number };
  readFieldBegin(): { readonly ftype: number; readonly fid: number };
  readMapBegin(): { readonly ktype: number; readonly vtype: number; readonly size: number };
  readListBegin(): { readonly etype: number; readonly size: number };
  readBool(): boolean;
  readI32(): number;
  readI64(): Int64;
  readDouble(): number;
  readString(): string;
  skip(type: number): void;
  writeMessageBegin(name: string, type: number, sequence: number): void;
  writeFieldBegin(name: string, type: number, id: number): void;
  writeFieldStop(): void;
  writeListBegin(type: number, size: number): void;
  writeBool(value: boolean): void;
  writeI32(value: number): void;
  writeI64(value: number): void;
  writeDouble(value: number): void;
  writeString(value: string): void;
  flush(): void;
}

export type ThriftTransport = object;

export interface ThriftLibrary {
  readonly TFramedTransport: {
    new (buffer: undefined, onFlush: (frame: Buffer) => void): ThriftTransport;
    /** A reader of chunks that hands over each frame; it throws where one would be longer than `bytesMax`. */
    receiver(
      onFrame: (transport: ThriftTransport) => void,
      sequence: undefined,
      bytesMax: number,
    ): (chunk: Buffer) => void;
  };
  readonly TBinaryProtocol: new (transport: ThriftTransport) => ThriftProtocol;
}

/** @throws MILL_CONFIG_INVALID when it is not installed. */
export async function loadThrift(): Promise<ThriftLibrary> {
  try {
    const { default: library } = (await import('thrift' as string)) as { readonly default: ThriftLibrary };
    return library;
  } catch (cause) {
    throw new MillraceError(
      'MILL_CONFIG_INVALID',
      `MILL_THRIFT_PORT wants the package thrift, which cannot be loaded: npm install thrift@0.24 (${reasonFrom(cause)})`,
      { cause },
    );
  }
}
