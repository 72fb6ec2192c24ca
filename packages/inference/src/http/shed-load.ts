/**
 * Refuses requests to score before their bodies are read, while those that were taken wait for too long already. Reading a
 * body and checking it is most of what a refused request would cost: a node that is asked ten times of what it can do would
 * spend itself on refusals.
 */
import type { FastifyInstance } from 'fastify';
import { priorityFrom, priorityHeader } from '../priority.ts';
import type { ScoringService } from '../scoring-service.ts';
import { needOf } from './access.ts';

export function shedLoad(app: FastifyInstance, service: ScoringService): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const { method, headers } = request;
    if (method !== 'POST' || needOf(method, request.routeOptions.url) !== 'score') return done();
    done(service.refusal?.(priorityFrom(headers[priorityHeader])) ?? undefined);
  });
}
