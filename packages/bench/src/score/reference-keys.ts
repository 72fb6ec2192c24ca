/** Keys of the reference's rows in Redis: eight decimal digits. */

const firstKey = 10_000_000;
const valuesMax = 5_000_000;

export function redisKeyOf(f: number, value: number): number {
  return firstKey + f * valuesMax + value;
}
