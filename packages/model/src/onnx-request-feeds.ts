/** What the graph for requests (onnx-requests.ts) is fed with: the inputs of a batch, cut apart by their sides. */
import { copyWords, wordsOf } from './copy-words.ts';
import type { NetInput } from './engine.ts';
import type { NetShape } from './net-shape.ts';
import { OnnxFeeds } from './onnx-feeds.ts';
import type { RequestSides } from './onnx-requests.ts';
import type { Ort } from './onnx-runtime.ts';
import { runsOf } from './shared-inputs.ts';

export type Requests = NonNullable<NetInput['requests']>;

export class OnnxRequestFeeds {
  readonly feeds: OnnxFeeds;
  readonly #shape: NetShape;
  readonly #shared: Side;
  readonly #own: Side;
  /** By row of the batch in work: its request. */
  #requestOf = new Int32Array(0);

  constructor(ort: Ort, shape: NetShape, { sharedPlaces, ownPlaces }: RequestSides) {
    this.feeds = new OnnxFeeds(ort);
    this.#shape = shape;
    this.#shared = new Side(shape, sharedPlaces);
    this.#own = new Side(shape, ownPlaces);
  }

  /** Puts all in but whole rows. */
  put(input: NetInput, { starts, count }: Requests): void {
    const { rows } = input;
    const { feeds } = this;
    if (this.#requestOf.length < rows) this.#requestOf = new Int32Array(2 * rows);
    this.#shared.reserve(count);
    for (let r = 0; r < count; r += 1) {
      const end = r + 1 < count ? starts[r + 1] : rows;
      if (count > 1) this.#requestOf.fill(r, starts[r], end);
      this.#shared.cut(input, this.#shape, starts[r], starts[r] + 1, r);
    }
    if (count === 1) this.#requestOf[0] = 0;
    this.#own.reserve(rows);
    this.#own.cut(input, this.#shape, 0, rows, 0);
    feeds.put('shared', this.#shared.floats, count, this.#shared.width);
    feeds.put('own', this.#own.floats, rows, this.#own.width);
    feeds.put('requestOf', this.#requestOf, count === 1 ? 1 : rows, 0);
  }
}

/** The inputs of one side, row by row. */
class Side {
  readonly width: number;
  /** float32[rows, width] */
  floats = new Float32Array(0);
  #words: Int32Array = new Int32Array(0);
  /** Its places in the slots, as runs, and in the dense inputs. */
  readonly #runs: Int32Array;
  readonly #dense: Int32Array;

  constructor({ slotFloats }: NetShape, places: Int32Array) {
    this.width = places.length;
    this.#runs = runsOf([...places.filter((place) => place < slotFloats)]);
    this.#dense = places.filter((place) => place >= slotFloats).map((place) => place - slotFloats);
  }

  reserve(rows: number): void {
    if (this.floats.length >= rows * this.width) return;
    this.floats = new Float32Array(2 * rows * this.width);
    this.#words = wordsOf(this.floats);
  }

  /** Puts rows [from, to) of a batch behind the first `at`. */
  cut(
    { embeddings, dense }: NetInput,
    { embeddingFloats, denseFields }: NetShape,
    from: number,
    to: number,
    at: number,
  ): void {
    const words = wordsOf(embeddings);
    const denseWords = wordsOf(dense);
    const out = this.#words;
    const runs = this.#runs;
    const many = runs.length;
    const places = this.#dense;
    const numbers = places.length;
    let put = at * this.width;
    for (let b = from; b < to; b += 1) {
      const row = b * embeddingFloats;
      for (let run = 0; run < many; run += 2) {
        const count = runs[run + 1] - runs[run];
        copyWords(words, row + runs[run], out, put, count);
        put += count;
      }
      for (let i = 0; i < numbers; i += 1) {
        out[put] = denseWords[b * denseFields + places[i]];
        put += 1;
      }
    }
  }
}
