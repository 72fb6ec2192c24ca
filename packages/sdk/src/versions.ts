/** Versions of models: what there are, and changes of them. */
import type {
  SetLabelRequest,
  TakeVersionRequest,
  TakeVersionResponse,
  VersionPolicy,
  VersionRecord,
  VersionsResponse,
} from '@millrace/protocol';
import type { Exchange } from './exchange.ts';

/** Changes want a key with role admin. Each throws MILL_MODEL_UNKNOWN, and MILL_VERSION_UNKNOWN for what is not there. */
export interface VersionsClient {
  list(model: string): Promise<VersionsResponse>;
  /** Where a version comes from, its model file with it. */
  record(model: string, version: number): Promise<VersionRecord>;
  /** Freezes the live line. Sent once: a second one would be another version. */
  take(model: string, request?: TakeVersionRequest): Promise<TakeVersionResponse>;
  /** @throws MILL_VERSION_INVALID also when `from` is not where the label points. */
  setLabel(model: string, label: string, request: SetLabelRequest): Promise<VersionsResponse>;
  unsetLabel(model: string, label: string, reason?: string): Promise<VersionsResponse>;
  /** Points a label at the version that it pointed at before. Sent once: a second one would undo it. */
  rollBackLabel(model: string, label: string, reason?: string): Promise<VersionsResponse>;
  setPolicy(model: string, policy: VersionPolicy): Promise<VersionsResponse>;
  /** Resolves once the node that answers has it loaded. @throws MILL_NOT_READY when it could not be. */
  load(model: string, version: number): Promise<VersionsResponse>;
  /** @throws MILL_VERSION_IN_USE while a label points at it. */
  unload(model: string, version: number): Promise<VersionsResponse>;
  /** @throws MILL_VERSION_IN_USE while it is labelled or loaded. */
  remove(model: string, version: number): Promise<VersionsResponse>;
}

/** A node reads weights, opens an engine and warms it up, which takes seconds on a busy machine. */
const changeTimeoutMs = 30_000;

export function createVersionsClient(exchange: Exchange): VersionsClient {
  type Method = Parameters<Exchange['call']>[0]['method'];
  const ask = <T>(
    method: Method,
    path: string,
    body?: object,
    repeat: 'repeatable' | 'once' = 'repeatable',
  ) => {
    const call = { method, path, ...(body !== undefined && { body: JSON.stringify(body) }) };
    return exchange.call<T>(call, repeat, method === 'GET' ? undefined : changeTimeoutMs);
  };
  const of = (model: string, rest: string) => `/v1/models/${encodeURIComponent(model)}/${rest}`;
  const labelOf = (model: string, label: string) => of(model, `labels/${encodeURIComponent(label)}`);
  const because = (reason?: string) =>
    reason === undefined || reason === '' ? '' : `?reason=${encodeURIComponent(reason)}`;
  return {
    list: (model) => ask('GET', of(model, 'versions')),
    record: (model, version) => ask('GET', of(model, `versions/${version}/record`)),
    take: (model, request = {}) => ask('POST', of(model, 'versions'), request, 'once'),
    setLabel: (model, label, request) => ask('PUT', labelOf(model, label), request),
    unsetLabel: (model, label, reason) =>
      ask('DELETE', labelOf(model, label) + because(reason), undefined, 'once'),
    rollBackLabel: (model, label, reason) =>
      ask('POST', `${labelOf(model, label)}/rollback${because(reason)}`, undefined, 'once'),
    setPolicy: (model, policy) => ask('PUT', of(model, 'policy'), policy),
    load: (model, version) => ask('POST', of(model, `versions/${version}/load`)),
    unload: (model, version) => ask('POST', of(model, `versions/${version}/unload`)),
    remove: (model, version) => ask('DELETE', of(model, `versions/${version}`), undefined, 'once'),
  };
}
