/** The public routes. Each checks its input by schema, asks the service, and serialises what it says. */
import type { ServerResponse } from 'node:http';
import type { OutcomeRequest, RankRequest, ScoreRequest } from '@millrace/protocol';
import { MillraceError } from '@millrace/protocol';
import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { priorityFrom, priorityHeader } from '../priority.ts';
import type { Caller, ScoringService } from '../scoring-service.ts';
import { within } from '../time-limit.ts';
import { answer, answers } from './answer-schemas.ts';
import { isOverdue } from './deadlines.ts';
import { lineTypes } from './outcome-lines.ts';
import { modelParamsSchema, noQuerySchema, rejectedQuerySchema } from './schemas.ts';
import { askedIn } from './score-body.ts';
import { scoreJson } from './score-json.ts';
import { spanOf } from './trace-requests.ts';

/** What all routes that wait for the service share. */
export interface RouteOptions {
  readonly service: ScoringService;
  /** Time for an answer, ms. */
  readonly requestTimeoutMs: number;
}

export function addScoringRoutes(app: FastifyInstance, { service, requestTimeoutMs }: RouteOptions): void {
  app.post<{ Body: ScoreRequest }>(
    '/v1/score',
    {
      config: { scansItems: true },
      schema: {
        tags: ['scoring'],
        summary: 'Scores candidates for one user, in the caller’s order',
        querystring: noQuerySchema,
        body: { $ref: 'ScoreRequest#' },
        response: answers({ 200: answer('ScoreResponse', 'One score for each item.') }),
      },
    },
    async (request, reply) => {
      const response = await within(requestTimeoutMs, service.score(askedIn(request), callerOf(reply.raw)));
      const asJson = (payload: unknown) =>
        payload === response ? scoreJson(response) : JSON.stringify(payload);
      reply.type('application/json; charset=utf-8').serializer(asJson);
      return response;
    },
  );
  app.post<{ Body: RankRequest }>(
    '/v1/rank',
    {
      config: { scansItems: true },
      schema: {
        tags: ['scoring'],
        summary: 'Scores candidates and draws an order that explores; logged with its probabilities',
        querystring: noQuerySchema,
        body: { $ref: 'RankRequest#' },
        response: answers({ 200: answer('RankResponse', 'The items in the order to show them.') }),
      },
    },
    (request, reply) => within(requestTimeoutMs, service.rank(askedIn(request), callerOf(reply.raw))),
  );
  app.post<{ Body: OutcomeRequest | readonly OutcomeRequest[] }>(
    '/v1/events',
    {
      schema: {
        tags: ['learning'],
        summary: 'Takes outcomes of scored items; all are durable once answered',
        description:
          'One outcome, an array of them, or one a line (application/x-ndjson, application/jsonl). While one is bad none is stored; bad lines are named by number.',
        consumes: ['application/json', ...lineTypes],
        querystring: noQuerySchema,
        body: { $ref: 'OutcomesRequest#' },
        response: answers({ 200: answer('OutcomeResponse', 'All are durable.') }),
      },
    },
    ({ body }) => within(requestTimeoutMs, service.acceptOutcomes(isList(body) ? body : [body])),
  );
  app.get<{ Querystring: { model?: string } }>(
    '/v1/events/rejected',
    {
      schema: {
        tags: ['learning'],
        summary: 'Outcomes accepted lately that no impression fitted, newest first',
        querystring: rejectedQuerySchema,
        response: answers({ 200: answer('RejectedOutcomesResponse', 'The newest 100.') }),
      },
    },
    async (request) => ({ rejected: service.rejectedOutcomes(request.query.model) }),
  );
}

export function addModelRoutes(app: FastifyInstance, { service, requestTimeoutMs }: RouteOptions): void {
  app.get(
    '/v1/models',
    {
      schema: {
        tags: ['models'],
        summary: 'Lists the models',
        querystring: noQuerySchema,
        response: answers({ 200: answer('ModelListResponse', 'All models.') }),
      },
    },
    async () => ({ models: service.models() }),
  );
  app.get<{ Params: { name: string } }>(
    '/v1/models/:name/measures',
    {
      schema: {
        tags: ['models'],
        summary: 'How well a model does: what its updater told in the last hour, oldest first',
        params: modelParamsSchema,
        querystring: noQuerySchema,
        response: answers({ 200: answer('MeasuresResponse', 'One record every ten seconds.') }),
      },
    },
    async (request) => ({ measures: service.measures(request.params.name) }),
  );
  app.put<{ Params: { name: string }; Body: unknown }>(
    '/v1/models/:name',
    {
      schema: {
        tags: ['models'],
        summary: 'Creates a model from its file; the same file again changes nothing',
        params: modelParamsSchema,
        querystring: noQuerySchema,
        body: { $ref: 'ModelFile#' },
        response: answers({
          200: answer('CreateModelResponse', 'It was there already.'),
          201: answer('CreateModelResponse', 'It was created.'),
        }),
      },
    },
    async (request, reply) => {
      const outcome = await within(requestTimeoutMs, service.createModel(request.params.name, request.body));
      return reply.code(outcome.created ? 201 : 200).send(outcome);
    },
  );
}

export function addOperationRoutes(app: FastifyInstance, service: ScoringService, registry: Registry): void {
  app.get(
    '/v1/status',
    {
      schema: {
        tags: ['operation'],
        summary: 'Models, shards and this node',
        querystring: noQuerySchema,
        response: answers({ 200: answer('ClusterStatus', 'As this node sees it.') }),
      },
    },
    async () => service.status(),
  );
  app.get(
    '/health/live',
    {
      schema: {
        tags: ['operation'],
        summary: 'The process runs',
        response: answers({ 200: answer('LiveResponse', 'It runs.') }),
      },
    },
    async () => ({ live: true }),
  );
  app.get(
    '/health/ready',
    {
      schema: {
        tags: ['operation'],
        summary: 'The node can score; MILL_NOT_READY until then',
        response: answers({ 200: answer('ReadyResponse', 'It can score.') }),
      },
    },
    async () => {
      if (!service.ready) throw new MillraceError('MILL_NOT_READY', 'the node is not ready to score yet');
      return { ready: true };
    },
  );
  app.get(
    '/metrics',
    { schema: { tags: ['operation'], summary: 'Metrics in the text format of Prometheus' } },
    async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
  );
}

/** Who waits for the answer that is being made. */
export function callerOf(answer: ServerResponse): Caller {
  return {
    get gone() {
      return answer.destroyed || answer.writableEnded || isOverdue(answer);
    },
    get span() {
      return spanOf(answer);
    },
    priority: priorityFrom(answer.req.headers[priorityHeader]),
  };
}

function isList(body: OutcomeRequest | readonly OutcomeRequest[]): body is readonly OutcomeRequest[] {
  return Array.isArray(body);
}
