/** The thread that onnx-aside.ts starts: sessions, and batches of requests as they are to be scored. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { invariant } from '@millrace/protocol';
import type { InferenceSession } from 'onnxruntime-node';
import { atLeast } from './batch-space.ts';
import type { NetInput } from './engine.ts';
import { gather } from './gather.ts';
import type { AsideAnswer, AsideArrays, AsideNet, AsideOrder } from './onnx-aside.ts';
import { logitsOutput, OnnxInputs, putLogits } from './onnx-inputs.ts';
import { importOrt, type Ort } from './onnx-runtime.ts';

type Score = Extract<AsideOrder, { type: 'score' }>;

/** A session, and what its calls work with. Of inputs the library takes no shared memory. */
class Opened {
  readonly session: InferenceSession;
  readonly #net: AsideNet;
  readonly #inputs: OnnxInputs;
  readonly #batches = new Map<number, AsideArrays>();
  #memory = new SharedArrayBuffer(0);
  #wide: Float32Array = new Float32Array(0);
  #embeddings: Float32Array = new Float32Array(0);
  #dense: Float32Array = new Float32Array(0);
  #lengths: Int32Array = new Int32Array(0);

  constructor(session: InferenceSession, ort: Ort, net: AsideNet) {
    this.session = session;
    this.#net = net;
    this.#inputs = new OnnxInputs(ort, net.shape, net.sides);
  }

  async score(order: Score): Promise<void> {
    if (order.arrays) this.#batches.set(order.batch, order.arrays);
    this.#memory = order.memory ?? this.#memory;
    const { tensors, wide } = this.#inputs.feed(this.#gathered(order));
    const results = await this.session.run(tensors);
    const logits = new Float32Array(this.#memory, 0, order.rows);
    putLogits(results[logitsOutput].data as Float32Array, wide, logits);
  }

  #gathered({ batch: place, rows, requests, occurrences }: Score): NetInput {
    const arrays = this.#batches.get(place);
    invariant(arrays !== undefined, 'a batch is told before it is scored');
    const { plan, starts, tables } = arrays;
    this.#wide = atLeast(this.#wide, rows);
    this.#embeddings = atLeast(this.#embeddings, rows * plan.embeddingFloats);
    const input = {
      rows,
      wide: this.#wide,
      embeddings: this.#embeddings,
      dense: this.#numbers(rows),
      lengths: this.#counts(rows),
      requests: { starts, count: requests },
    };
    const batch = {
      rows,
      starts,
      requests,
      tables: tables.map((table, t) => ({ ...table, occurrences: occurrences[t] })),
    };
    gather(plan, batch, arrays.rows, input);
    return input;
  }

  #numbers(rows: number): Float32Array {
    const count = rows * this.#net.shape.denseFields;
    if (count === 0) return this.#dense;
    this.#dense = atLeast(this.#dense, count);
    this.#dense.set(new Float32Array(this.#memory, 4 * rows, count));
    return this.#dense;
  }

  #counts(rows: number): Int32Array {
    const { denseFields, attention } = this.#net.shape;
    const count = rows * attention.length;
    if (count === 0) return this.#lengths;
    if (this.#lengths.length < count) this.#lengths = new Int32Array(2 * count);
    this.#lengths.set(new Int32Array(this.#memory, 4 * rows * (1 + denseFields), count));
    return this.#lengths;
  }
}

const opened = new Map<number, Opened>();

async function carryOut(order: AsideOrder, ort: Ort): Promise<void> {
  if (order.type === 'open') {
    const session = await ort.InferenceSession.create(order.model, order.options);
    opened.set(order.session, new Opened(session, ort, order.net));
    return;
  }
  const of = opened.get(order.session);
  invariant(of !== undefined, 'a session is opened before it is asked, and released once');
  if (order.type === 'score') {
    await of.score(order);
    return;
  }
  opened.delete(order.session);
  await of.session.release();
}

const answers = workerData as MessagePort;
const library = importOrt();
parentPort?.on('message', (order: AsideOrder) => {
  const answer = (told: AsideAnswer) => answers.postMessage(told);
  library
    .then((ort) => carryOut(order, ort))
    .then(
      () => answer({ id: order.id }),
      (error: unknown) =>
        answer({ id: order.id, failure: error instanceof Error ? error.message : String(error) }),
    );
});
