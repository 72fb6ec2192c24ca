import { type Features, MillraceError, type ScoreRequest } from '@millrace/protocol';

/**
 * JSON has no NaN or Infinity: written as JSON they become null, and a lost number would look like an absent one.
 * @throws MILL_BAD_REQUEST naming the first such feature.
 */
export function checkFinite(request: ScoreRequest): void {
  if (request.user !== undefined) checkFeatures(request.user, 'user');
  if (request.context !== undefined) checkFeatures(request.context, 'context');
  for (let index = 0; index < request.items.length; index += 1) {
    checkFeatures(request.items[index], index);
  }
}

function checkFeatures(features: Features | undefined, place: string | number): void {
  for (const name in features) {
    const value = features[name];
    if (typeof value === 'number' ? !Number.isFinite(value) : Array.isArray(value) && value.some(isLost)) {
      const path = `${typeof place === 'number' ? `items[${place}]` : place}.${name}`;
      throw new MillraceError('MILL_BAD_REQUEST', `${path}: wanted finite numbers, found one that is not`, {
        details: { path },
      });
    }
  }
}

function isLost(value: unknown): boolean {
  return typeof value === 'number' && !Number.isFinite(value);
}
