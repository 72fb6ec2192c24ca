/**
 * The closed table of errors. The code is the contract, the text is not. `retry` tells the caller what to do:
 *   never        the request is wrong; change it
 *   same         send the same again, at once
 *   refresh-map  take the newer partition map, then send again
 *   backoff      wait (twice as long each time), then send again
 * docs/errors.md lists exactly these; a test compares both.
 */

export type Retry = 'never' | 'same' | 'refresh-map' | 'backoff';

/** Status names of gRPC that the table uses. */
export type GrpcStatus =
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED';

interface ErrorKind {
  readonly retry: Retry;
  /** HTTP status. */
  readonly http: number;
  readonly grpc: GrpcStatus;
  readonly summary: string;
}

export const errorTable = {
  MILL_BAD_JSON: kind(
    'never',
    400,
    'INVALID_ARGUMENT',
    'The body is not JSON; mend the place that the message names.',
  ),
  MILL_BAD_REQUEST: kind(
    'never',
    400,
    'INVALID_ARGUMENT',
    'A part of the request is missing or of the wrong type; the message names path, wanted and found.',
  ),
  MILL_FEATURE_INVALID: kind(
    'never',
    400,
    'INVALID_ARGUMENT',
    'A feature value cannot be used; the message names item, field, wanted and found.',
  ),
  MILL_BODY_TOO_LARGE: kind('never', 413, 'INVALID_ARGUMENT', 'The body is over the limit; split it.'),
  MILL_ROUTE_UNKNOWN: kind('never', 404, 'UNIMPLEMENTED', 'No such path; GET /openapi.json lists them.'),
  MILL_MODEL_UNKNOWN: kind('never', 404, 'NOT_FOUND', 'No model of that name; GET /v1/models lists them.'),
  MILL_VERSION_UNKNOWN: kind(
    'never',
    404,
    'NOT_FOUND',
    'No such version or label of the model here; the message names those that there are.',
  ),
  MILL_VERSION_INVALID: kind(
    'never',
    400,
    'INVALID_ARGUMENT',
    'A version cannot be made, labelled or loaded so; the message names the part, wanted and found.',
  ),
  MILL_VERSION_IN_USE: kind(
    'never',
    409,
    'FAILED_PRECONDITION',
    'The version is labelled, loaded, or scored with by an experiment; the message says what to undo first.',
  ),
  MILL_VERSION_DAMAGED: kind(
    'never',
    500,
    'DATA_LOSS',
    'The stored weights of a version are missing or not those of its record; it is never served. Make it again.',
  ),
  MILL_SCORES_NOT_FINITE: kind(
    'backoff',
    503,
    'UNAVAILABLE',
    'The weights make scores that are no numbers, which are never answered, and no earlier weights are at hand.',
  ),
  MILL_EXPERIMENT_UNKNOWN: kind(
    'never',
    404,
    'NOT_FOUND',
    'No experiment or arm of that name; the message names those that there are.',
  ),
  MILL_EXPERIMENT_INVALID: kind(
    'never',
    400,
    'INVALID_ARGUMENT',
    'An experiment cannot be started or changed so; the message names the part, wanted and found.',
  ),
  MILL_UNSUPPORTED: kind(
    'never',
    400,
    'UNIMPLEMENTED',
    'The protocol has this and Millrace does not; the message says what to do instead.',
  ),
  MILL_MODEL_INVALID: kind(
    'never',
    400,
    'INVALID_ARGUMENT',
    'The model file breaks a rule; the message names path, wanted and found.',
  ),
  MILL_MODEL_EXISTS: kind(
    'never',
    409,
    'ALREADY_EXISTS',
    'A different model has that name; choose another name.',
  ),
  MILL_IMPRESSION_UNKNOWN: kind(
    'never',
    404,
    'NOT_FOUND',
    'No impression within the join window fits this outcome; send the requestId of a logged score, within the window.',
  ),
  MILL_FILE_INVALID: kind(
    'never',
    400,
    'INVALID_ARGUMENT',
    'A file cannot be read as wanted; the message names it, and line and column of a log.',
  ),
  MILL_CONFIG_INVALID: kind(
    'never',
    500,
    'FAILED_PRECONDITION',
    'A setting is unknown or out of range; the message names it and what it takes.',
  ),
  MILL_ENGINE_UNAVAILABLE: kind(
    'never',
    500,
    'FAILED_PRECONDITION',
    'The engine asked for by name cannot be loaded here; install it or ask for another.',
  ),
  MILL_OVERLOADED: kind('backoff', 429, 'RESOURCE_EXHAUSTED', 'A queue is full; slow down.'),
  MILL_NOT_READY: kind(
    'backoff',
    503,
    'UNAVAILABLE',
    'The process is starting or catching up with the log; try again soon or elsewhere.',
  ),
  MILL_LOG_UNAVAILABLE: kind(
    'backoff',
    503,
    'UNAVAILABLE',
    'The log (NATS JetStream) did not acknowledge the message; send it again, a repetition does no harm.',
  ),
  MILL_SHARD_UNAVAILABLE: kind('backoff', 503, 'UNAVAILABLE', 'No owner of a partition answers.'),
  MILL_TIMEOUT: kind('backoff', 504, 'DEADLINE_EXCEEDED', 'No answer within the time limit.'),
  MILL_MAP_STALE: kind(
    'refresh-map',
    409,
    'FAILED_PRECONDITION',
    'The partition is not here at this epoch; the answer carries the newer map.',
  ),
  MILL_TABLE_UNKNOWN: kind('refresh-map', 404, 'NOT_FOUND', 'The shard has no such table (yet).'),
  MILL_DIM_MISMATCH: kind(
    'never',
    400,
    'INVALID_ARGUMENT',
    'Row length differs from the table’s; the model file changed under the caller.',
  ),
  MILL_FRAME_INVALID: kind(
    'never',
    400,
    'INVALID_ARGUMENT',
    'A TCP frame is malformed; the connection is closed.',
  ),
  MILL_FRAME_TOO_LARGE: kind(
    'never',
    413,
    'INVALID_ARGUMENT',
    'A TCP frame is over the limit; the connection is closed.',
  ),
  MILL_PROTOCOL_VERSION: kind(
    'never',
    400,
    'FAILED_PRECONDITION',
    'The other side speaks another protocol version; upgrade the older one.',
  ),
  MILL_CLUSTER_MISMATCH: kind(
    'never',
    403,
    'PERMISSION_DENIED',
    'The other side belongs to another cluster; check addresses.',
  ),
  MILL_BLOCK_INVALID: kind(
    'never',
    400,
    'DATA_LOSS',
    'A log message is truncated, damaged or malformed; it is counted and skipped.',
  ),
  MILL_BLOCK_FOREIGN: kind(
    'never',
    400,
    'INVALID_ARGUMENT',
    'A log message belongs to another model, partition or table layout; it is counted and skipped.',
  ),
  MILL_RECORD_INVALID: kind(
    'never',
    500,
    'DATA_LOSS',
    'A notice or a value in the key-value store is malformed; it is passed over. See who else writes to this NATS.',
  ),
  MILL_EVENT_INVALID: kind(
    'never',
    400,
    'INVALID_ARGUMENT',
    'An event cannot be read; it is counted and skipped.',
  ),
  MILL_SNAPSHOT_INVALID: kind(
    'never',
    500,
    'DATA_LOSS',
    'A snapshot is damaged, cut short or foreign; it is passed over for an older one.',
  ),
  MILL_STORE_UNAVAILABLE: kind(
    'backoff',
    503,
    'UNAVAILABLE',
    'The snapshot store cannot be read or written; see its space and rights. Nothing is lost: the log is kept meanwhile.',
  ),
  MILL_HISTORY_GONE: kind(
    'never',
    410,
    'OUT_OF_RANGE',
    'Neither log nor snapshots reach back that far; ask for a later moment, or keep more snapshots.',
  ),
  MILL_STATE_DIVERGED: kind(
    'never',
    500,
    'DATA_LOSS',
    'An owner holds another state than its log gives; keep its files, restart it empty, and report it.',
  ),
  MILL_UNAUTHENTICATED: kind(
    'never',
    401,
    'UNAUTHENTICATED',
    'The key or token is missing or wrong; send a key that the cluster knows, give all its parts the same token.',
  ),
  MILL_FORBIDDEN: kind(
    'never',
    403,
    'PERMISSION_DENIED',
    'The key is known and may not do this; the message names the role wanted. Send another key.',
  ),
  MILL_TLS_REQUIRED: kind(
    'never',
    403,
    'PERMISSION_DENIED',
    'This port speaks TLS alone; give the caller the certificates of its cluster.',
  ),
  MILL_FENCED: kind('never', 409, 'ABORTED', 'Another updater has taken over this model; this one stops.'),
  MILL_UNREACHABLE: kind(
    'backoff',
    503,
    'UNAVAILABLE',
    'No connection could be made, or it broke before the answer; whether the request was done is not known.',
  ),
  MILL_CLOSED: kind('backoff', 503, 'UNAVAILABLE', 'The process is shutting down; go to another.'),
  MILL_NATS_SERVER_MISSING: kind(
    'never',
    500,
    'FAILED_PRECONDITION',
    'No nats-server was found or could be installed; install one and put it on PATH.',
  ),
  MILL_INTERNAL: kind('never', 500, 'INTERNAL', 'A defect of Millrace; report it with the log line.'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorTable;

/** Bad input or state, with a code of the closed table. A defect is not one of these: it is an invariant that fails. */
export class MillraceError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'MillraceError';
    this.code = code;
    this.details = options.details;
  }

  get retry(): Retry {
    return errorTable[this.code].retry;
  }
}

/** True when `error` is a MillraceError, of that code if one is given. */
export function isMillraceError(error: unknown, code?: ErrorCode): error is MillraceError {
  return error instanceof MillraceError && (code === undefined || error.code === code);
}

/** Stops the process's current work with a defect: `condition` can only be false if the code is wrong. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}

/** Text of anything thrown, for a message or a log line. */
export function reasonFrom(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function kind(retry: Retry, http: number, grpc: GrpcStatus, summary: string): ErrorKind {
  return { retry, http, grpc, summary };
}
