/**
 * Scores by ONNX Runtime in a thread of their own. The library holds up the thread that calls it until it is done; a thread that
 * has requests to read and answer meanwhile hands the call to this one. What is handed over is copied into shared memory and out
 * of it: some microseconds, and two wake-ups of a thread, for which an idle caller would wait longer than for the net.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { MillraceError } from '@millrace/protocol';
import type { InferenceSession, Tensor } from 'onnxruntime-node';

/** What a session of the library can do that is used of it to score. */
export interface ScoringSession {
  run(
    feeds: Readonly<Record<string, Tensor>>,
  ): Promise<{ readonly [name: string]: { readonly data: Tensor['data'] } }>;
  release(): Promise<void>;
}

/** An input of one call: where it lies in the session's memory. */
export interface AsideFeed {
  readonly name: string;
  readonly type: 'float32' | 'int32';
  /** In four bytes. */
  readonly at: number;
  readonly dims: readonly number[];
}

/** What the thread is told. */
export type AsideOrder =
  | {
      readonly type: 'open';
      readonly id: number;
      readonly session: number;
      readonly model: Uint8Array;
      readonly options: InferenceSession.SessionOptions;
    }
  | {
      readonly type: 'run';
      readonly id: number;
      readonly session: number;
      readonly feeds: readonly AsideFeed[];
      /** Where the session's inputs lie and its output is written, when that is new. */
      readonly memory?: SharedArrayBuffer;
      /** Where the output is written, in four bytes. */
      readonly out: number;
      readonly rows: number;
    }
  | { readonly type: 'release'; readonly id: number; readonly session: number };

/** What it answers to each. */
export interface AsideAnswer {
  readonly id: number;
  /** Why it could not be done; absent: it was. */
  readonly failure?: string;
}

/** The graphs' one output. */
export const asideOutput = 'logits';

export interface OnnxAside {
  /** @param model  an ONNX file with the output `logits`, [rows, …] of one float a row. Rejects when the thread has ended. */
  open(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<ScoringSession>;
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
  let ended: MillraceError | null = null;
  let orders = 0;
  let sessions = 0;

  const end = (reason: string) => {
    ended ??= new MillraceError('MILL_INTERNAL', `the thread for scores has ended: ${reason}`);
    for (const { reject } of asked.values()) reject(ended);
    asked.clear();
  };
  const start = () => {
    const worker = new Worker(new URL(`./onnx-thread${ending}`, import.meta.url), {
      name: 'scores',
      ...(ending === '.ts' && { execArgv: ['--import', translator()] }),
    });
    worker.unref();
    worker.on('message', ({ id, failure }: AsideAnswer) => {
      const call = asked.get(id);
      asked.delete(id);
      if (failure === undefined) call?.resolve();
      else call?.reject(new Error(failure));
    });
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
    async open(model, options) {
      sessions += 1;
      const session = sessions;
      await ask({ type: 'open', id: ++orders, session, model, options });
      return new AsideSession(
        (order) => ask({ ...order, id: ++orders, session }),
        () => ended === null,
      );
    },
    close() {
      end('closed');
      void thread?.terminate();
    },
  };
}

type Order<Type extends AsideOrder['type']> = Omit<Extract<AsideOrder, { type: Type }>, 'id' | 'session'>;

class AsideSession implements ScoringSession {
  readonly #ask: (order: Order<'run'> | Order<'release'>) => Promise<void>;
  readonly #isThere: () => boolean;
  #floats: Float32Array = new Float32Array(0);
  #ints: Int32Array = new Int32Array(0);

  constructor(ask: (order: Order<'run'> | Order<'release'>) => Promise<void>, isThere: () => boolean) {
    this.#ask = ask;
    this.#isThere = isThere;
  }

  async run(feeds: Readonly<Record<string, Tensor>>) {
    const [rows, words] = sizesOf(feeds);
    const memory = this.#reserve(words);
    const placed: AsideFeed[] = [];
    let at = 0;
    for (const name of Object.keys(feeds)) {
      const { data, dims } = feeds[name];
      const type = data instanceof Float32Array ? 'float32' : 'int32';
      if (data instanceof Float32Array) this.#floats.set(data, at);
      else this.#ints.set(data as Int32Array, at);
      placed.push({ name, type, at, dims });
      at += data.length;
    }
    await this.#ask({ type: 'run', feeds: placed, out: at, rows, ...(memory && { memory }) });
    return { [asideOutput]: { data: this.#floats.subarray(at, at + rows) } };
  }

  async release(): Promise<void> {
    if (this.#isThere()) await this.#ask({ type: 'release' });
  }

  /** New memory, where what there is does not hold so many words. */
  #reserve(words: number): SharedArrayBuffer | null {
    if (words <= this.#floats.length) return null;
    const memory = new SharedArrayBuffer(4 * 2 ** Math.ceil(Math.log2(words)));
    this.#floats = new Float32Array(memory);
    this.#ints = new Int32Array(memory);
    return memory;
  }
}

/** Rows of a call, which are those of the input that has most, and words of all that it reads and writes. */
function sizesOf(feeds: Readonly<Record<string, Tensor>>): readonly [number, number] {
  let rows = 0;
  let words = 0;
  for (const name of Object.keys(feeds)) {
    rows = Math.max(rows, feeds[name].dims[0]);
    words += feeds[name].data.length;
  }
  return [rows, words + rows];
}
