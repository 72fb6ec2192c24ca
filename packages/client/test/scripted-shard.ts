/** A TCP peer that speaks the pull protocol as a test tells it to. */
import { createServer, type Server, type Socket } from 'node:net';
import { createFrameReader, type Frame, frameKinds, packedFrame, readFrameHeader } from '@millrace/protocol';
import { onTestFinished } from 'vitest';

export interface ScriptedShard {
  readonly port: number;
  /** Frames other than hello that came so far, copied. */
  readonly asked: readonly Frame[];
  readonly connections: number;
  /** Resolves once `count` frames have come in all. */
  untilAsked(count: number): Promise<void>;
  /** Sends bytes on the newest connection. */
  send(bytes: Uint8Array): void;
  /** Ends every connection without a word. */
  drop(): void;
  close(): Promise<void>;
}

/** @param onFrame called for each frame other than hello; what it returns is sent back. */
export async function scriptShard(
  onFrame: (frame: Frame, socket: Socket) => Uint8Array | undefined = () => undefined,
): Promise<ScriptedShard> {
  const asked: Frame[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let newest: Socket | undefined;
  let wake = () => {};
  const server: Server = createServer({ noDelay: true }, (socket) => {
    connections += 1;
    newest = socket;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    const reader = createFrameReader();
    socket.on('data', (chunk) => {
      reader.push(chunk, ({ header, bytes }) => {
        if (header.kind === frameKinds.hello) {
          socket.write(
            packedFrame(frameKinds.welcome, { requestId: 0, epoch: 0 }, { cluster: 'demo', shard: 's' }),
          );
          return;
        }
        const copy = new Uint8Array(bytes);
        const frame = { header: readFrameHeader(new DataView(copy.buffer), 0), bytes: copy };
        asked.push(frame);
        const answer = onFrame(frame, socket);
        if (answer) socket.write(answer);
        wake();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  const close = async () => {
    drop();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  onTestFinished(close);
  return {
    port: address.port,
    asked,
    get connections() {
      return connections;
    },
    async untilAsked(count) {
      while (asked.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    send: (bytes) => void newest?.write(bytes),
    drop,
    close,
  };
}
