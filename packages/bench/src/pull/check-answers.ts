/** A fast answer is worth nothing unless it is right: every store is asked for known rows before it is measured. */
import { createHash } from 'node:crypto';
import { tableLayouts, writeInitialRow } from '@millrace/core';
import { invariant } from '@millrace/protocol';
import type { PullParameters } from './parameters.ts';
import type { RowStore } from './row-store.ts';
import { benchModel, type Request, rowFloats, writeRow } from './workload.ts';

/**
 * Asks for each request and compares all rows with what they must be. A bug when one differs.
 * @returns SHA-256 over the rows of all requests, hex: equal seeds and sizes give equal hashes.
 */
export async function checkAnswers(
  store: RowStore,
  requests: readonly Request[],
  parameters: PullParameters,
): Promise<string> {
  const hash = createHash('sha256');
  for (const request of requests) {
    const wanted = wantedRows(request, parameters);
    const found = wanted.slice();
    for (let i = 0; i < request.count; i += 1) {
      const isKnown = request.numbers[i] < parameters.rows;
      if (isKnown || store.answersUnknown) found.fill(Number.NaN, i * rowFloats, (i + 1) * rowFloats);
    }
    await store.ask(request, found);
    const differs = found.findIndex((weight, place) => weight !== wanted[place]);
    invariant(differs === -1, `${store.name}: row ${Math.floor(differs / rowFloats)} of the answer is wrong`);
    hash.update(wanted);
  }
  return hash.digest('hex');
}

function wantedRows(
  { numbers, keys, count }: Request,
  { rows, partitions, seed }: PullParameters,
): Float32Array {
  const [layout] = tableLayouts(benchModel(partitions, seed));
  const wanted = new Float32Array(count * rowFloats);
  for (let i = 0; i < count; i += 1) {
    const at = i * rowFloats;
    if (numbers[i] < rows) writeRow(numbers[i], wanted, at);
    else writeInitialRow(layout, keys[2 * i], keys[2 * i + 1], wanted, at);
  }
  return wanted;
}
