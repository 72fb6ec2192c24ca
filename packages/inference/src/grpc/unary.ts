/** One way for every unary call: a time limit, coded refusals, a count, and defects in the log alone. */
import {
  type handleUnaryCall,
  Metadata,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { MillraceError } from '@millrace/protocol';
import type { Clock } from '@millrace/runtime';
import type { Logger } from '../http/refusals.ts';
import { within } from '../http/time-limit.ts';
import { priorityFrom, priorityHeader } from '../priority.ts';
import type { Caller, ScoringService } from '../scoring-service.ts';
import type { Span, Tracing } from '../tracing/span.ts';
import { grpcStatusOf, type StatusName, serviceErrorFrom } from './grpc-refusals.ts';

export interface CallOptions {
  readonly service: ScoringService;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Time for an answer, ms; a caller's earlier deadline goes before it. */
  readonly requestTimeoutMs: number;
  readonly newIncidentId: () => string;
  readonly tracing?: Tracing | null;
  /** Told of every answer. */
  readonly onAnswered: (method: string, status: StatusName) => void;
}

/** Answers one request; what it throws becomes a refusal. */
export type Answer<Request = never> = (request: Request, caller: Caller) => object | Promise<object>;

/** Stands for a request whose bytes are no message. */
const malformed = Symbol('malformed');

/**
 * The definition with readers that do not throw: gRPC would answer INTERNAL to bytes that are the caller's fault.
 */
export function tolerant(definition: ServiceDefinition): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(definition).map(([name, method]) => {
      const requestDeserialize = (bytes: Buffer): unknown => {
        try {
          return method.requestDeserialize(bytes);
        } catch {
          return malformed;
        }
      };
      return [name, { ...method, requestDeserialize }];
    }),
  );
}

/** Methods by name, as a server takes them. */
export function unaryMethods(
  options: CallOptions,
  answers: Readonly<Record<string, Answer>>,
): UntypedServiceImplementation {
  return Object.fromEntries(
    Object.entries(answers).map(([name, answer]) => [name, unary(options, name, answer as Answer<unknown>)]),
  );
}

function unary(
  options: CallOptions,
  name: string,
  answer: Answer<unknown>,
): handleUnaryCall<unknown, object> {
  const { requestTimeoutMs, onAnswered } = options;
  return (call: ServerUnaryCall<unknown, object>, callback: sendUnaryData<object>) => {
    const span = options.tracing ? beginSpan(options.tracing, call) : undefined;
    const work = async () => {
      if (call.request === malformed)
        throw new MillraceError(
          'MILL_BAD_REQUEST',
          `message: wanted the request of ${name}, found other bytes`,
        );
      return answer(call.request, callerOf(call, options.clock, span));
    };
    within(requestTimeoutMs, work()).then(
      (response) => {
        onAnswered(name, 'OK');
        endSpan(span, 'OK');
        callback(null, response);
      },
      (error: unknown) => {
        const refusal = refusalFrom(options, name, error);
        onAnswered(name, grpcStatusOf(refusal));
        endSpan(span, grpcStatusOf(refusal), refusal);
        callback(serviceErrorFrom(refusal));
      },
    );
  };
}

/** Gone once the call is cancelled or its deadline has passed, even where a busy loop has not told so yet. */
function callerOf(call: ServerUnaryCall<unknown, object>, clock: Clock, span: Span | undefined): Caller {
  return {
    span,
    get gone() {
      return call.cancelled || clock.now() > Number(call.getDeadline());
    },
    priority: priorityFrom(call.metadata.get(priorityHeader).at(0)),
  };
}

/** Takes up the caller's trace, and tells him which span his call was, as over HTTP (http/trace-requests.ts). */
function beginSpan(tracing: Tracing, call: ServerUnaryCall<unknown, object>): Span | undefined {
  const [service = '', method = ''] = call.getPath().slice(1).split('/');
  const header = (name: string) => call.metadata.get(name).map(String)[0];
  const span = tracing.begin(
    `${service}/${method}`,
    { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method },
    { traceparent: header('traceparent'), tracestate: header('tracestate') },
  );
  if (span === null) return undefined;
  const told = new Metadata();
  told.set('traceresponse', span.traceparent);
  call.sendMetadata(told);
  return span;
}

function endSpan(span: Span | undefined, answered: StatusName, error?: MillraceError): void {
  span?.note({ 'rpc.grpc.status_code': status[answered] });
  span?.end(error);
}

function refusalFrom({ logger, newIncidentId }: CallOptions, name: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  const incident = newIncidentId();
  logger.error({ method: name, incident, err: error }, 'call failed');
  const message = `a defect of Millrace; the node's log has it as incident ${incident}`;
  return new MillraceError('MILL_INTERNAL', message, { details: { incident } });
}
