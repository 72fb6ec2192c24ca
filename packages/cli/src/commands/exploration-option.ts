/** How `rank` and `evaluate` are told to explore: `epsilon-greedy`, `softmax:0.2`, … */
import type { ExplorationSpec } from '@millrace/protocol';
import { InvalidArgumentError, Option } from 'commander';

export function explorationOption(): Option {
  return new Option(
    '--exploration <policy>',
    'epsilon-greedy[:epsilon], softmax[:temperature], thompson[:scale] or greedy (default: epsilon-greedy:0.05)',
  ).argParser(explorationFromText);
}

/** @throws InvalidArgumentError naming what is wanted. */
export function explorationFromText(text: string): ExplorationSpec {
  const [type, parameter, ...more] = text.split(':');
  const number = parameter === undefined ? undefined : Number(parameter);
  const isNumber = number === undefined || (parameter?.trim() !== '' && Number.isFinite(number));
  if (more.length > 0 || !isNumber) throw new InvalidArgumentError('wanted a policy, or policy:number.');
  const within = (low: number, high: number) => {
    if (number !== undefined && !(number >= low && number <= high))
      throw new InvalidArgumentError(`wanted a number from ${low} to ${high} behind ${type}.`);
  };
  switch (type) {
    case 'epsilon-greedy':
      within(0, 1);
      return number === undefined ? { type } : { type, epsilon: number };
    case 'softmax':
      within(1e-3, 1e3);
      return number === undefined ? { type } : { type, temperature: number };
    case 'thompson':
      within(0, 1e3);
      return number === undefined ? { type } : { type, scale: number };
    case 'greedy':
      if (number !== undefined) throw new InvalidArgumentError('greedy takes no number.');
      return { type };
    default:
      throw new InvalidArgumentError('wanted epsilon-greedy, softmax, thompson or greedy.');
  }
}
