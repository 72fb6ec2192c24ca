import { createManualClock, createMemoryBus, createMetrics, createTcpNetwork } from '@millrace/runtime';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { ScoringService } from '../src/scoring-service.ts';
import { startInference } from '../src/start-inference.ts';
import { untilListening } from '../src/until-listening.ts';
import { stubService } from './http/stub-service.ts';
import { quietLogger } from './small-serving.ts';

/** Asked while the last port does not listen yet. */
const whileStarting = vi.hoisted(() => ({ ask: async (_service: ScoringService) => {} }));
vi.mock('../src/thrift/start-thrift.ts', () => ({
  async startThrift({ service }: { readonly service: ScoringService }) {
    await whileStarting.ask(service);
    return { port: 1, close: async () => {} };
  },
}));

test('until listening: ready when all ports listen and the service is, and not before', () => {
  const stub = stubService();
  const { service, listening } = untilListening(stub);
  expect([service.ready, stub.ready]).toEqual([false, true]);
  listening();
  expect(service.ready).toBe(true);
  stub.ready = false;
  expect(service.ready).toBe(false);
  expect(service.models()).toEqual(stub.models());
});

test('until listening: a node whose HTTP listens says that it is not ready before the others do', async () => {
  let url = '';
  const info = (fields: { readonly url?: string }) => {
    url = fields.url ?? url;
  };
  const logger = { ...quietLogger, info };
  const paths = ['/health/ready', '/v2/health/ready'];
  const statuses = () => Promise.all(paths.map(async (path) => (await fetch(`${url}${path}`)).status));
  let early: unknown;
  whileStarting.ask = async (service) => {
    early = [await statuses(), service.ready];
  };
  const running = await startInference({
    network: createTcpNetwork(),
    bus: createMemoryBus(),
    clock: createManualClock(0),
    logger: logger as typeof quietLogger,
    metrics: createMetrics({ service: 'inference' }),
    cluster: 'demo',
    archive: null,
    engine: 'plain',
    limits: { rowsMax: 10, delayUs: 0, queueRowsMax: 100, lanes: 1 },
    swapEveryMs: 100,
    pullTimeoutMs: 100,
    host: '127.0.0.1',
    port: 0,
    thriftPort: 1,
    connectionsMax: 16,
    requestTimeoutMs: 5_000,
    onFailed: () => {},
  });
  onTestFinished(() => running.close());
  expect(early).toEqual([[503, 503], false]);
  expect(await statuses()).toEqual([200, 200]);
});
