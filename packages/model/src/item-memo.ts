/**
 * What an item's own inputs come to, kept from one request to the next: float32[inputs] → float32[outputs]. An entry is found
 * by the inputs themselves, so an item whose rows have changed is another item, and nothing goes stale. One set of weights at
 * a time: others empty it.
 *
 * Entries lie in one array of places, a place a hash; what comes to a taken place takes it. Bounded by `bytesMax`.
 */

const bytesMax = 4 * 1024 * 1024;
const entriesMax = 8_192;

export interface ItemMemo {
  /** float32[entries · outputs] */
  readonly outputs: Float32Array;
  /** Forgets all that was not computed with these weights. */
  use(weights: object): void;
  /** @param inputs  float32, the item's are [at, at + inputs). @returns where its outputs begin in `outputs`, −1: not known. */
  find(inputs: Float32Array, at: number): number;
  /** Keeps what an item's inputs come to: `from`[fromAt …). */
  keep(inputs: Float32Array, at: number, from: Float32Array, fromAt: number): void;
}

export function createItemMemo(inputs: number, outputs: number): ItemMemo {
  return new Memo(inputs, outputs);
}

class Memo implements ItemMemo {
  outputs: Float32Array = new Float32Array(0);
  readonly #inputs: number;
  readonly #width: number;
  readonly #mask: number;
  #keys = new Float32Array(0);
  /** By entry: the stamp of the weights that it was computed with. */
  #stamps = new Uint32Array(0);
  #stamp = 0;
  #weights: object | null = null;
  /** Words of the item in work. */
  readonly #item: Float32Array;
  readonly #words: Uint32Array;

  constructor(inputs: number, outputs: number) {
    this.#inputs = inputs;
    this.#width = outputs;
    const fitting = bytesMax / (4 * (inputs + outputs + 1));
    this.#mask = Math.min(entriesMax, 2 ** Math.max(0, Math.floor(Math.log2(fitting)))) - 1;
    this.#item = new Float32Array(inputs);
    this.#words = new Uint32Array(this.#item.buffer);
  }

  use(weights: object): void {
    if (weights === this.#weights) return;
    this.#weights = weights;
    this.#stamp += 1;
    if (this.#stamps.length > 0 && this.#stamp <= 0xffff_ffff) return;
    // Memory is taken by the first who scores requests; steps never do.
    const entries = this.#mask + 1;
    this.#keys = new Float32Array(entries * this.#inputs);
    this.#stamps = new Uint32Array(entries);
    this.outputs = new Float32Array(entries * this.#width);
    this.#stamp = 1;
  }

  find(inputs: Float32Array, at: number): number {
    const entry = this.#entryOf(inputs, at);
    if (this.#stamps[entry] !== this.#stamp) return -1;
    const keys = this.#keys;
    const item = this.#item;
    const from = entry * item.length;
    for (let i = 0; i < item.length; i += 1) if (keys[from + i] !== item[i]) return -1;
    return entry * this.#width;
  }

  keep(inputs: Float32Array, at: number, from: Float32Array, fromAt: number): void {
    const entry = this.#entryOf(inputs, at);
    this.#stamps[entry] = this.#stamp;
    this.#keys.set(this.#item, entry * this.#inputs);
    const to = entry * this.#width;
    for (let i = 0; i < this.#width; i += 1) this.outputs[to + i] = from[fromAt + i];
  }

  /** Its place; leaves its inputs in #item. */
  #entryOf(inputs: Float32Array, at: number): number {
    const item = this.#item;
    const words = this.#words;
    let hash = 0x9e37_79b9;
    for (let i = 0; i < item.length; i += 1) {
      item[i] = inputs[at + i];
      hash = Math.imul(hash ^ words[i], 0x85eb_ca6b);
      hash ^= hash >>> 15;
    }
    return (hash ^ (hash >>> 16)) & this.#mask;
  }
}
