/** Kinds of outcomes by name. */
import type { LearningSpec, OutcomeSpec } from './model-file.ts';

/** The kind of an outcome that names none. */
export const outcomeNameDefault = 'click';

/** The kinds that a model knows; without `learning.outcomes` clicks alone. */
export function outcomeKindsOf(learning: LearningSpec | undefined): readonly OutcomeSpec[] {
  return learning?.outcomes ?? [{ name: outcomeNameDefault }];
}

/** Place of a kind among the model's, −1 when it has none of that name. */
export function outcomeKindNumber(kinds: readonly OutcomeSpec[], name: string | undefined): number {
  const wanted = name ?? outcomeNameDefault;
  return kinds.findIndex((kind) => kind.name === wanted);
}

/** What to say of an outcome of another kind. */
export function outcomeKindUnknown(kinds: readonly OutcomeSpec[], name: string | undefined): string {
  const known = kinds.map((kind) => kind.name).join(', ');
  return `outcome: wanted one of ${known}, found ${JSON.stringify(name ?? outcomeNameDefault)}`;
}
