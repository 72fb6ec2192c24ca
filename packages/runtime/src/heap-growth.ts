/**
 * How far the JavaScript heap may grow between full collections.
 *
 * V8 chooses this by how fast objects come to stay. In a service that keeps nearly nothing of a request it comes to 8 MB, and the
 * memory of buffers, which every body is, counts among them: under load that is a full collection every few hundred requests, each
 * 10 ms of the main thread, after 50 to 100 ms of marking in threads beside it (ADR 39).
 */
import { setFlagsFromString } from 'node:v8';

/** @param percent  of what the last full collection left; 0: V8's choice. Takes effect with the next collection. */
export function setHeapGrowth(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
