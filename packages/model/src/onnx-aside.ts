/**
 * Scores by ONNX Runtime in a thread of their own. The library holds up the thread that calls it until it is done; a thread that
 * has requests to read and answer meanwhile hands the call to this one, and with it what comes just before: to gather rows into the
 * net's inputs. A batch and its rows lie in memory that both threads share, so that nothing is copied and the order for a call is a
 * few numbers: two wake-ups of a thread, for which an idle caller would wait longer than for the net.
 */
import { extname } from 'node:path';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { invariant, MillraceError } from '@millrace/protocol';
import type { InferenceSession } from 'onnxruntime-node';
import type { RowsInput } from './engine.ts';
import type { GatherBatch, GatherPlan } from './gather.ts';
import type { NetShape } from './net-shape.ts';
import type { RequestSides } from './onnx-requests.ts';
import { sharedFloats } from './shared-arrays.ts';

/** A session of the library in the other thread, which scores requests. */
export interface AsideSession {
  /** Writes a logit a row. One call at a time. */
  score(input: RowsInput, logits: Float32Array): Promise<void>;
  release(): Promise<void>;
}

/** What the thread has to know of a net beside its graph. */
export interface AsideNet {
  readonly shape: NetShape;
  /** Null: a request's items share nothing, and are rows. */
  readonly sides: RequestSides | null;
}

/** What a batch is gathered from, in memory that is shared. Arrays are made anew as batches grow, and told again then. */
export interface AsideArrays {
  readonly plan: GatherPlan;
  readonly starts: Int32Array;
  readonly tables: readonly Omit<GatherBatch['tables'][number], 'occurrences'>[];
  readonly rows: readonly Float32Array[];
}

/** What the thread is told. */
export type AsideOrder =
  | {
      readonly type: 'open';
      readonly id: number;
      readonly session: number;
      readonly model: Uint8Array;
      readonly options: InferenceSession.SessionOptions;
      readonly net: AsideNet;
    }
  | {
      readonly type: 'score';
      readonly id: number;
      readonly session: number;
      /** Which of the session's batches, and its arrays where they are new. */
      readonly batch: number;
      readonly arrays?: AsideArrays;
      readonly rows: number;
      readonly requests: number;
      /** By table. */
      readonly occurrences: readonly number[];
      /** Where logits are written, numbers and lengths read, one behind the other, when that is new. */
      readonly memory?: SharedArrayBuffer;
    }
  | { readonly type: 'release'; readonly id: number; readonly session: number };

/** What it answers to each, on the port that it is started with. */
export interface AsideAnswer {
  readonly id: number;
  /** Why it could not be done; absent: it was. */
  readonly failure?: string;
}

export interface OnnxAside {
  /** True once the thread is gone, by close or by itself: it opens nothing any more. */
  readonly hasEnded: boolean;
  /** True while it opens a session, which it does nothing beside: what it is asked to score waits for that. */
  readonly isOpening: boolean;
  /** @param model  an ONNX file with the output `logits`, [rows, …] of one float a row. Rejects when the thread has ended. */
  open(model: Uint8Array, options: InferenceSession.SessionOptions, net: AsideNet): Promise<AsideSession>;
  /** Takes what the thread has answered by now. Otherwise that waits for the event loop, a turn of which may be long. */
  hear(): void;
  /** Ends the thread; what it is asked meanwhile is rejected. May be called again. */
  close(): void;
}

/** `.ts` where the sources run, `.js` where the built tree does. */
const ending = extname(import.meta.url);

/** A module that has a thread translate the sources it loads, whatever the thread that starts it does. */
function translator(): string {
  const api = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  return `data:text/javascript,import{register}from${encodeURIComponent(api)};register()`;
}

interface Asked {
  resolve(): void;
  reject(error: Error): void;
}

/** Starts the thread at the first session. It keeps no process alive. */
export function createOnnxAside(): OnnxAside {
  const asked = new Map<number, Asked>();
  let thread: Worker | null = null;
  const { port1: answers, port2: answersTo } = new MessageChannel();
  let ended: MillraceError | null = null;
  let orders = 0;
  let sessions = 0;
  let opening = 0;

  const end = (reason: string) => {
    ended ??= new MillraceError('MILL_INTERNAL', `the thread for scores has ended: ${reason}`);
    for (const { reject } of asked.values()) reject(ended);
    asked.clear();
  };
  const settle = ({ id, failure }: AsideAnswer) => {
    const call = asked.get(id);
    asked.delete(id);
    if (failure === undefined) call?.resolve();
    else call?.reject(new Error(failure));
  };
  const start = () => {
    const worker = new Worker(new URL(`./onnx-thread${ending}`, import.meta.url), {
      name: 'scores',
      workerData: answersTo,
      transferList: [answersTo],
      ...(ending === '.ts' && { execArgv: ['--import', translator()] }),
    });
    worker.unref();
    answers.on('message', settle);
    answers.unref();
    worker.on('error', (error: Error) => end(error.message));
    worker.on('exit', (code: number) => end(`exit code ${code}`));
    return worker;
  };
  const ask = (order: AsideOrder) =>
    new Promise<void>((resolve, reject) => {
      if (ended !== null) return reject(ended);
      thread ??= start();
      asked.set(order.id, { resolve, reject });
      thread.postMessage(order);
    });

  return {
    get hasEnded() {
      return ended !== null;
    },
    get isOpening() {
      return opening > 0;
    },
    async open(model, options, net) {
      sessions += 1;
      const session = sessions;
      opening += 1;
      try {
        await ask({ type: 'open', id: ++orders, session, model, options, net });
      } finally {
        opening -= 1;
      }
      return new OwnSession(
        net,
        (order) => ask({ ...order, id: ++orders, session }),
        () => ended === null,
      );
    },
    hear() {
      if (asked.size === 0) return;
      for (let told = receiveMessageOnPort(answers); told; told = receiveMessageOnPort(answers))
        settle(told.message);
    },
    close() {
      end('closed');
      answers.close();
      void thread?.terminate();
    },
  };
}

type Order<Type extends AsideOrder['type']> = Omit<Extract<AsideOrder, { type: Type }>, 'id' | 'session'>;

type Ask = (order: Order<'score'> | Order<'release'>) => Promise<void>;

class OwnSession implements AsideSession {
  readonly #net: AsideNet;
  readonly #ask: Ask;
  readonly #isThere: () => boolean;
  /** By batch, of which its caller has a few: its place among them, and what the thread was told of it. */
  readonly #told = new Map<RowsInput['batch'], { readonly place: number; arrays: AsideArrays }>();
  #floats: Float32Array = sharedFloats(0);
  #ints: Int32Array = new Int32Array(this.#floats.buffer);

  constructor(net: AsideNet, ask: Ask, isThere: () => boolean) {
    this.#net = net;
    this.#ask = ask;
    this.#isThere = isThere;
  }

  async score(input: RowsInput, logits: Float32Array): Promise<void> {
    const { batch, dense } = input;
    const { denseFields, attention } = this.#net.shape;
    const { rows, requests, tables, lengths } = batch;
    const numbers = rows * denseFields;
    const counts = rows * attention.length;
    const memory = this.#reserve(rows + numbers + counts);
    const floats = this.#floats;
    if (numbers > 0) floats.set(dense.subarray(0, numbers), rows);
    if (counts > 0) this.#ints.set(lengths.subarray(0, counts), rows + numbers);
    const { place, arrays } = this.#placeOf(input);
    await this.#ask({
      type: 'score',
      batch: place,
      rows,
      requests,
      occurrences: tables.map(({ occurrences }) => occurrences),
      ...(arrays && { arrays }),
      ...(memory && { memory }),
    });
    logits.set(floats.subarray(0, rows));
  }

  async release(): Promise<void> {
    if (this.#isThere()) await this.#ask({ type: 'release' });
  }

  /** The batch's place; its arrays where the thread does not know them. */
  #placeOf(input: RowsInput): { readonly place: number; readonly arrays: AsideArrays | null } {
    const { batch, rows, plan } = input;
    const told = this.#told.get(batch);
    if (told !== undefined && isTold(told.arrays, input)) return { place: told.place, arrays: null };
    const { embeddingFloats, hasWide, tables } = plan;
    const arrays: AsideArrays = {
      plan: {
        embeddingFloats,
        hasWide,
        tables: tables.map(({ dim, embeddingDim, hasWide }) => ({ dim, embeddingDim, hasWide })),
      },
      starts: batch.starts,
      tables: batch.tables.map(({ keyOf, exampleOf, slotOf, xOf, sharedOf }) => ({
        keyOf,
        exampleOf,
        slotOf,
        xOf,
        sharedOf,
      })),
      rows: [...rows],
    };
    const all = [arrays.starts, ...rows, ...arrays.tables.flatMap((table) => Object.values(table))];
    // Of other memory the thread would get a copy, and read that of this call in all calls to come.
    invariant(
      all.every(({ buffer }) => buffer instanceof SharedArrayBuffer),
      'what another thread gathers lies in shared memory',
    );
    const place = told?.place ?? this.#told.size;
    this.#told.set(batch, { place, arrays });
    return { place, arrays };
  }

  /** New memory, where what there is does not hold so many words. */
  #reserve(words: number): SharedArrayBuffer | null {
    if (words <= this.#floats.length) return null;
    const floats = sharedFloats(2 ** Math.ceil(Math.log2(words)));
    this.#floats = floats;
    this.#ints = new Int32Array(floats.buffer);
    return floats.buffer;
  }
}

function isTold(arrays: AsideArrays, { batch, rows }: RowsInput): boolean {
  return (
    arrays.starts === batch.starts &&
    arrays.rows.every((of, t) => of === rows[t]) &&
    arrays.tables.every(
      (of, t) =>
        // They grow together.
        of.keyOf === batch.tables[t].keyOf && of.sharedOf === batch.tables[t].sharedOf,
    )
  );
}
