/** Every refusal leaves as one coded body (ErrorResponse) with the closed table's status, whatever raised it. */
import { bodyBytesMax, type ErrorResponse, errorTable, MillraceError } from '@millrace/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { badHeader } from './json-body.ts';
import type { UnreadBodies } from './unread-body.ts';

/** What the HTTP face writes its log lines to; a pino logger is one. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Seconds in Retry-After. One is the least that the header can say; queues drain and shards fail over within it. */
const retryAfterSeconds = 1;

/** The body that tells a caller of `error`. */
export function errorResponseFrom(error: MillraceError): ErrorResponse {
  const { code, message, retry, details } = error;
  return { error: { code, message, retry, ...(details === undefined ? {} : { details }) } };
}

/** Headers that go with an error's code: Retry-After where waiting helps, and how to show a key where one is wanted. */
export function headersFor(error: MillraceError): Record<string, string> {
  if (error.code === 'MILL_UNAUTHENTICATED') return { 'www-authenticate': 'Bearer realm="millrace"' };
  if (errorTable[error.code].retry !== 'backoff') return {};
  const wantedMs = Number(error.details?.retryAfterMs ?? 0);
  return { 'retry-after': String(Math.max(retryAfterSeconds, Math.ceil(wantedMs / 1_000))) };
}

/** The body of a protocol's refusals. */
export type RefusalBody = (error: MillraceError) => object;

/** `{"error": text}`, as the Open Inference Protocol and TensorFlow Serving have it; the text begins with the code. */
export function plainErrorFrom(error: MillraceError): object {
  return { error: textFrom(error) };
}

/** Code and message in one text. */
export function textFrom({ code, message }: MillraceError): string {
  return `${code}: ${message}`;
}

export interface Refuser {
  /** @param bodyOf  default errorResponseFrom. */
  refuse(error: unknown, request: FastifyRequest, reply: FastifyReply, bodyOf?: RefusalBody): void;
}

/** Answers errors of handlers, of the parser and of the framework, and logs those that are defects. */
export function refuserWith(options: { logger: Logger; unread: UnreadBodies }): Refuser {
  const { logger, unread } = options;
  return {
    refuse(error, request, reply, bodyOf = errorResponseFrom) {
      const refusal = refusalFrom(error, request);
      const status = errorTable[refusal.code].http;
      if (status === 500) {
        // The thrown error names places in the code. Body, query and features stay out of the log.
        const { method, id: incident } = request;
        logger.error({ method, route: request.routeOptions.url, incident, err: error }, 'request failed');
      }
      // Fastify marks the connection for closing after any parser error. Closed with bytes unread it would be reset,
      // and the answer lost; the rest is thrown away instead and the connection stays.
      reply.removeHeader('connection');
      unread.discard(request.raw, reply.raw);
      void reply.code(status).headers(headersFor(refusal)).send(bodyOf(refusal));
    },
  };
}

function refusalFrom(error: unknown, request: FastifyRequest): MillraceError {
  if (error instanceof MillraceError) return error;
  // Nobody hears this one; it is no defect, and the metrics count it.
  if (hungUp(request))
    return new MillraceError('MILL_BAD_REQUEST', 'body: wanted all of it, found the connection closed');
  switch (codeOf(error)) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new MillraceError('MILL_BODY_TOO_LARGE', bodyTooLarge(request), { details: { bodyBytesMax } });
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return badHeader('content-type', 'application/json', request.headers['content-type'] ?? '');
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return badHeader('content-length', 'the length of the body', request.headers['content-length'] ?? '');
    case 'FST_ERR_BAD_URL':
      return new MillraceError(
        'MILL_BAD_REQUEST',
        'path: wanted a well-formed URL, found a broken % sequence',
      );
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new MillraceError(
        'MILL_BAD_REQUEST',
        'path: wanted names of at most 100 characters, found a longer one',
      );
    default:
      return new MillraceError(
        'MILL_INTERNAL',
        `a defect of Millrace; the node's log has it as incident ${request.id}`,
        {
          details: { incident: request.id },
        },
      );
  }
}

function hungUp({ raw }: FastifyRequest): boolean {
  return raw.destroyed && !raw.complete;
}

function bodyTooLarge(request: FastifyRequest): string {
  const length = request.headers['content-length'];
  return `body: wanted at most ${bodyBytesMax} bytes, found ${length ?? 'more'}`;
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
