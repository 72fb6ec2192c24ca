/** Reads the frames of a connection between a client and a shard, as they pass. */
import { frameKinds } from '@millrace/protocol';
import type { SimulatedProcess } from './simulated-process.ts';
import type { WireWatch } from './simulated-stream.ts';
import type { World } from './world.ts';

export interface WatchedAnswer {
  readonly shard: string;
  /** Epoch of the map that the shard answered by. */
  readonly epoch: number;
  readonly partitions: readonly number[];
}

/** A read is answered in the very turn in which its last byte is read: looking rows up takes no time that is simulated. */
const answerMsMax = 1;

/** @param onRows  told of each answer with rows. */
export function watchWire(
  world: World,
  shard: SimulatedProcess,
  onRows: (answer: WatchedAnswer) => void,
): WireWatch {
  const requests = new Map<number, number>();
  /** Highest applied sequence of each partition that this connection has answered with. */
  const sequences = new Map<number, number>();
  const readRequests = createFrameSplitter((frame) => {
    if (frame.getUint8(6) === frameKinds.pull) requests.set(frame.getUint32(8, true), world.nowMs);
  });
  const readAnswers = createFrameSplitter((frame) => {
    const kind = frame.getUint8(6);
    const requestId = frame.getUint32(8, true);
    const askedMs = requests.get(requestId);
    requests.delete(requestId);
    if (askedMs !== undefined && shard.troubledMs <= askedMs && world.nowMs - askedMs > answerMsMax)
      world.violate('I8', `${shard.name} let a pull wait for ${(world.nowMs - askedMs).toFixed(1)} ms`);
    if (kind !== frameKinds.rows) return;
    const applied = appliedOf(frame);
    for (const { partition, sequence } of applied) {
      const before = sequences.get(partition) ?? 0;
      if (sequence < before)
        world.violate(
          'session',
          `${shard.name}: partition ${partition} went back from ${before} to ${sequence} on one connection`,
        );
      sequences.set(partition, sequence);
    }
    onRows({
      shard: shard.name,
      epoch: frame.getUint32(12, true),
      partitions: applied.map(({ partition }) => partition),
    });
  });
  return { onRequest: readRequests, onAnswer: readAnswers };
}

/** Partitions of a rows frame and the sequences that they were read at. */
function appliedOf(frame: DataView): readonly { partition: number; sequence: number }[] {
  const count = frame.getUint32(16, true);
  const dim = frame.getUint32(20, true);
  const partitions = frame.getUint32(24, true);
  const from = 32 + 4 * count * dim;
  return Array.from({ length: partitions }, (_, i) => ({
    partition: frame.getUint32(from + 16 * i, true),
    sequence: frame.getUint32(from + 16 * i + 8, true) + 2 ** 32 * frame.getUint32(from + 16 * i + 12, true),
  }));
}

/** Cuts a stream of bytes into frames by the length that each begins with. */
function createFrameSplitter(onFrame: (frame: DataView) => void): (bytes: Uint8Array) => void {
  let pending = new Uint8Array(0);
  return (bytes) => {
    const all = new Uint8Array(pending.length + bytes.length);
    all.set(pending);
    all.set(bytes, pending.length);
    let at = 0;
    while (all.length - at >= 16) {
      const view = new DataView(all.buffer, at);
      const length = view.getUint32(0, true);
      if (length < 16 || length > all.length - at) break;
      onFrame(new DataView(all.buffer, at, length));
      at += length;
    }
    pending = all.subarray(at);
  };
}
