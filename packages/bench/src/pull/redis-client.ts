/**
 * Just enough of a Redis client (RESP2) to be as fast as Node.js allows: whole commands are written at once, answers are read
 * into one buffer, and each value goes from there straight to its place. What is measured through it is the server.
 *
 *   MGET     *<n + 1>\r\n $4\r\nMGET\r\n  n × ( $8\r\n <key> \r\n )
 *   answer   *<n>\r\n  n × ( $64\r\n <row> \r\n, or $-1\r\n where there is none )
 *   MSET     *<2n + 1>\r\n $4\r\nMSET\r\n  n × ( $8\r\n <key> \r\n $64\r\n <row> \r\n );  answer +OK\r\n
 */
import { connect } from 'node:net';
import { MillraceError } from '@millrace/protocol';
import { rowFloats } from './workload.ts';

export interface RedisClient {
  /** Rows of keys, uint32[2 · count], to `out`, float32[count, rowFloats]; the place of an absent one stays as it is. */
  mget(keys: Uint32Array, count: number, out: Float32Array): Promise<void>;
  /** Sets rows, float32[count, rowFloats]. */
  mset(keys: Uint32Array, count: number, rows: Float32Array): Promise<void>;
  close(): void;
}

const rowBytes = 4 * rowFloats;
const keyPartBytes = 4 + 8 + 2;
const rowHeadBytes = 5;
const rowPartBytes = rowHeadBytes + rowBytes + 2;
const nilPartBytes = 5;
const headBytesMax = 32;
const bufferBytes = 1024 * 1024;
const minus = 0x2d;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

interface Waiting {
  readonly out: Float32Array;
  /** Values that the answer has; 0 for an answer of one line. */
  readonly count: number;
  /** Values read. */
  place: number;
  headIsRead: boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export function connectRedis(port: number): RedisClient {
  const bytes = new Uint8Array(bufferBytes);
  const view = new DataView(bytes.buffer);
  const waiting: Waiting[] = [];
  let start = 0;
  let end = 0;

  /** Reads on in the answer that is due; false when it is not whole yet. */
  const readAnswer = (answer: Waiting): boolean => {
    if (!answer.headIsRead) {
      const lineEnd = bytes.indexOf(lineFeed, start);
      if (lineEnd < 0 || lineEnd >= end) return false;
      if (bytes[start] === minus) throw new Error(String.fromCharCode(...bytes.subarray(start, lineEnd)));
      start = lineEnd + 1;
      answer.headIsRead = true;
    }
    for (; answer.place < answer.count; answer.place += 1) {
      if (end - start < nilPartBytes) return false;
      if (bytes[start + 1] === minus) {
        start += nilPartBytes;
        continue;
      }
      if (end - start < rowPartBytes) return false;
      const at = start + rowHeadBytes;
      const put = answer.place * rowFloats;
      for (let d = 0; d < rowFloats; d += 1) answer.out[put + d] = view.getFloat32(at + 4 * d, true);
      start += rowPartBytes;
    }
    return true;
  };

  const onBytes = (count: number) => {
    end += count;
    while (waiting.length > 0 && readAnswer(waiting[0])) waiting.shift()?.resolve();
    // What is left is part of one value or nothing, so this moves little.
    bytes.copyWithin(0, start, end);
    end -= start;
    start = 0;
  };

  const fail = (error: Error) => {
    for (const { reject } of waiting.splice(0)) reject(error);
  };

  const socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: () => bytes.subarray(end),
      callback(count) {
        try {
          onBytes(count);
        } catch (error) {
          fail(error as Error);
          socket.destroy();
        }
        return true;
      },
    },
  });
  socket.on('error', fail);
  socket.on('close', () => fail(new MillraceError('MILL_UNREACHABLE', 'redis-server closed the connection')));

  const ask = (command: Uint8Array, out: Float32Array, count: number) =>
    new Promise<void>((resolve, reject) => {
      waiting.push({ out, count, place: 0, headIsRead: false, resolve, reject });
      socket.write(command);
    });

  return {
    mget: (keys, count, out) => ask(writeCommand('MGET', keys, count, null), out, count),
    mset: (keys, count, rows) => ask(writeCommand('MSET', keys, count, rows), rows, 0),
    close: () => socket.destroy(),
  };
}

function writeCommand(name: string, keys: Uint32Array, count: number, rows: Float32Array | null): Uint8Array {
  const parts = rows ? 2 * count + 1 : count + 1;
  const bytes = Buffer.allocUnsafe(headBytesMax + count * (keyPartBytes + (rows ? rowPartBytes : 0)));
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const keyHead = new DataView(Uint8Array.from(Buffer.from('$8\r\n')).buffer).getUint32(0, true);
  let at = bytes.write(`*${parts}\r\n$4\r\n${name}\r\n`, 'latin1');
  const endLine = () => {
    bytes[at] = carriageReturn;
    bytes[at + 1] = lineFeed;
    at += 2;
  };
  for (let i = 0; i < count; i += 1) {
    view.setUint32(at, keyHead, true);
    view.setUint32(at + 4, keys[2 * i], true);
    view.setUint32(at + 8, keys[2 * i + 1], true);
    at += 12;
    endLine();
    if (!rows) continue;
    at += bytes.write(`$${rowBytes}\r\n`, at, 'latin1');
    for (let d = 0; d < rowFloats; d += 1) view.setFloat32(at + 4 * d, rows[i * rowFloats + d], true);
    at += rowBytes;
    endLine();
  }
  return bytes.subarray(0, at);
}
