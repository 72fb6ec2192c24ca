/** Found by fuzzing: what the router refuses before any route is found keeps the form of the protocol that was spoken. */
import { expect, test } from 'vitest';
import { listen } from './stub-service.ts';

const long = 'm'.repeat(101);

test.each([
  ['POST', '/v1/models/%zz:predict', 'plain'],
  ['POST', '/v1/models/demo/versions/%zz:classify', 'plain'],
  ['GET', `/v1/models/${long}/metadata`, 'plain'],
  ['GET', `/v1/models/demo/labels/${long}`, 'plain'],
  ['POST', `/v2/models/${long}/infer`, 'plain'],
  ['GET', '/v2/%zz?x=1', 'plain'],
  ['GET', `/v1/models/${long}/measures`, 'coded'],
  ['PUT', '/v1/models/%zz', 'coded'],
  ['GET', '/v22/%zz', 'coded'],
  ['GET', '/%zz?/v2/', 'coded'],
])('refusals: %s %s: a path that cannot be read is refused in %s form', async (method, path, form) => {
  const server = await listen();
  const response = await fetch(server.url + path, { method });
  expect(response.status).toBe(400);
  const { error } = (await response.json()) as { error: unknown };
  if (form === 'plain') expect(error).toMatch(/^MILL_BAD_REQUEST: path: wanted /);
  else expect(error).toMatchObject({ code: 'MILL_BAD_REQUEST' });
});
