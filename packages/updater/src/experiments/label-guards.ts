/**
 * Moves a label back that was moved to a version which does worse than the one before it: for a while after each move the new
 * version's figures are held against those that the old one had when the label left it. The move back says what was seen.
 */
import {
  type ArmFigures,
  type ArmWindow,
  addedFigures,
  guardBounds,
  guardReason,
} from '@millrace/experiments';
import { type LabelMove, type VersionCatalog, versionArm } from '@millrace/protocol';
import type { VersionRegistry, VersionsView } from '@millrace/registry';
import type { Clock, Logger } from '@millrace/runtime';

export interface LabelGuardsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly versions: VersionsView;
  readonly registry: Pick<VersionRegistry, 'setLabel'>;
  readonly windowOf: (model: string) => ArmWindow | undefined;
}

export interface LabelGuards {
  /** @throws MILL_LOG_UNAVAILABLE, MILL_VERSION_INVALID when somebody else has moved the label meanwhile. */
  lookAt(model: string): Promise<void>;
  close(): void;
}

/** How long a move is watched: what shows itself later is for people to judge. */
const watchedMs = 600_000;

interface Move {
  readonly version: number;
  readonly previous: number;
  readonly untilMs: number;
  /** What the version before did in its last minute, else what the live line does; null: neither is known. */
  readonly control: ArmFigures | null;
  /** Done; the catalog that says so may still be on its way. */
  movedBack: boolean;
}

/** What reasons of guards begin with: their moves are not guarded in turn, or two bad versions would change places for good. */
const guardPrefix = 'guard: ';

export function createLabelGuards(options: LabelGuardsOptions): LabelGuards {
  const { clock, logger, versions, registry, windowOf } = options;
  const moves = new Map<string, Move>();

  const figuresAt = (model: string, version: number): ArmFigures | null => {
    const figures = windowOf(model)?.figuresOf(versionArm(version)) ?? null;
    return figures === null ? null : addedFigures(figures);
  };
  const note = (model: string) => {
    for (const [key, { untilMs }] of moves) if (clock.now() > untilMs) moves.delete(key);
    for (const [label, move] of newestMoves(versions.catalogOf(model))) {
      const { from, to, timeMs, reason } = move;
      const key = `${model} ${label}`;
      const untilMs = timeMs + watchedMs;
      if (from === null || to === null || reason.startsWith(guardPrefix)) continue;
      if (moves.get(key)?.untilMs === untilMs || clock.now() > untilMs) continue;
      const control = figuresAt(model, from) ?? figuresAt(model, 0);
      moves.set(key, { version: to, previous: from, untilMs, control, movedBack: false });
    }
  };
  const stopListening = versions.onChange(note);

  return {
    async lookAt(model) {
      note(model);
      for (const [label, { version }] of Object.entries(versions.catalogOf(model).labels)) {
        const move = moves.get(`${model} ${label}`);
        if (move === undefined || move.version !== version || move.movedBack) continue;
        const own = figuresAt(model, version);
        const seen = own === null ? null : guardReason(guardBounds, own, move.control);
        if (seen === null) continue;
        const reason = `${guardPrefix}version ${version} was moved back: ${seen}`;
        await registry.setLabel(model, label, move.previous, { from: version, reason });
        move.movedBack = true;
        windowOf(model)?.forget(versionArm(version));
        logger.warn(
          { model, label, version, previous: move.previous, reason },
          'label moved back by a guard',
        );
      }
    },
    close: stopListening,
  };
}

/** The newest move of each label that is where it went. */
function newestMoves({ labels, moves }: VersionCatalog): ReadonlyMap<string, LabelMove> {
  const newest = new Map<string, LabelMove>();
  for (const move of moves) if (labels[move.label]?.version === move.to) newest.set(move.label, move);
  return newest;
}
