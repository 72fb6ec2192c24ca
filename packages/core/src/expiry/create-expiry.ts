import type { ExpirySpec } from '@millrace/protocol';
import { createAgeExpiry } from './age.ts';
import type { Expiry } from './expiry.ts';
import { createScoreExpiry } from './score.ts';

/** The policy that a table asks for. */
export function createExpiry(spec: ExpirySpec): Expiry {
  return spec.type === 'age'
    ? createAgeExpiry(spec.afterMs)
    : createScoreExpiry(spec.halfLifeMs, spec.scoreMin);
}
