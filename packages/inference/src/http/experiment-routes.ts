/** Experiments: how they do, and changes of them, which want an admin's key (access.ts). */
import type { FastifyInstance } from 'fastify';
import { within } from '../time-limit.ts';
import { answer, answers } from './answer-schemas.ts';
import {
  experimentParamsSchema,
  setSharesRequestSchema,
  stopExperimentRequestSchema,
} from './experiment-schemas.ts';
import type { RouteOptions } from './routes.ts';
import { modelParamsSchema, noQuerySchema } from './schemas.ts';

interface OfModel {
  readonly Params: { readonly name: string };
}
interface OfExperiment {
  readonly Params: { readonly name: string; readonly experiment: string };
}
interface SharesBody {
  readonly shares: Readonly<Record<string, number>>;
  readonly reason?: string;
}
interface StopBody {
  readonly keep?: string | null;
  readonly reason?: string;
}

const base = '/v1/models/:name/experiments';
const one = `${base}/:experiment`;
const told = { 200: answer('ExperimentReport', 'The experiment as it is now.') };
const described = (summary: string, params: object) => ({
  tags: ['experiments'],
  summary,
  params,
  querystring: noQuerySchema,
  response: answers(told),
});

export function addExperimentRoutes(
  app: FastifyInstance,
  { service: { experiments }, requestTimeoutMs }: RouteOptions,
): void {
  app.get<OfModel>(
    base,
    {
      schema: {
        ...described('Lists experiments of a model, ended ones too', modelParamsSchema),
        response: answers({ 200: answer('ExperimentListResponse', 'In the order they were started.') }),
      },
    },
    async ({ params }) => ({
      experiments: await within(requestTimeoutMs, experiments.list(params.name)),
    }),
  );
  app.get<OfExperiment>(
    one,
    { schema: described('How an experiment does', experimentParamsSchema) },
    ({ params }) => within(requestTimeoutMs, experiments.report(params.name, params.experiment)),
  );
  app.post<OfModel & { Body: unknown }>(
    base,
    {
      schema: {
        ...described('Starts an experiment', modelParamsSchema),
        body: { $ref: 'ExperimentSpec#' },
        response: answers({ 201: answer('ExperimentReport', 'It runs.') }),
      },
    },
    async ({ params, body }, reply) =>
      reply.code(201).send(await within(requestTimeoutMs, experiments.start(params.name, body))),
  );
  app.put<OfExperiment & { Body: SharesBody }>(
    `${one}/shares`,
    {
      schema: {
        ...described('Changes shares; as few units as possible change arms', experimentParamsSchema),
        body: { $ref: `${setSharesRequestSchema.$id}#` },
      },
    },
    ({ params: { name, experiment }, body: { shares, reason } }) =>
      within(requestTimeoutMs, experiments.setShares(name, experiment, shares, reason)),
  );
  app.post<OfExperiment & { Body: StopBody | null }>(
    `${one}/stop`,
    {
      schema: {
        ...described('Ends an experiment; what one arm scores with may stay for all', experimentParamsSchema),
        body: { $ref: `${stopExperimentRequestSchema.$id}#` },
      },
    },
    ({ params: { name, experiment }, body }) =>
      within(requestTimeoutMs, experiments.stop(name, experiment, body?.keep ?? null, body?.reason)),
  );
}
