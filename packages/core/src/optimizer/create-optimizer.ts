import type { OptimizerSpec } from '@millrace/protocol';
import { createAdagrad } from './adagrad.ts';
import { createAdam } from './adam.ts';
import { boundedOptimizer } from './bounded-step.ts';
import { createFtrl } from './ftrl.ts';
import { createNewton } from './newton.ts';
import type { Optimizer } from './optimizer.ts';
import { createRowwiseAdagrad } from './rowwise-adagrad.ts';
import { createSgd } from './sgd.ts';

/** The optimizer that a model file asks for, with the bounds that it sets (bounded-step.ts). */
export function createOptimizer(spec: OptimizerSpec): Optimizer {
  return boundedOptimizer(plainOptimizer(spec), spec);
}

function plainOptimizer(spec: OptimizerSpec): Optimizer {
  switch (spec.type) {
    case 'sgd':
      return createSgd(spec);
    case 'adagrad':
      return createAdagrad(spec);
    case 'rowwise-adagrad':
      return createRowwiseAdagrad(spec);
    case 'adam':
      return createAdam(spec);
    case 'ftrl':
      return createFtrl(spec);
    case 'newton':
      return createNewton(spec);
  }
}
