/** Experiments of a model: how they do, and changes of them. */
import type { ExperimentListResponse, ExperimentReport, ExperimentSpec } from '@millrace/protocol';
import type { Exchange } from './exchange.ts';

/** Changes want a key with role admin. Each throws MILL_MODEL_UNKNOWN, and MILL_EXPERIMENT_UNKNOWN for what is not there. */
export interface ExperimentsClient {
  /** In the order they were started, ended ones too. */
  list(model: string): Promise<readonly ExperimentReport[]>;
  report(model: string, name: string): Promise<ExperimentReport>;
  /** @throws MILL_EXPERIMENT_INVALID, and for arms' targets MILL_VERSION_UNKNOWN, MILL_NOT_READY */
  start(spec: ExperimentSpec): Promise<ExperimentReport>;
  /** @param shares by arm; others keep theirs. @throws MILL_EXPERIMENT_INVALID */
  setShares(
    model: string,
    name: string,
    shares: Readonly<Record<string, number>>,
    reason?: string,
  ): Promise<ExperimentReport>;
  /** @param keep arm whose target scores on for everybody. @throws MILL_EXPERIMENT_INVALID */
  stop(
    model: string,
    name: string,
    options?: { readonly keep?: string; readonly reason?: string },
  ): Promise<ExperimentReport>;
}

/** A start may load versions, which takes seconds on a busy machine. */
const changeTimeoutMs = 30_000;

export function createExperimentsClient(exchange: Exchange): ExperimentsClient {
  const of = (model: string, rest = '') => `/v1/models/${encodeURIComponent(model)}/experiments${rest}`;
  const one = (model: string, name: string, rest = '') => of(model, `/${encodeURIComponent(name)}${rest}`);
  const get = <T>(path: string) => exchange.call<T>({ method: 'GET', path }, 'repeatable');
  const send = (method: 'POST' | 'PUT', path: string, body: object, repeat: 'repeatable' | 'once') =>
    exchange.call<ExperimentReport>({ method, path, body: JSON.stringify(body) }, repeat, changeTimeoutMs);
  const because = (reason: string | undefined) => (reason === undefined ? {} : { reason });
  return {
    list: async (model) => (await get<ExperimentListResponse>(of(model))).experiments,
    report: (model, name) => get(one(model, name)),
    start: (spec) => send('POST', of(spec.model), spec, 'once'),
    setShares: (model, name, shares, reason) =>
      send('PUT', one(model, name, '/shares'), { shares, ...because(reason) }, 'repeatable'),
    stop: (model, name, { keep, reason } = {}) =>
      send(
        'POST',
        one(model, name, '/stop'),
        { ...(keep !== undefined && { keep }), ...because(reason) },
        'once',
      ),
  };
}
