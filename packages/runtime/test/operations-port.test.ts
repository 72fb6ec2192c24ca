import { expect, onTestFinished, test } from 'vitest';
import { createKeyedAccess } from '../src/access.ts';
import { hashOfKey, type Role } from '../src/api-keys.ts';
import { createManualClock } from '../src/clock.ts';
import { createLogger } from '../src/logger.ts';
import { createMetrics } from '../src/metrics.ts';
import { openOperationsPort } from '../src/operations-port.ts';

test('operations port: health is open, everything else wants the key of an admin', async () => {
  const keyed = (name: string, role: Role) => ({ name, sha256: hashOfKey(name), roles: [role] });
  const port = await openOperationsPort({
    host: '127.0.0.1',
    port: 0,
    metrics: createMetrics({ service: 'test' }),
    logger: createLogger({ service: 'test', level: 'silent' }),
    isReady: () => true,
    access: createKeyedAccess([keyed('shop', 'score'), keyed('ops', 'admin')], createManualClock(0)),
  });
  onTestFinished(() => port.close());
  const ask = async (path: string, key?: string, method = 'GET') => {
    const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
    return fetch(`http://127.0.0.1:${port.port}${path}`, { method, headers });
  };
  const statuses = async (path: string) =>
    Promise.all([undefined, 'wrong', 'shop', 'ops'].map(async (key) => (await ask(path, key)).status));
  expect(await statuses('/health/live')).toEqual([200, 200, 200, 200]);
  expect(await statuses('/health/ready')).toEqual([200, 200, 200, 200]);
  expect(await statuses('/metrics')).toEqual([401, 401, 403, 200]);
  expect(await statuses('/other')).toEqual([401, 401, 403, 404]);
  expect(await statuses('/metrics?x')).toEqual([401, 401, 403, 404]);
  for (const path of ['/metrics', '/', '/health', '/health/live/', '//metrics', '/health/live?x', '/%zz'])
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'])
      for (const key of [undefined, 'wrong'])
        expect([method, path, (await ask(path, key, method)).status]).toEqual([method, path, 401]);
  const refused = await ask('/metrics', 'wrong');
  expect(refused.headers.get('www-authenticate')).toContain('Bearer');
  expect(await refused.text()).toMatch(/^MILL_UNAUTHENTICATED: key: wanted/);
});
