/** The thread that onnx-aside.ts starts: sessions, and calls of them as they are asked for. */
import { parentPort } from 'node:worker_threads';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { type AsideAnswer, type AsideFeed, type AsideOrder, asideOutput } from './onnx-aside.ts';
import { importOrt, type Ort } from './onnx-runtime.ts';

interface Opened {
  readonly session: InferenceSession;
  memory: SharedArrayBuffer;
  /** Inputs in memory of the thread's own, by name: the library takes no shared one. */
  readonly inputs: Map<string, Float32Array | Int32Array>;
}

const opened = new Map<number, Opened>();

async function carryOut(order: AsideOrder, ort: Ort): Promise<void> {
  if (order.type === 'open') {
    const session = await ort.InferenceSession.create(order.model, order.options);
    opened.set(order.session, { session, memory: new SharedArrayBuffer(0), inputs: new Map() });
    return;
  }
  const of = opened.get(order.session) as Opened;
  if (order.type === 'release') {
    opened.delete(order.session);
    await of.session.release();
    return;
  }
  of.memory = order.memory ?? of.memory;
  const feeds: Record<string, Tensor> = {};
  for (const feed of order.feeds) feeds[feed.name] = tensorOf(ort, of, feed);
  const results = await of.session.run(feeds);
  new Float32Array(of.memory, 4 * order.out, order.rows).set(results[asideOutput].data as Float32Array);
}

function tensorOf(ort: Ort, { memory, inputs }: Opened, { name, type, at, dims }: AsideFeed): Tensor {
  let count = 1;
  for (const size of dims) count *= size;
  const shared =
    type === 'float32' ? new Float32Array(memory, 4 * at, count) : new Int32Array(memory, 4 * at, count);
  let own = inputs.get(name);
  if (own === undefined || own.length < count) {
    own = type === 'float32' ? new Float32Array(2 * count) : new Int32Array(2 * count);
    inputs.set(name, own);
  }
  own.set(shared);
  return own instanceof Float32Array
    ? new ort.Tensor('float32', own.subarray(0, count), dims)
    : new ort.Tensor('int32', own.subarray(0, count), dims);
}

const port = parentPort;
const library = importOrt();
port?.on('message', (order: AsideOrder) => {
  const answer = (told: AsideAnswer) => port.postMessage(told);
  library
    .then((ort) => carryOut(order, ort))
    .then(
      () => answer({ id: order.id }),
      (error: unknown) =>
        answer({ id: order.id, failure: error instanceof Error ? error.message : String(error) }),
    );
});
