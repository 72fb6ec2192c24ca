import { expect, test } from 'vitest';
import { listen } from './stub-service.ts';

test('http: openapi: names every route, its answers and the error body', async () => {
  const server = await listen();
  const response = await fetch(`${server.url}/openapi.json`);
  expect(response.headers.get('content-type')).toContain('application/json');
  const document = (await response.json()) as {
    openapi: string;
    paths: Record<string, Record<string, { responses: Record<string, unknown>; summary: string }>>;
    components: { schemas: Record<string, unknown> };
  };
  expect(document.openapi).toBe('3.1.0');
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect(routes.sort()).toEqual([
    'delete /v1/models/{name}/labels/{label}',
    'delete /v1/models/{name}/versions/{version}',
    'get /health/live',
    'get /health/ready',
    'get /metrics',
    'get /v1/events/rejected',
    'get /v1/models',
    'get /v1/models/{name}/experiments',
    'get /v1/models/{name}/experiments/{experiment}',
    'get /v1/models/{name}/measures',
    'get /v1/models/{name}/versions',
    'get /v1/models/{name}/versions/{version}/record',
    'get /v1/status',
    'post /v1/events',
    'post /v1/models/{name}/experiments',
    'post /v1/models/{name}/experiments/{experiment}/stop',
    'post /v1/models/{name}/labels/{label}/rollback',
    'post /v1/models/{name}/versions',
    'post /v1/models/{name}/versions/{version}/load',
    'post /v1/models/{name}/versions/{version}/unload',
    'post /v1/rank',
    'post /v1/score',
    'put /v1/models/{name}',
    'put /v1/models/{name}/experiments/{experiment}/shares',
    'put /v1/models/{name}/labels/{label}',
    'put /v1/models/{name}/policy',
  ]);
  expect(Object.keys(document.paths['/v1/score']?.post?.responses ?? {})).toEqual(['200', '4XX', '5XX']);
  expect(Object.keys(document.components.schemas)).toContain('ErrorResponse');
});

test('http: openapi: every reference points to a schema of the document', async () => {
  const server = await listen();
  const text = await (await fetch(`${server.url}/openapi.json`)).text();
  const { components } = JSON.parse(text) as { components: { schemas: Record<string, unknown> } };
  const references = [...text.matchAll(/"\$ref":"([^"]*)"/g)].map((match) => match[1] ?? '');
  expect(references.length).toBeGreaterThan(10);
  for (const reference of references) {
    expect(reference).toMatch(/^#\/components\/schemas\//);
    expect(Object.keys(components.schemas)).toContain(reference.split('/').at(-1));
  }
});
