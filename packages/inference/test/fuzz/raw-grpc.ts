/** Unary calls over HTTP/2 without a gRPC library: a fraction of its time, and frames may be as wrong as one likes. */
import { connect } from 'node:http2';

export interface RawAnswer {
  /** grpc-status. */
  readonly status: number;
  readonly details: string;
  /** `millrace-code`, where there is one. */
  readonly code: string | undefined;
}

export interface RawGrpc {
  /** @param frame  compression flag, length and message, as it is to be sent. Rejects when no answer comes. */
  call(path: string, frame: Buffer): Promise<RawAnswer>;
  close(): void;
}

/** A message in its frame: one byte, 0 for none compressed, and four of its length. */
export function frameOf(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

export function openRawGrpc(address: string, hangMs: number): RawGrpc {
  const session = connect(`http://${address}`);
  session.on('error', () => {});
  return {
    call(path, frame) {
      return new Promise((resolve, reject) => {
        const stream = session.request({
          ':method': 'POST',
          ':path': path,
          'content-type': 'application/grpc',
          te: 'trailers',
        });
        let told: Record<string, unknown> = {};
        const note = (headers: Record<string, unknown>) => {
          told = { ...told, ...headers };
        };
        stream.setTimeout(hangMs, () => stream.destroy(new Error(`nothing came for ${hangMs} ms`)));
        stream.on('response', note);
        stream.on('trailers', note);
        stream.on('error', reject);
        stream.on('close', () => {
          const { 'grpc-status': status, 'grpc-message': details, 'millrace-code': code } = told;
          if (status === undefined) return reject(new Error(`ended without a status, ${stream.rstCode}`));
          resolve({
            status: Number(status),
            details: String(details ?? ''),
            code: code === undefined ? undefined : String(code),
          });
        });
        stream.resume();
        stream.end(frame);
      });
    },
    close: () => session.destroy(),
  };
}
