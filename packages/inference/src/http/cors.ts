/** Lets pages of other origins call. Off unless origins are named: then browsers refuse such pages, whatever the node does. */
import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

/** How long a browser may remember what it was told, s. */
const rememberedSeconds = 600;

/**
 * Answers browsers' preflights, which carry no key, and marks answers, refusals among them. Comes before other hooks.
 * @param origins `https://host`, or `*` for all.
 */
export async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: [
      'authorization',
      'content-type',
      'traceparent',
      'tracestate',
      'x-api-key',
      'x-request-priority',
      'x-request-timeout-ms',
    ],
    exposedHeaders: ['retry-after', 'traceresponse'],
    maxAge: rememberedSeconds,
    credentials: false,
  });
}
