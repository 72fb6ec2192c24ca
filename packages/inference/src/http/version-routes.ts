/** Versions of models: what there are, and changes of them, which want an admin's key (access.ts). */
import type { SetLabelRequest, TakeVersionRequest, VersionPolicy } from '@millrace/protocol';
import type { FastifyInstance } from 'fastify';
import { refusedPart } from '../refused-part.ts';
import { within } from '../time-limit.ts';
import { answer, answers } from './answer-schemas.ts';
import type { RouteOptions } from './routes.ts';
import { modelParamsSchema, noQuerySchema } from './schemas.ts';
import { labelParamsSchema, reasonQuerySchema, versionParamsSchema } from './version-schemas.ts';

interface OfModel {
  readonly Params: { readonly name: string };
}
interface OfVersion {
  readonly Params: { readonly name: string; readonly version: string };
}
interface OfLabel {
  readonly Params: { readonly name: string; readonly label: string };
  readonly Querystring: { readonly reason?: string };
}

const base = '/v1/models/:name';
const changed = answers({ 200: answer('VersionsResponse', 'All versions as they are now.') });
const described = (summary: string, params: object, querystring: object = noQuerySchema) => ({
  tags: ['versions'],
  summary,
  params,
  querystring,
  response: changed,
});

export function addVersionRoutes(app: FastifyInstance, options: RouteOptions): void {
  addListRoutes(app, options);
  addLoadRoutes(app, options);
  addLabelRoutes(app, options);
}

function addListRoutes(
  app: FastifyInstance,
  { service: { versions }, requestTimeoutMs }: RouteOptions,
): void {
  app.get<OfModel>(
    `${base}/versions`,
    { schema: described('Lists versions, labels and their moves', modelParamsSchema) },
    async ({ params }) => versions.list(params.name),
  );
  app.get<OfVersion>(
    `${base}/versions/:version/record`,
    {
      schema: {
        ...described('Where a version comes from, its model file with it', versionParamsSchema),
        response: answers({ 200: answer('VersionRecord', 'As it was written when it was made.') }),
      },
    },
    ({ params }) => within(requestTimeoutMs, versions.record(params.name, Number(params.version))),
  );
  app.post<OfModel & { Body: TakeVersionRequest | null }>(
    `${base}/versions`,
    {
      schema: {
        ...described('Freezes the live line as a new version', modelParamsSchema),
        body: { $ref: 'TakeVersionRequest#' },
        response: answers({ 201: answer('TakeVersionResponse', 'It was taken; its number.') }),
      },
    },
    async ({ params, body }, reply) =>
      reply.code(201).send(await within(requestTimeoutMs, versions.take(params.name, body ?? {}))),
  );
  app.put<OfModel & { Body: PolicyBody }>(
    `${base}/policy`,
    {
      schema: {
        ...described('Sets which versions nodes load', modelParamsSchema),
        body: { $ref: 'VersionPolicy#' },
      },
    },
    ({ params, body }) => within(requestTimeoutMs, versions.setPolicy(params.name, policyFrom(body))),
  );
}

function addLoadRoutes(
  app: FastifyInstance,
  { service: { versions }, requestTimeoutMs }: RouteOptions,
): void {
  const summaries = {
    load: 'Loads a version on every node, whatever the policy says',
    unload: 'Unloads a version that no label points at from every node',
  } as const;
  for (const verb of ['load', 'unload'] as const)
    app.post<OfVersion>(
      `${base}/versions/:version/${verb}`,
      { schema: described(summaries[verb], versionParamsSchema) },
      ({ params }) => within(requestTimeoutMs, versions[verb](params.name, Number(params.version))),
    );
  app.delete<OfVersion>(
    `${base}/versions/:version`,
    { schema: described('Forgets a version that is neither labelled nor loaded', versionParamsSchema) },
    ({ params }) => within(requestTimeoutMs, versions.remove(params.name, Number(params.version))),
  );
}

function addLabelRoutes(
  app: FastifyInstance,
  { service: { versions }, requestTimeoutMs }: RouteOptions,
): void {
  app.put<OfLabel & { Body: SetLabelRequest }>(
    `${base}/labels/:label`,
    {
      schema: {
        ...described('Points a label at a version', labelParamsSchema),
        body: { $ref: 'SetLabelRequest#' },
      },
    },
    ({ params, body }) => within(requestTimeoutMs, versions.setLabel(params.name, params.label, body)),
  );
  const why = (summary: string) => ({ schema: described(summary, labelParamsSchema, reasonQuerySchema) });
  app.delete<OfLabel>(`${base}/labels/:label`, why('Unsets a label'), ({ params, query }) =>
    within(requestTimeoutMs, versions.unsetLabel(params.name, params.label, query.reason)),
  );
  app.post<OfLabel>(
    `${base}/labels/:label/rollback`,
    why('Points a label at the version that it pointed at before'),
    ({ params, query }) =>
      within(requestTimeoutMs, versions.rollBackLabel(params.name, params.label, query.reason)),
  );
}

interface PolicyBody {
  readonly type: VersionPolicy['type'];
  readonly count?: number;
  readonly versions?: readonly number[];
}

/** @throws MILL_BAD_REQUEST for a parameter of another type's. */
function policyFrom({ type, count, versions }: PolicyBody): VersionPolicy {
  if (count !== undefined && type !== 'latest') throw refusedPart('count', `none with ${type}`, 'one');
  if ((versions === undefined) === (type === 'specific'))
    throw refusedPart(
      'versions',
      type === 'specific' ? 'a list' : `none with ${type}`,
      versions ? 'one' : 'nothing',
    );
  switch (type) {
    case 'latest':
      return { type, count: count ?? 1 };
    case 'all':
      return { type };
    case 'specific':
      return { type, versions: versions ?? [] };
  }
}
