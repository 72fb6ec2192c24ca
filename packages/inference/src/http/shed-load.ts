/**
 * Refuses requests to score while those that were taken wait for too long already, before their bodies are read and before the
 * framework sees them: a node that is asked ten times of what it can do would spend itself on refusals otherwise. Who may not
 * ask, or asks for what is not plain, goes on to where that is found out; a score is refused there too, by the queue.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { bodyBytesMax, errorTable, MillraceError } from '@millrace/protocol';
import { type Access, shownKeyFrom } from '@millrace/runtime';
import { type Priority, priorities, priorityHeader } from '../priority.ts';
import { type RetryAfterMs, retrySteps } from '../queue-delay.ts';
import type { ScoringService } from '../scoring-service.ts';
import { errorResponseFrom, headersFor, plainErrorFrom, type RefusalBody } from './refusals.ts';

export interface ShedOptions {
  readonly service: ScoringService;
  readonly access: Access;
  /** Told of each refusal; the route as it is or, of a foreign one, as a pattern. */
  readonly onRefused: (route: string, status: number) => void;
}

/** Answers the request and says true, or leaves it alone. */
export type Shed = (request: IncomingMessage, response: ServerResponse) => boolean;

const native = /^\/v1\/(score|rank)$/;
const foreign = /^\/v2\/models\/[^?]*\/infer$|^\/v1\/models\/[^?]*:(predict|classify|regress)$/;

/** Of refusals in other protocols, in the metrics. */
const foreignRoute = 'foreign';

const { http: status } = errorTable.MILL_OVERLOADED;

interface PlainAnswer {
  readonly body: string;
  readonly headers: Record<string, string>;
}

function answersFrom(bodyFrom: RefusalBody): Readonly<Record<RetryAfterMs, PlainAnswer>> {
  const answerOf = (retryAfterMs: RetryAfterMs): PlainAnswer => {
    const message = 'cannot score now: too many requests wait already';
    const refusal = new MillraceError('MILL_OVERLOADED', message, { details: { retryAfterMs } });
    const body = JSON.stringify(bodyFrom(refusal));
    const type = { 'content-type': 'application/json; charset=utf-8' };
    const length = { 'content-length': String(Buffer.byteLength(body)) };
    return { body, headers: { ...type, ...length, ...headersFor(refusal) } };
  };
  const answers = retrySteps.map((step) => [step, answerOf(step)] as const);
  return Object.fromEntries(answers) as Record<RetryAfterMs, PlainAnswer>;
}

const nativeAnswers = answersFrom(errorResponseFrom);
const foreignAnswers = answersFrom(plainErrorFrom);

/** Puts `shed` before whoever answers the server's requests. */
export function shedBefore(server: Server, shed: Shed): void {
  const handlers = server.listeners('request') as ((
    request: IncomingMessage,
    response: ServerResponse,
  ) => void)[];
  server.removeAllListeners('request');
  server.on('request', (request, response) => {
    if (shed(request, response)) return;
    for (const handler of handlers) handler.call(server, request, response);
  });
}

export function createShed({ service, access, onRefused }: ShedOptions): Shed {
  return (request, response) => {
    const { method, url = '', headers } = request;
    if (method !== 'POST' || service.overdue === undefined) return false;
    const isNative = native.test(url);
    if (!isNative && !foreign.test(url)) return false;
    const priority = (headers[priorityHeader] ?? 'normal') as Priority;
    const afterMs = priorities.includes(priority) ? service.overdue(priority) : null;
    if (afterMs === null) return false;
    // What is longer, or comes in parts, is thrown away within bounds where all refusals are made.
    if (!(Number(headers['content-length']) <= bodyBytesMax)) return false;
    if (access.authorize({ key: shownKeyFrom(headers), needs: 'score' }).kind !== 'granted') return false;
    const answer = (isNative ? nativeAnswers : foreignAnswers)[afterMs];
    response.writeHead(status, answer.headers).end(answer.body);
    onRefused(isNative ? url : foreignRoute, status);
    return true;
  };
}
