/** What sessions are fed with, made of gathered inputs: rows by themselves (onnx-net.ts), or requests (onnx-requests.ts). */
import type { Tensor } from 'onnxruntime-node';
import type { NetInput } from './engine.ts';
import type { NetShape } from './net-shape.ts';
import { OnnxFeeds } from './onnx-feeds.ts';
import { OnnxRequestFeeds } from './onnx-request-feeds.ts';
import type { RequestSides } from './onnx-requests.ts';
import type { Ort } from './onnx-runtime.ts';
import { sharedInputsOf, spreadShared } from './shared-inputs.ts';

export interface OnnxFed {
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** float32[rows], to be added to what the session gives; null: nothing is. */
  readonly wide: Float32Array | null;
}

export class OnnxInputs {
  readonly #shape: NetShape;
  readonly #sides: RequestSides | null;
  readonly #shared: Int32Array;
  readonly #rowFeeds: OnnxFeeds;
  readonly #requestFeeds: OnnxRequestFeeds | null;

  /** @param sides  null: a request's items share nothing, and are rows. */
  constructor(ort: Ort, shape: NetShape, sides: RequestSides | null) {
    this.#shape = shape;
    this.#sides = sides;
    this.#shared = sharedInputsOf(shape).shared;
    this.#rowFeeds = new OnnxFeeds(ort);
    this.#requestFeeds = sides && new OnnxRequestFeeds(ort, shape, sides);
  }

  /** For the session of the input's kind; what items share is put into their rows where that session reads whole rows. */
  feed(input: NetInput): OnnxFed {
    const { requests } = input;
    const sides = this.#sides;
    const requestFeeds = this.#requestFeeds;
    if (sides?.readsRows !== false) spreadShared(input, this.#shared, this.#shape.embeddingFloats);
    if (requests === undefined || requestFeeds === null) return { tensors: this.rows(input), wide: null };
    requestFeeds.put(input, requests);
    if (sides?.readsRows) this.#putInputs(requestFeeds.feeds, input);
    return { tensors: requestFeeds.feeds.tensors, wide: this.#shape.hasWide ? input.wide : null };
  }

  /** Rows by themselves. */
  rows(input: NetInput): Readonly<Record<string, Tensor>> {
    const { rows } = input;
    const { hasWide, attention } = this.#shape;
    const feeds = this.#rowFeeds;
    if (hasWide) feeds.put('wide', input.wide, rows, 0);
    this.#putInputs(feeds, input);
    if (attention.length > 0) feeds.put('lengths', input.lengths, rows, attention.length);
    return feeds.tensors;
  }

  #putInputs(feeds: OnnxFeeds, { rows, embeddings, dense }: NetInput): void {
    const { embeddingFloats, denseFields } = this.#shape;
    if (embeddingFloats > 0) feeds.put('embeddings', embeddings, rows, embeddingFloats);
    if (denseFields > 0) feeds.put('dense', dense, rows, denseFields);
  }
}

/** The graphs' one output, a float a row. */
export const logitsOutput = 'logits';

/** Few floats: to copy them takes less than to hand in where they go. */
export function putLogits(found: Float32Array, wide: Float32Array | null, logits: Float32Array): void {
  if (wide === null) logits.set(found);
  else for (let b = 0; b < found.length; b += 1) logits[b] = wide[b] + found[b];
}
