/**
 * The twin of a net that does everything for each item, as if the items of a request shared nothing: what splitting is held to
 * and measured against. Keys of a request are hashed once by the twin too.
 */
import type { FeaturePlan } from './feature-plan.ts';
import type { NetShape } from './net-shape.ts';

/** The net with all of its inputs of both sides, which leaves an engine nothing to compute once. */
export function unsplitShape(shape: NetShape): NetShape {
  return { ...shape, sides: shape.sides.map(() => 'mixed' as const) };
}

/** The features with an occurrence of every key for every item; but for the bias, whose one weight gather adds to each. */
export function unsplitPlan(plan: FeaturePlan): FeaturePlan {
  return {
    ...plan,
    keyFields: plan.keyFields.map((field) => ({ ...field, shared: false })),
    crosses: plan.crosses.map((cross) => ({ ...cross, shared: false })),
    keepsItems: false,
  };
}
