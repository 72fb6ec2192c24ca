/** What a value of an outcome is worth. */
import type { OutcomeSpec } from '@millrace/protocol';

const valueMinDefault = 1;
const valueMaxDefault = 1_000;

/**
 * Weight in the loss of a positive of that kind; null when the value says that the item was not wanted.
 *   weight · f(min(value, valueMax))      f = 1, value or ln(1 + value)
 */
export function positiveWeight(kind: OutcomeSpec, value: number): number | null {
  const { valueMin = valueMinDefault, valueMax = valueMaxDefault, weight = 1, valueWeight = 'none' } = kind;
  if (value < valueMin) return null;
  const counted = Math.min(value, valueMax);
  switch (valueWeight) {
    case 'none':
      return weight;
    case 'linear':
      return weight * counted;
    case 'log1p':
      return weight * Math.log1p(counted);
  }
}
