/** One way for every request: a time limit, coded refusals, a count, and defects in the log alone. */
import {
  type handleUnaryCall,
  Metadata,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { MillraceError } from '@millrace/protocol';
import type { Clock } from '@millrace/runtime';
import type { Logger } from '../http/refusals.ts';
import { priorityFrom, priorityHeader } from '../priority.ts';
import type { Caller, ScoringService } from '../scoring-service.ts';
import { within } from '../time-limit.ts';
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
  return (call: ServerUnaryCall<unknown, object>, callback: sendUnaryData<object>) => {
    const span = beginSpan(options, call);
    if (span) tellSpan(call, span);
    answerOne({ options, name, answer, call, request: call.request, span }).then(
      (response) => callback(null, response),
      (refusal: MillraceError) => callback(serviceErrorFrom(refusal)),
    );
  };
}

/** What calls of one request and streams of several have in common. */
export type Call = ServerUnaryCall<unknown, object> | ServerDuplexStream<unknown, object>;

/** One request of a call. */
export interface Asked {
  readonly options: CallOptions;
  /** Of the method. */
  readonly name: string;
  readonly answer: Answer<unknown>;
  readonly call: Call;
  readonly request: unknown;
  readonly span: Span | undefined;
}

/** Answers one request within its time, and counts it. @throws MillraceError, whatever went wrong */
export async function answerOne({ options, name, answer, call, request, span }: Asked): Promise<object> {
  const work = async () => {
    if (request === malformed)
      throw new MillraceError(
        'MILL_BAD_REQUEST',
        `message: wanted the request of ${name}, found other bytes`,
      );
    return answer(request, callerOf(call, options.clock, span));
  };
  try {
    const response = await within(options.requestTimeoutMs, work());
    options.onAnswered(name, 'OK');
    endSpan(span, 'OK');
    return response;
  } catch (error) {
    const refusal = refusalFrom(options, name, error);
    options.onAnswered(name, grpcStatusOf(refusal));
    endSpan(span, grpcStatusOf(refusal), refusal);
    throw refusal;
  }
}

/** Gone once the call is cancelled or its deadline has passed, even where a busy loop has not told so yet. */
function callerOf(call: Call, clock: Clock, span: Span | undefined): Caller {
  return {
    span,
    get gone() {
      return call.cancelled || clock.now() > Number(call.getDeadline());
    },
    priority: priorityFrom(call.metadata.get(priorityHeader).at(0)),
  };
}

/** Takes up the caller's trace; undefined where nobody gets one. */
export function beginSpan({ tracing = null }: CallOptions, call: Call): Span | undefined {
  const [service = '', method = ''] = call.getPath().slice(1).split('/');
  const header = (name: string) => call.metadata.get(name).map(String)[0];
  const span = tracing?.begin(
    `${service}/${method}`,
    { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method },
    { traceparent: header('traceparent'), tracestate: header('tracestate') },
  );
  return span ?? undefined;
}

/** Tells the caller which span his call was, as over HTTP (http/trace-requests.ts). */
function tellSpan(call: Call, span: Span): void {
  const told = new Metadata();
  told.set('traceresponse', span.traceparent);
  call.sendMetadata(told);
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
