/**
 * Entries of words, found by a hash, in bounded memory. They lie one behind the other in two halves of it. Once the half in use is
 * full the other one takes over and forgets what it had, but for what was asked for since, which has been copied out of it: what is
 * not asked for goes.
 *
 *   entry   int32: hash · words of the entry · what it is about
 *   index   int32[slots, 2]: hash · where its entry begins, plus 1      open addressing; 0: the slot is empty
 */

/** Words of a half. */
const halfWords = 1_024 * 1_024;
/** Of all memory at first; entries are shorter. */
const firstWords = 32 * 1_024;
const firstIndex = 2_048;
/** Words that may be read behind the last entry. */
export const aheadWords = 32;

/** Where an entry has how many words it is; its hash comes first. */
export const sizeAt = 1;

export class EntryStore {
  words: Int32Array = new Int32Array(0);
  /** The same memory. */
  floats: Float32Array = new Float32Array(0);
  index: Int32Array = new Int32Array(0);
  /** Where the next entry goes. */
  used = 0;
  #mask = -1;
  #room = 0;
  /** Where the half in use begins. */
  #half = 0;
  /** An entry did not fit into the half. */
  #isFull = false;
  #entries = 0;

  /** Puts the other half to use, if this one is full: of what it had nothing is there any more. */
  settle(): void {
    if (!this.#isFull) return;
    const [from, to] = [this.#half, this.used];
    this.#half = halfWords - from;
    this.used = this.#half;
    this.#isFull = false;
    this.#entries = 0;
    this.index.fill(0);
    for (let entry = from; entry < to; entry += this.words[entry + sizeAt]) this.#note(entry);
  }

  /** Where in `index` a hash is, −1: nowhere. */
  placeOf(hash: number): number {
    const mask = this.#mask;
    if (mask < 0) return -1;
    const { index } = this;
    for (let at = (hash << 1) & mask; index[at + 1] !== 0; at = (at + 2) & mask)
      if (index[at] === hash) return at;
    return -1;
  }

  /** Makes room for an entry at `used`. @returns false: there is none before the next `settle`. */
  reserve(size: number): boolean {
    const wanted = this.used + size;
    if (wanted > this.#half + halfWords) {
      this.#isFull = true;
      return false;
    }
    if (wanted > this.#room) {
      this.#room = Math.max(firstWords, Math.min(2 * halfWords, 2 * this.#room));
      const words = new Int32Array(this.#room + aheadWords);
      words.set(this.words);
      this.words = words;
      this.floats = new Float32Array(words.buffer);
    }
    return true;
  }

  /** Takes in the entry that was written at `used`; none has its hash. */
  add(): void {
    this.#note(this.used);
    this.used += this.words[this.used + sizeAt];
  }

  /** Copies an entry that was asked for into the half in use, once, if it is in the other one. @returns where it is. */
  renew(entry: number): number {
    if (entry >= this.#half && entry < this.#half + halfWords) return entry;
    const place = this.placeOf(this.words[entry]);
    const known = this.index[place + 1] - 1;
    if (known !== entry) return known;
    const size = this.words[entry + sizeAt];
    if (!this.reserve(size)) return entry;
    const to = this.used;
    this.words.copyWithin(to, entry, entry + size);
    this.index[place + 1] = to + 1;
    this.used += size;
    return to;
  }

  #note(entry: number): void {
    this.#entries += 1;
    if (4 * this.#entries > this.index.length) this.#growIndex();
    this.#put(this.words[entry], entry + 1);
  }

  #put(hash: number, told: number): void {
    const mask = this.#mask;
    const { index } = this;
    let at = (hash << 1) & mask;
    while (index[at + 1] !== 0) at = (at + 2) & mask;
    index[at] = hash;
    index[at + 1] = told;
  }

  #growIndex(): void {
    const noted = this.index;
    this.index = new Int32Array(Math.max(firstIndex, 2 * noted.length));
    this.#mask = this.index.length - 2;
    for (let at = 0; at < noted.length; at += 2) if (noted[at + 1] !== 0) this.#put(noted[at], noted[at + 1]);
  }
}
