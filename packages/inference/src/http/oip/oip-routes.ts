/** Open Inference Protocol v2 over REST, with the binary tensor and model repository extensions. */
import type { Clock } from '@millrace/runtime';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { refusedPart, shownValue } from '../../refused-part.ts';
import { checkOf } from '../../request-checks.ts';
import type { ScoringService } from '../../scoring-service.ts';
import { infer } from '../../tensors/infer.ts';
import {
  changeLoaded,
  isReady,
  modelConfig,
  modelMetadata,
  modelStatistics,
  namesOf,
  repositoryIndex,
  serverMetadata,
} from '../../tensors/metadata.ts';
import { versionNamed } from '../../tensors/version-address.ts';
import { within } from '../../time-limit.ts';
import { type ForeignOptions, hidden, speakForeign } from '../foreign-scope.ts';
import { routeUnknown } from '../route-unknown.ts';
import { callerOf } from '../routes.ts';
import { sendInferAnswer } from './infer-answer.ts';
import { type CutBody, cutBody, inferBodyFrom } from './infer-body.ts';

export interface OipOptions extends ForeignOptions {
  readonly clock?: Clock | undefined;
}

interface OfModel {
  readonly Params: { readonly model: string; readonly version?: string };
  readonly Body: CutBody | undefined;
}

export async function addOipRoutes(app: FastifyInstance, options: OipOptions): Promise<void> {
  await app.register(
    async (scope) => {
      speakForeign(scope, options.refuser, cutBody);
      scope.setNotFoundHandler((request) => {
        throw routeUnknown(
          request.method,
          request.url.split('?', 1)[0],
          'GET /v2 is where the protocol begins',
        );
      });
      addServerRoutes(scope, options.service);
      addModelRoutes(scope, options);
      addRepositoryRoutes(scope, options);
    },
    { prefix: '/v2' },
  );
}

function addServerRoutes(scope: FastifyInstance, service: ScoringService): void {
  scope.get('/', hidden, async () => serverMetadata());
  scope.get('/health/live', hidden, async () => ({ live: true }));
  scope.get('/health/ready', hidden, async (_request, reply) =>
    reply.code(service.ready ? 200 : 503).send({ ready: service.ready }),
  );
}

function addModelRoutes(scope: FastifyInstance, { service, requestTimeoutMs, clock }: OipOptions): void {
  scope.get('/models/stats', hidden, async () => modelStatistics(service, namesOf(service)));
  /** Checks name and version before anything is said of a model. */
  const found = ({ params: { model, version } }: FastifyRequest<OfModel>) => {
    const file = service.fileOf(model);
    versionNamed(service, model, version ?? '');
    return file;
  };
  const onInfer = async (request: FastifyRequest<OfModel>, reply: FastifyReply) => {
    const { model, version = '' } = request.params;
    const body = inferBodyFrom(request.body ?? { json: undefined, binary: Buffer.alloc(0) });
    const work = infer(service, { ...body, model, version }, callerOf(reply.raw), clock);
    return sendInferAnswer(reply, model, body, await within(requestTimeoutMs, work));
  };
  for (const path of ['/models/:model', '/models/:model/versions/:version']) {
    scope.get<OfModel>(path, hidden, async (request) => modelMetadata(service, found(request)));
    scope.get<OfModel>(`${path}/ready`, hidden, async (request, reply) => {
      const { name } = found(request);
      const ready = isReady(service, name, request.params.version ?? '');
      return reply.code(ready ? 200 : 503).send({ name, ready });
    });
    scope.get<OfModel>(`${path}/config`, hidden, async (request) => modelConfig(service, found(request)));
    scope.get<OfModel>(`${path}/stats`, hidden, async (request) =>
      modelStatistics(service, [found(request).name]),
    );
    scope.post<OfModel>(`${path}/infer`, hidden, onInfer);
  }
}

function addRepositoryRoutes(scope: FastifyInstance, { service, requestTimeoutMs }: ForeignOptions): void {
  scope.post<OfModel>('/repository/index', hidden, async ({ body }) => {
    const asked = body?.json ?? {};
    const ready = typeof asked === 'object' && 'ready' in asked ? asked.ready : false;
    if (typeof ready !== 'boolean') throw refusedPart('ready', 'true or false', shownValue(ready));
    return repositoryIndex(service).filter(({ state }) => !ready || state === 'READY');
  });
  for (const verb of ['load', 'unload'] as const) {
    scope.post<OfModel>(`/repository/models/:model/${verb}`, hidden, async ({ params, body }) =>
      within(
        requestTimeoutMs,
        changeLoaded(service, params.model, verb, checkChange(body?.json ?? {}).parameters ?? {}),
      ),
    );
  }
}

const checkChange = checkOf<{ readonly parameters?: Readonly<Record<string, unknown>> }>({
  type: 'object',
  properties: { parameters: { type: 'object' } },
});
