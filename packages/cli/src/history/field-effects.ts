/** What each field does to a score, for nets that are a sum over keys: there the parts add up, elsewhere they do not. */
import type { ScoreInput } from '@millrace/inference';
import { featuresOf } from '@millrace/model';
import type { Features } from '@millrace/protocol';
import type { NeededKey, PastModel } from './past-model.ts';

/**
 * For each item, by field: its logit less its logit without the field and the crosses that it is part of. Null for a net
 * that is more than a sum.
 * @param rowOf  the row of a key of the request.
 */
export async function fieldEffects(
  model: PastModel,
  request: ScoreInput,
  rowOf: (key: NeededKey) => Float32Array,
): Promise<readonly Record<string, number>[] | null> {
  const { shape, file } = model.net;
  if (shape.parts.length > 0) return null;
  const logitsOf = async (of: ScoreInput) => {
    for (const key of model.begin(of)) key.row.set(rowOf(key));
    return model.logits();
  };
  const whole = await logitsOf(request);
  const items = featuresOf(request.items);
  const effects: Record<string, number>[] = items.map(() => ({}));
  for (const { name } of file.fields) {
    const without = await logitsOf({
      user: lacking(request.user, name),
      context: lacking(request.context, name),
      items: items.map((item) => lacking(item, name)),
    });
    for (const [i, effect] of effects.entries()) {
      const change = whole[i] - without[i];
      if (change !== 0) effect[name] = change;
    }
  }
  return effects;
}

function lacking(features: Features, name: string): Features {
  return Object.fromEntries(Object.entries(features).filter(([key]) => key !== name));
}
