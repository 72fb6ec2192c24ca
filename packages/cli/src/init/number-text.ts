/** What counts as a number in a log: the same as where a dense field of a model is read. */

/** Digits with an optional sign, fraction and exponent. */
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** The number that a cell holds, or null. */
export function numberFromCell(value: unknown): number | null {
  const number = typeof value === 'string' && decimal.test(value.trim()) ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
}
