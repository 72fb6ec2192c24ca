/**
 * Which line scores a request: what the request itself addresses, else what its arm says, else the model's own way. An arm whose
 * target cannot score costs no answer: the request goes the model's way, in no arm, and the failure is counted for the arm.
 */
import type { Assignment, ExperimentsView, UnitSource } from '@millrace/experiments';
import { type ArmTarget, isMillraceError, type VersionAddress, versionArm } from '@millrace/protocol';
import type { Clock } from '@millrace/runtime';
import type { ArmCounter } from './arm-counts.ts';
import { refusedPart } from './refused-part.ts';
import type { Scored, ScoreInput } from './scored.ts';
import type { ServedModel } from './served-model.ts';
import type { Route } from './served-versions.ts';

/** Where a request is scored, and as part of what. */
export interface Way {
  /** The model that was asked, and the one whose line scores and which learns of it. */
  readonly asked: ServedModel;
  readonly model: ServedModel;
  readonly route: Route;
  /** The request names a version or a label: nothing else answers it, and it is in no experiment. */
  readonly addressed: boolean;
  /** Null: no experiment has a say. */
  readonly assignment: Assignment | null;
}

export interface WayScored extends Way {
  readonly scored: Scored;
}

export interface ArmRouting {
  /** @throws MILL_VERSION_UNKNOWN, MILL_NOT_READY, MILL_BAD_REQUEST for what the request addresses itself. */
  wayOf(asked: ServedModel, address: VersionAddress, source: UnitSource): Way;
  /** The line of a shadow. @throws what keeps it from scoring. */
  shadowWay(asked: ServedModel, target: ArmTarget): Route;
  /** Scores, by another line where that of the way cannot. @throws what its batcher throws. */
  score(way: Way, input: ScoreInput): Promise<WayScored>;
}

export interface ArmRoutingOptions {
  readonly clock: Clock;
  readonly counter: ArmCounter;
  /** Null until it is opened. */
  readonly experiments: () => ExperimentsView | null;
  readonly readyModel: (name: string) => ServedModel;
}

/** Codes that say something of the caller or of the moment, not of what scores. */
const callersFaults = new Set(['MILL_FEATURE_INVALID', 'MILL_BAD_REQUEST', 'MILL_TIMEOUT', 'MILL_CLOSED']);
const notFinite = 'MILL_SCORES_NOT_FINITE';
/** What another line would meet as well. */
const everybodysFaults = new Set(['MILL_OVERLOADED', 'MILL_SHARD_UNAVAILABLE']);

export function createArmRouting({ clock, counter, experiments, readyModel }: ArmRoutingOptions): ArmRouting {
  const toTarget = (asked: ServedModel, target: ArmTarget): Pick<Way, 'model' | 'route'> => {
    switch (target.type) {
      case 'default':
        return { model: asked, route: asked.versions.route({}) };
      case 'live':
        return { model: asked, route: asked.versions.route({ version: 'live' }) };
      case 'version':
        return { model: asked, route: asked.versions.route({ version: target.version }) };
      case 'label':
        return { model: asked, route: asked.versions.route({ label: target.label }) };
      case 'model': {
        const model = readyModel(target.model);
        return { model, route: model.versions.route({}) };
      }
    }
  };

  const wayOf: ArmRouting['wayOf'] = (asked, address, source) => {
    const { version, label } = address;
    if (version !== undefined && label !== undefined)
      throw refusedPart('label', 'a version or a label', 'both');
    const addressed = version !== undefined || label !== undefined;
    const assignment = addressed ? null : (experiments()?.assignerFor(asked.net.file.name)?.(source) ?? null);
    if (assignment === null || assignment.target.type === 'default')
      return { asked, model: asked, route: asked.versions.route(addressOf(address)), addressed, assignment };
    try {
      return { asked, ...toTarget(asked, assignment.target), addressed, assignment };
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      counter.failed(asked.net.file.name, armsOf(assignment), 'errors');
      return { asked, model: asked, route: asked.versions.route({}), addressed, assignment: null };
    }
  };

  /** What is tried after a way that failed, the nearest first: the label's former version, the model's way, the live line. */
  const otherWays = ({ asked, model, route, addressed, assignment }: Way): Way[] => {
    if (addressed) return [];
    const ways: Way[] = [];
    const add = (version: number | 'live' | undefined) => {
      try {
        const other = asked.versions.route(version === undefined ? {} : { version });
        if (other.line !== route.line && !ways.some((way) => way.route.line === other.line))
          ways.push({ asked, model: asked, route: other, addressed, assignment: null });
      } catch (error) {
        // It is not loaded here: there may be others.
        if (!isMillraceError(error)) throw error;
      }
    };
    const previous =
      route.label === null ? null : (model.versions.catalog.labels[route.label]?.previous ?? null);
    if (model === asked && previous !== null) add(previous);
    if (assignment !== null && assignment.target.type !== 'default') add(undefined);
    add('live');
    return ways;
  };

  /** The arms that a way is counted for. The live line is told of where it is compared with something. */
  const countedArms = ({ assignment, route }: Way): string[] => {
    const arms = armsOf(assignment);
    const { number } = route.line;
    if (number !== null || assignment !== null) arms.push(versionArm(number ?? 0));
    return arms;
  };

  const tryOne = async (way: Way, input: ScoreInput): Promise<WayScored> => {
    const name = way.asked.net.file.name;
    const arms = countedArms(way);
    const startMs = clock.monotonicMs();
    try {
      const scored = await way.route.line.batcher.submit(input, input.items.length, input.caller?.priority);
      counter.answered(name, arms, clock.monotonicMs() - startMs);
      return { ...way, scored };
    } catch (error) {
      const code = isMillraceError(error) ? error.code : null;
      const isTold = code === notFinite || (code !== null && callersFaults.has(code));
      if (!isTold) counter.failed(name, arms, 'errors');
      throw error;
    }
  };

  return {
    wayOf,
    shadowWay: (asked, target) => toTarget(asked, target).route,
    async score(way, input) {
      // Ways that made no numbers of these features. It was their weights where another way makes some; else it is the features.
      const without: Way[] = [];
      const attempt = async (one: Way) => {
        try {
          return await tryOne(one, input);
        } catch (error) {
          if (isMillraceError(error, notFinite)) without.push(one);
          throw error;
        }
      };
      try {
        return await attempt(way);
      } catch (error) {
        const code = isMillraceError(error) ? error.code : '';
        if (callersFaults.has(code) || everybodysFaults.has(code)) throw error;
        for (const other of otherWays(way)) {
          const answer = await attempt(other).catch(() => null);
          if (answer === null) continue;
          for (const one of without) counter.failed(one.asked.net.file.name, countedArms(one), 'notFinite');
          return answer;
        }
        if (code === notFinite) counter.failed(way.asked.net.file.name, [], 'notFinite');
        throw error;
      }
    },
  };
}

/** The arms that a request is counted for. */
export function armsOf(assignment: Assignment | null): string[] {
  return assignment === null || assignment.arm === '' ? [] : assignment.arm.split(' ');
}

function addressOf({ version, label }: VersionAddress): VersionAddress {
  return { ...(version !== undefined && { version }), ...(label !== undefined && { label }) };
}
