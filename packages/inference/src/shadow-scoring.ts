/**
 * Scores beside those that are answered. It begins once a request has its answer, in a bounded number at a time, and not while
 * requests wait: what a busy node leaves out is counted. The impression waits for it, and nobody else.
 */
import type { Assignment } from '@millrace/experiments';
import type { Shadow } from '@millrace/protocol';
import type { ArmCounter } from './arm-counts.ts';
import type { ArmRouting, WayScored } from './arm-routing.ts';
import { firstChoice } from './ranking.ts';
import type { ScoreInput } from './scored.ts';

export interface ShadowScoring {
  /**
   * @param places  items of the request that the impression shows, in its order; null: all, as they are.
   * @returns null: there is no shadow, the node is busy, or it could not be scored.
   */
  score(way: WayScored, input: ScoreInput, places: readonly number[] | null): Promise<Shadow | null> | null;
  /** Resolves once none is under way. */
  settled(): Promise<void>;
}

/** Under way at the same time: a batch or two of small requests. */
const underwayMax = 64;

export interface ShadowScoringOptions {
  readonly routing: Pick<ArmRouting, 'shadowWay'>;
  readonly counter: ArmCounter;
  /** Items that wait in a model's lines beyond which shadows are left out. */
  readonly queueRowsMax: number;
}

export function createShadowScoring({ routing, counter, queueRowsMax }: ShadowScoringOptions): ShadowScoring {
  const underway = new Set<Promise<unknown>>();

  const scoreOne = async (
    way: WayScored,
    { arm, unit, target }: NonNullable<Assignment['shadow']>,
    input: ScoreInput,
    places: readonly number[] | null,
  ): Promise<Shadow | null> => {
    const { user, context, items, ranked = false } = input;
    try {
      const { line } = routing.shadowWay(way.asked, target);
      const asked = { user, context, items, ranked };
      const { scores, logits, version } = await line.batcher.submit(asked, items.length, 'low');
      const shown = places === null ? scores : Float32Array.from(places, (place) => scores[place]);
      const bytes = new Uint8Array(shown.buffer, shown.byteOffset, shown.byteLength);
      const greedy = ranked && { greedy: firstChoice(logits, way.scored.scores) };
      return { arm, unit, version, scores: bytes, ...greedy };
    } catch {
      // Whatever it is, the answer is out and right; the guard hears of it.
      counter.failed(way.asked.net.file.name, [arm], 'errors');
      return null;
    }
  };

  return {
    score(way, input, places) {
      const shadow = way.assignment?.shadow ?? null;
      if (shadow === null) return null;
      if (underway.size >= underwayMax || way.asked.queueRows > queueRowsMax) {
        counter.failed(way.asked.net.file.name, [shadow.arm], 'dropped');
        return null;
      }
      const scored = scoreOne(way, shadow, input, places);
      underway.add(scored);
      void scored.finally(() => underway.delete(scored));
      return scored;
    },
    async settled() {
      await Promise.all(underway);
    },
  };
}
