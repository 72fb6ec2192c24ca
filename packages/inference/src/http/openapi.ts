import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { answerSchemas } from './answer-schemas.ts';
import { experimentSchemas } from './experiment-schemas.ts';
import { requestSchemas } from './schemas.ts';
import { versionRequestSchemas } from './version-schemas.ts';

/** Shared schemas, and the collector that later routes are described by. Comes before the routes. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  const schemas = [...requestSchemas, ...versionRequestSchemas, ...experimentSchemas, ...answerSchemas];
  for (const schema of schemas) app.addSchema(schema);
  await app.register(swagger, {
    openapi: {
      // 3.1 takes JSON Schema as it is, lists of types included.
      openapi: '3.1.0',
      info: {
        title: 'Millrace',
        version: '1',
        description: 'Scores candidates and learns from what happened to them.',
      },
      tags: [
        { name: 'scoring' },
        { name: 'learning' },
        { name: 'models' },
        { name: 'versions' },
        { name: 'experiments' },
        { name: 'operation' },
      ],
    },
    // Schemas are published under the names that the code gives them.
    refResolver: {
      buildLocalReference: (schema, _baseUri, _fragment, index) =>
        typeof schema.$id === 'string' ? schema.$id : `schema-${index}`,
    },
  });
}

/** `GET /openapi.json` and the line at `/` that points to it. */
export function addDescriptionRoutes(app: FastifyInstance): void {
  let document: string | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    document ??= JSON.stringify(app.swagger());
    return reply.type('application/json; charset=utf-8').send(document);
  });
  app.get('/', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send('Millrace. The API is described at /openapi.json\n'),
  );
}
