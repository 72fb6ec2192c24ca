/** Schema of optimizers. */
import type {
  AdagradSpec,
  AdamSpec,
  FtrlSpec,
  NewtonSpec,
  RowwiseAdagradSpec,
  SgdSpec,
} from '@millrace/protocol';
import { closed, number, tag, union } from './schema-parts.ts';

/** Larger steps than this have no use and would leave the range of float32 within a few updates. */
export const stepMax = 1e6;
export const positive = { exclusiveMinimum: 0, maximum: stepMax };
export const notNegative = { minimum: 0, maximum: stepMax };
const share = { minimum: 0, exclusiveMaximum: 1 };

const bounds = {
  l1: number(
    'Pull towards 0 of constant strength; weights of smaller evidence stay 0. Default 0.',
    notNegative,
  ),
  l2: number('Pull towards 0 in proportion to the weight. Default 0.', notNegative),
  gradientMax: number('Gradients beyond ± this are cut to it.', positive),
  gradientNormMax: number('A segment whose gradient is longer is scaled to this length.', positive),
  weightMax: number('Weights stay within ± this.', positive),
};

const accumulator = {
  initialAccumulator: number(
    'Start of the sum of squares; 1 gives the step g/√(1 + Σg²). Default 0.1.',
    notNegative,
  ),
  epsilon: number('Added to the root in the divisor. Default 1e-10.', positive),
};

export const optimizer = union('How weights learn from gradients.', [
  closed<SgdSpec>(
    'Gradient descent: w −= learningRate · g.',
    {
      type: tag('sgd', 'Gradient descent.'),
      learningRate: number('Length of a step.', positive),
      ...bounds,
    },
    ['type', 'learningRate'],
  ),
  closed<AdagradSpec>(
    'AdaGrad: n += g²; w −= learningRate · g / (√n + epsilon).',
    {
      type: tag('adagrad', 'AdaGrad, one sum of squares a weight.'),
      learningRate: number('Length of a step before the division.', positive),
      ...accumulator,
      ...bounds,
    },
    ['type', 'learningRate'],
  ),
  closed<RowwiseAdagradSpec>(
    'AdaGrad with one sum of squares a row: n += mean(g²).',
    {
      type: tag('rowwise-adagrad', 'AdaGrad, one sum of squares a row.'),
      learningRate: number('Length of a step before the division.', positive),
      ...accumulator,
      ...bounds,
    },
    ['type', 'learningRate'],
  ),
  closed<AdamSpec>(
    'Adam: running means of g and g², corrected for their start.',
    {
      type: tag('adam', 'Adam.'),
      learningRate: number('Length of a step.', positive),
      beta1: number('Memory of the mean of g. Default 0.9.', share),
      beta2: number('Memory of the mean of g². Default 0.999.', share),
      epsilon: number('Added to the root in the divisor. Default 1e-8.', positive),
      ...bounds,
    },
    ['type', 'learningRate'],
  ),
  closed<FtrlSpec>(
    'FTRL-Proximal.',
    {
      type: tag('ftrl', 'FTRL-Proximal.'),
      alpha: number('Length of a step.', positive),
      beta: number('Added to √Σg² in the divisor. Default 1.', positive),
      ...bounds,
    },
    ['type', 'alpha'],
  ),
  closed<NewtonSpec>(
    'Diagonal Newton step: H += h; w −= g / (lambda + c·H), where h is the curvature.',
    {
      type: tag('newton', 'Diagonal Newton step.'),
      lambda: number('Prior precision of a weight. Default 1.', positive),
      c: number('Share of the accumulated curvature that damps the step. Default 1.', positive),
      ...bounds,
    },
    ['type'],
  ),
]);
