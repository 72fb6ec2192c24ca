import { randomUUID } from 'node:crypto';
import {
  type ClusterStatus,
  type CreateModelResponse,
  isMillraceError,
  type Measures,
  type MeasuresResponse,
  MillraceError,
  type ModelFile,
  type ModelListing,
  type ModelListResponse,
  type OutcomeRequest,
  type OutcomeResponse,
  type RankRequest,
  type RankResponse,
  type RejectedOutcome,
  type RejectedOutcomesResponse,
  reasonFrom,
  type ScoreRequest,
  type ScoreResponse,
} from '@millrace/protocol';
import { createExchange, type MillraceClientOptions, sleepFor } from './exchange.ts';
import { createExperimentsClient, type ExperimentsClient } from './experiments.ts';
import { checkFinite } from './finite.ts';
import { outcomeBodies } from './outcome-bodies.ts';
import { waitingHelps } from './retry.ts';
import { createVersionsClient, type VersionsClient } from './versions.ts';

/**
 * Every call throws MillraceError: the server's code; MILL_TIMEOUT when the time is up; MILL_UNREACHABLE when no
 * connection holds; MILL_CLOSED after `close`.
 */
export interface MillraceClient {
  /**
   * Scores candidates. Sent again after a failure only when that cannot count an impression twice: with `log: false` or
   * with a `requestId`, which a client of several nodes makes where the request has none.
   * @throws MILL_BAD_REQUEST also for a feature that is NaN or infinite, which JSON cannot carry.
   */
  score(request: ScoreRequest): Promise<ScoreResponse>;
  /**
   * Asks for an order to show, which explores. Sent again as `score` is: with the request's id the same order is drawn again.
   * @throws MILL_BAD_REQUEST also for a feature that is NaN or infinite, which JSON cannot carry.
   */
  rank(request: RankRequest): Promise<RankResponse>;
  /**
   * Sends outcomes, any number, split into posts that the server takes. May send one twice after a failure; the server
   * counts it once. When it throws, `details.accepted` is how many from the start are stored for certain.
   */
  sendOutcomes(outcomes: OutcomeRequest | readonly OutcomeRequest[]): Promise<OutcomeResponse>;
  /** Outcomes that were accepted lately and that no impression fitted, newest first. */
  rejectedOutcomes(model?: string): Promise<readonly RejectedOutcome[]>;
  createModel(file: ModelFile): Promise<CreateModelResponse>;
  models(): Promise<readonly ModelListing[]>;
  /** What a model's updater told of how well it does in the last hour, oldest first. */
  measures(model: string): Promise<readonly Measures[]>;
  readonly versions: VersionsClient;
  readonly experiments: ExperimentsClient;
  status(): Promise<ClusterStatus>;
  /** Whether a node is ready, of several any; false too when nobody answers. */
  ready(): Promise<boolean>;
  /** @throws MILL_TIMEOUT when no node is ready in time. */
  waitUntilReady(options?: { readonly timeoutMs?: number }): Promise<void>;
  /** Lets running calls finish, then closes the connections. */
  close(): Promise<void>;
}

const readyTimeoutMsDefault = 30_000;
const readyPollMs = 100;
/** A node opens an engine for a new model, which takes seconds on a busy machine; asking again does no harm. */
const createTimeoutMs = 60_000;
/** One question about readiness; a node that is silent for longer is asked again. */
const readyAnswerMsMax = 1_000;

/** @throws MILL_CONFIG_INVALID when `url` is not an http or https URL. */
export function createMillraceClient(options: MillraceClientOptions): MillraceClient {
  const { now = () => performance.now(), sleep = sleepFor, newRequestId = randomUUID } = options;
  const exchange = createExchange(options);
  const get = <T>(path: string): Promise<T> => exchange.call({ method: 'GET', path }, 'repeatable');

  /** @param isUnlogged  it leaves no impression, so that sending it again counts nothing twice. */
  async function ask<T>(path: string, request: ScoreRequest | RankRequest, isUnlogged: boolean): Promise<T> {
    checkFinite(request);
    let repeatable = isUnlogged || request.requestId !== undefined;
    let body = request;
    if (!repeatable && exchange.nodes > 1) {
      body = { ...request, requestId: newRequestId() };
      repeatable = true;
    }
    return exchange.call({ method: 'POST', path, body: jsonOf(body) }, repeatable ? 'repeatable' : 'once');
  }

  async function ready(timeoutMs?: number): Promise<boolean> {
    try {
      await exchange.call({ method: 'GET', path: '/health/ready' }, 'glance', timeoutMs);
      return true;
    } catch (error) {
      if (waitingHelps(error) && !exchange.closed) return false;
      throw error;
    }
  }

  return {
    score: (request) => ask('/v1/score', request, request.log === false),
    rank: (request) => ask('/v1/rank', request, false),
    async sendOutcomes(outcomes) {
      let accepted = 0;
      for (const body of outcomeBodies(isList(outcomes) ? outcomes : [outcomes])) {
        try {
          const answer = await exchange.call<OutcomeResponse>(
            { method: 'POST', path: '/v1/events', body },
            'repeatable',
          );
          accepted += answer.accepted;
        } catch (error) {
          throw withAccepted(error, accepted);
        }
      }
      return { accepted };
    },
    async rejectedOutcomes(model) {
      const query = model === undefined ? '' : `?model=${encodeURIComponent(model)}`;
      return (await get<RejectedOutcomesResponse>(`/v1/events/rejected${query}`)).rejected;
    },
    async createModel(file) {
      const path = `/v1/models/${encodeURIComponent(file.name)}`;
      return exchange.call({ method: 'PUT', path, body: jsonOf(file) }, 'repeatable', createTimeoutMs);
    },
    models: async () => (await get<ModelListResponse>('/v1/models')).models,
    measures: async (model) =>
      (await get<MeasuresResponse>(`/v1/models/${encodeURIComponent(model)}/measures`)).measures,
    versions: createVersionsClient(exchange),
    experiments: createExperimentsClient(exchange),
    status: () => get<ClusterStatus>('/v1/status'),
    ready: () => ready(),
    async waitUntilReady({ timeoutMs = readyTimeoutMsDefault } = {}) {
      const deadline = now() + timeoutMs;
      while (!(await ready(Math.min(readyAnswerMsMax, Math.max(1, deadline - now()))))) {
        if (now() + readyPollMs >= deadline) {
          throw new MillraceError(
            'MILL_TIMEOUT',
            `${[options.url].flat().join(', ')}: not ready after ${timeoutMs} ms`,
          );
        }
        await sleep(readyPollMs);
      }
    },
    close: () => exchange.close(),
  };
}

function jsonOf(body: object): string {
  try {
    return JSON.stringify(body);
  } catch (cause) {
    throw new MillraceError('MILL_BAD_REQUEST', `body: wanted what JSON can carry: ${reasonFrom(cause)}`, {
      cause,
    });
  }
}

function withAccepted(error: unknown, accepted: number): unknown {
  if (!isMillraceError(error)) return error;
  return new MillraceError(error.code, error.message, {
    details: { ...error.details, accepted },
    cause: error,
  });
}

function isList(outcomes: OutcomeRequest | readonly OutcomeRequest[]): outcomes is readonly OutcomeRequest[] {
  return Array.isArray(outcomes);
}
