/** Calls over Thrift that are right, what fuzzing makes of them, and a client that sends frames as they are. */
import { createRequire } from 'node:module';
import { connect, type Socket } from 'node:net';
import { errorTable } from '@millrace/protocol';
import { featuresOf, types } from '../thrift/thrift-clients.ts';
import { mutatedBytes, type Random } from './mutations.ts';

const load = createRequire(import.meta.url);
const thrift = load('thrift');

function messageOf(method: string, request: { write(output: unknown): void }): Buffer {
  let frame: Buffer = Buffer.alloc(0);
  const transport = new thrift.TFramedTransport(undefined, (bytes: Buffer) => {
    frame = bytes;
  });
  const output = new thrift.TBinaryProtocol(transport);
  output.writeMessageBegin(method, thrift.Thrift.MessageType.CALL, 1);
  output.writeFieldBegin('request', thrift.Thrift.Type.STRUCT, 1);
  request.write(output);
  output.writeFieldStop();
  output.flush();
  return frame.subarray(4);
}

const features = featuresOf({ user: 'u', hour: 3, item: 7n, seen: ['a', 'b'], price: 1.5 });
const right = [
  messageOf(
    'score',
    new types.ScoreRequest({ model: 'demo', user: features, items: [features, features], log: false }),
  ),
  messageOf(
    'score',
    new types.ScoreRequest({
      model: 'demo',
      requestId: 'r',
      context: features,
      items: [features],
      call: new types.Call({ timeoutMs: 9_000, key: 'k' }),
    }),
  ),
  messageOf(
    'rank',
    new types.RankRequest({
      model: 'demo',
      user: features,
      items: [features, features],
      exploration: new types.Exploration({ type: 'epsilon-greedy', epsilon: 0.5 }),
      count: 1,
      modelVersion: 'live',
      call: new types.Call({ priority: 'high' }),
    }),
  ),
  messageOf(
    'sendOutcomes',
    new types.OutcomesRequest({
      outcomes: [
        new types.Outcome({ model: 'demo', requestId: 'r', index: 1, value: 2 }),
        new types.Outcome({ model: 'demo', requestId: 'r', item: new types.Scalar({ text: 'a' }) }),
      ],
    }),
  ),
];

/** A frame whose length is right; now and then it is not. */
export function thriftShotOf(random: Random): Buffer {
  const message = mutatedBytes(random, right[Math.floor(random() * right.length)]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(random() < 0.01 ? 0x7fff_ffff : message.byteLength);
  return Buffer.concat([head, message]);
}

/** Code of a reply, 'ok', or the text of one that Thrift itself has; all stand in it as they are. */
export function thriftOutcomeOf(reply: string): string {
  const own = /wanted (a call|one of score, rank, sendOutcomes)/.exec(reply);
  if (own) return own[0];
  const code = /MILL_[A-Z_]+/.exec(reply)?.[0];
  if (code === undefined) return 'ok';
  const { http } = errorTable[code as keyof typeof errorTable] ?? { http: 500 };
  return http >= 500 && code !== 'MILL_TIMEOUT' && code !== 'MILL_OVERLOADED' ? `defect ${reply}` : code;
}

export interface Frames {
  /** One frame out, one back; null when the other side closes instead. */
  exchange(frame: Buffer): Promise<Buffer | null>;
  close(): void;
}

export function openFrames(port: number, hangMs: number): Frames {
  let socket: Socket | null = null;
  return {
    exchange(frame) {
      const used = socket ?? connect(port, '127.0.0.1');
      socket = used;
      let received: Buffer = Buffer.alloc(0);
      return new Promise((resolve, reject) => {
        const settle = (act: () => void) => {
          used.removeAllListeners();
          used.on('error', () => {});
          act();
        };
        const isOver = () => {
          socket = null;
          settle(() => resolve(null));
        };
        used.setTimeout(hangMs, () => settle(() => reject(new Error(`nothing came for ${hangMs} ms`))));
        used.on('error', isOver);
        used.on('close', isOver);
        used.on('data', (chunk: Buffer) => {
          received = Buffer.concat([received, chunk]);
          if (received.byteLength >= 4 && received.byteLength >= 4 + received.readUInt32BE(0))
            settle(() => resolve(received));
        });
        used.write(frame);
      });
    },
    close: () => socket?.destroy(),
  };
}
