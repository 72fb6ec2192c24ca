/**
 * TensorFlow Serving's REST API. Its paths stand beside native ones below /v1/models, so each is registered by its own
 * pattern; calls (`:predict` and the like) are one wildcard, since a colon inside a path segment is no pattern of the router.
 */
import type { ModelFile } from '@millrace/protocol';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../../scoring-service.ts';
import { type RowGroups, type RowScores, scoreRows } from '../../tensors/score-rows.ts';
import { within } from '../../time-limit.ts';
import { type ForeignOptions, hidden, speakForeign } from '../foreign-scope.ts';
import { routeUnknown } from '../route-unknown.ts';
import { callerOf } from '../routes.ts';
import { examplesFrom } from './examples.ts';
import { predictionFrom } from './predict.ts';
import { tfsMetadata } from './tfs-metadata.ts';
import { lineNamed, statusesOf } from './version-status.ts';

interface OfModel {
  readonly Params: { readonly model: string; readonly version?: string; readonly label?: string };
}

export async function addTfsRoutes(app: FastifyInstance, options: ForeignOptions): Promise<void> {
  await app.register(async (scope) => {
    speakForeign(scope, options.refuser);
    addStatusRoutes(scope, options);
    scope.post<{ Params: { '*': string } }>('/v1/models/*', hidden, (request, reply) =>
      answerCall(options, request.params['*'], request, reply),
    );
  });
}

function addStatusRoutes(scope: FastifyInstance, { service }: ForeignOptions): void {
  const found = ({ params }: FastifyRequest<OfModel>) => {
    const file = service.fileOf(params.model);
    return { file, ...statusesOf(service, file.name, params) };
  };
  const base = '/v1/models/:model';
  for (const path of [base, `${base}/versions/:version`, `${base}/labels/:label`]) {
    scope.get<OfModel>(path, hidden, async (request) => ({ model_version_status: found(request).statuses }));
    scope.get<OfModel>(`${path}/metadata`, hidden, async (request) => {
      const { file, statuses } = found(request);
      return tfsMetadata(file, statuses[statuses.length - 1].version);
    });
  }
}

const callPattern =
  /^(?<model>[^/:]+)(?:\/versions\/(?<version>[^/:]+)|\/labels\/(?<label>[^/:]+))?:(?<verb>predict|classify|regress)$/;

/** `{model}[/versions/{v}|/labels/{l}]:predict` and the like. */
async function answerCall(
  { service, requestTimeoutMs }: ForeignOptions,
  path: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<object> {
  const call = callPattern.exec(path)?.groups;
  if (call === undefined) {
    const hint = 'calls are POST /v1/models/NAME:predict, :classify and :regress';
    throw routeUnknown(request.method, request.url.split('?', 1)[0], hint);
  }
  const { model, version, label, verb } = call;
  const file = service.fileOf(model);
  lineNamed(service, model, { version, label });
  const caller = callerOf(reply.raw);
  const scoring = { service, file, version: version ?? '', ...(label !== undefined && { label }), caller };
  const scored = (groups: RowGroups) => within(requestTimeoutMs, scoreAll(scoring, groups));
  if (verb === 'predict') {
    const { groups, form } = predictionFrom(file, request.body);
    const { scores, shape } = await scored(groups);
    return { [form]: shape.length === 1 ? Array.from(scores) : Array.from(scores, (score) => [score]) };
  }
  const { scores } = await scored(examplesFrom(file, request.body));
  return { results: verb === 'regress' ? Array.from(scores) : Array.from(scores, classesOf) };
}

/** Nothing is logged: the protocol has no place for a request's id, so no outcome could name what was scored. */
function scoreAll(
  scoring: {
    readonly service: ForeignOptions['service'];
    readonly file: ModelFile;
    readonly version: string;
    readonly label?: string;
    readonly caller: Caller;
  },
  groups: RowGroups,
): Promise<RowScores> {
  return scoreRows(groups, { ...scoring, logAs: null });
}

/** Label and score of both classes. */
function classesOf(score: number): readonly (readonly [string, number])[] {
  return [
    ['0', 1 - score],
    ['1', score],
  ];
}
