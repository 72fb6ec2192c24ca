/**
 * Whose input each float of [slots, dense] is. What a request's items share is computed once for all of them, and what is an
 * item's alone is the same in every request that shows it.
 */
import type { ModelFile } from '@millrace/protocol';
import { denseInputs, towerSide } from './model-net.ts';
import type { AttentionShape, EmbeddingSlot } from './net-shape.ts';

/** `mixed`: of both, such as a cross of fields of both, or a history that an item attends to. */
export type InputSide = 'shared' | 'item' | 'mixed';

/** By float of [slots, dense]. */
export function inputSides(
  file: ModelFile,
  slots: readonly EmbeddingSlot[],
  attention: readonly AttentionShape[],
): InputSide[] {
  const sides: InputSide[] = [];
  for (const { name, dim } of slots) {
    const side = towerSide(file, name) ?? 'mixed';
    const isPooled = attention.some(({ sequence }) => sequence === name);
    // An item that attends to a history of its own pools it anew each time.
    const own = isPooled && side === 'item' ? 'mixed' : side;
    for (let d = 0; d < dim; d += 1) sides.push(own);
  }
  for (const { name } of denseInputs(file)) sides.push(towerSide(file, name) ?? 'mixed');
  return sides;
}

/** Places of one side, ascending. */
export function placesOf(sides: readonly InputSide[], side: InputSide): Int32Array {
  return Int32Array.from(sides.flatMap((own, place) => (own === side ? [place] : [])));
}

/** The side of what is computed of two inputs. */
export function sideOfPair(a: InputSide, b: InputSide): InputSide {
  return a === b ? a : 'mixed';
}
