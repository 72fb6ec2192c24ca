/** Pairs of slots in their order, (0,1), (0,2) … (1,2) …, and where they stand in a square matrix. */

/** Place of each pair in a matrix [slots, slots], row-major, above the diagonal. */
export function pairPlaces(slots: number): number[] {
  const places: number[] = [];
  for (let i = 0; i < slots; i++) for (let j = i + 1; j < slots; j++) places.push(i * slots + j);
  return places;
}

/** For each place of a symmetric matrix its pair, −1 on the diagonal. */
export function symmetricPlaces(slots: number): number[] {
  const pairs = new Array<number>(slots * slots).fill(-1);
  pairPlaces(slots).forEach((place, pair) => {
    const [i, j] = [Math.floor(place / slots), place % slots];
    pairs[place] = pair;
    pairs[j * slots + i] = pair;
  });
  return pairs;
}
