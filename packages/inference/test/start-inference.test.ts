import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileNet, initialParameters, onnxModel } from '@millrace/model';
import { jsonBytes, type ModelFile } from '@millrace/protocol';
import { createManualClock, createMemoryBus, createMetrics, createTcpNetwork } from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { type InferenceOptions, startInference } from '../src/start-inference.ts';
import { clientOf } from './grpc/grpc-clients.ts';
import { layered, linear, quietLogger, turn } from './small-serving.ts';

async function start(change: Partial<InferenceOptions> = {}) {
  const bus = createMemoryBus();
  const failures: Error[] = [];
  const metrics = createMetrics({ service: 'inference' });
  const clock = createManualClock(0);
  const running = await startInference({
    network: createTcpNetwork(),
    bus,
    clock,
    logger: quietLogger,
    metrics,
    cluster: 'demo',
    archive: null,
    engine: 'plain',
    limits: { rowsMax: 10, delayUs: 0, queueRowsMax: 100, lanes: 1 },
    swapEveryMs: 100,
    pullTimeoutMs: 100,
    host: '127.0.0.1',
    port: 0,
    connectionsMax: 16,
    requestTimeoutMs: 5_000,
    onFailed: (error) => failures.push(error),
    ...change,
  });
  const put = (name: string, file: unknown) =>
    fetch(`${running.url}/v1/models/${name}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(file),
    });
  return { bus, clock, failures, metrics, running, put };
}

test('inference: serves models that come while it runs, and says what it cannot do without a shard', async () => {
  const { failures, metrics, running, put } = await start();
  expect((await put('ads', linear)).status).toBe(201);
  expect((await put('ads', linear)).status).toBe(200);
  const models = (await (await fetch(`${running.url}/v1/models`)).json()) as { models: unknown[] };
  expect(models.models).toMatchObject([{ name: 'ads', engine: 'plain', ready: false }]);
  const scored = await fetch(`${running.url}/v1/score`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ items: [{ ad: 'x' }] }),
  });
  expect([scored.status, await scored.json()]).toMatchObject([503, { error: { code: 'MILL_NOT_READY' } }]);
  expect((await fetch(`${running.url}/health/ready`)).status).toBe(503);
  expect((await fetch(`${running.url}/health/live`)).status).toBe(200);
  const text = await metrics.text();
  const zeros = [
    'mill_scored_items',
    'mill_known_items',
    'mill_batches',
    'mill_passes_beside',
    'mill_queue_rows',
    'mill_answered_requests',
    'mill_stage_wait_seconds',
    'mill_stage_pull_seconds',
    'mill_stage_forward_seconds',
    'mill_stage_answer_seconds',
    'mill_lost_impressions',
  ];
  for (const name of zeros) {
    expect(text).toMatch(new RegExp(`^${name}\\{service="inference"\\} 0$`, 'm'));
  }
  // The request that found no rows.
  expect(text).toContain('mill_failed_requests{service="inference"} 1');
  expect(text).toContain('mill_engine{model="ads",engine="plain",reason="named",service="inference"} 1');
  expect(failures).toEqual([]);
  await running.close();
});

test('inference: close: the port is free and no timer is left', async () => {
  const { clock, running, put } = await start();
  await put('ads', linear);
  await running.close();
  await turn();
  await expect(fetch(`${running.url}/health/live`)).rejects.toThrow();
  expect(clock.timersWaiting).toBe(0);
});

test('inference: gRPC is served where a port is given, and ends with the rest', async () => {
  const { clock, failures, running, put } = await start({ grpcPort: await freePort() });
  await put('ads', linear);
  const { call } = clientOf(running.grpcAddress ?? '', 'inference.GRPCInferenceService');
  expect(await call('ModelMetadata', { name: 'ads' })).toMatchObject({
    name: 'ads',
    platform: 'millrace-plain',
  });
  expect(await call('ModelReady', { name: 'ads' })).toEqual({ ready: false });
  await running.close();
  expect(failures).toEqual([]);
  expect(clock.timersWaiting).toBe(0);
});

test('inference: without a port there is no gRPC; a taken one is an error', async () => {
  const { running } = await start();
  expect(running.grpcAddress).toBeNull();
  await expect(start({ grpcPort: Number(new URL(running.url).port) })).rejects.toThrow(/EADDRINUSE/);
  await running.close();
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('inference: tells which engine a model got, and what each took that was measured', async () => {
  const { metrics, running, put } = await start({ engine: 'auto' });
  expect((await put('deep', layered)).status).toBe(201);
  const { models } = (await (await fetch(`${running.url}/v1/models`)).json()) as {
    models: { engine: string }[];
  };
  const text = await metrics.text();
  const [chosen] = text.match(/^mill_engine\{.*\} 1$/m) as string[];
  expect(chosen).toBe(
    `mill_engine{model="deep",engine="${models[0].engine}",reason="measured",service="inference"} 1`,
  );
  const measured = [
    ...text.matchAll(/^mill_engine_call_us\{model="deep",engine="(.*?)",rows="(\d+)".*\} (.*)$/gm),
  ];
  expect(measured.some(([, engine, rows]) => engine === models[0].engine && rows === '128')).toBe(true);
  expect(measured.every(([, , , us]) => Number(us) > 0)).toBe(true);
  const metadata = await (await fetch(`${running.url}/v2/models/deep`)).json();
  expect(metadata).toMatchObject({ platform: `millrace-${models[0].engine}` });
  await running.close();
});

test('inference: an imported net is opened before its model is stored, and served by what is in the directory', async () => {
  const netsDirectory = await mkdtemp(join(tmpdir(), 'millrace-nets-'));
  onTestFinished(() => rm(netsDirectory, { recursive: true }));
  const { item: _, ...rest } = layered;
  const base: ModelFile = {
    ...rest,
    tables: [],
    fields: [{ name: 'x', type: 'dense', scope: 'item' }],
    net: { layers: [{ units: 2 }] },
  };
  const shape = compileNet(base);
  const bytes = onnxModel(shape, initialParameters(shape, 1));
  const modelOf = (fields: readonly string[]): ModelFile => ({
    ...base,
    net: {
      import: {
        format: 'onnx',
        file: 'net.onnx',
        sha256: createHash('sha256').update(bytes).digest('hex'),
        inputs: [{ name: 'dense', fields }],
        output: { name: 'logits', gives: 'logit' },
      },
    },
  });
  const { running, put, failures, metrics } = await start({ netsDirectory });
  const refused = async (file: ModelFile) => {
    const answer = await put('deep', file);
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    return [answer.status, error.code, error.message];
  };
  expect(await refused(modelOf(['x']))).toEqual([
    400,
    'MILL_FILE_INVALID',
    expect.stringContaining('wanted it in MILL_NETS_DIR of this node'),
  ]);
  await writeFile(join(netsDirectory, 'net.onnx'), bytes);
  expect(await refused(modelOf(['x', 'x']))).toEqual([
    400,
    'MILL_FILE_INVALID',
    'imported net "net.onnx": input "dense": wanted float32[rows, 2], found float32[rows, 1]',
  ]);
  expect((await put('deep', modelOf(['x']))).status).toBe(201);
  expect(await metrics.text()).toContain('mill_engine{model="deep",engine="onnx",reason="imported"');
  expect(failures).toEqual([]);
  await running.close();
});

test('inference: an imported net that is not here leaves the other models served', async () => {
  const sha256 = '0'.repeat(64);
  const imported: ModelFile = {
    ...layered,
    name: 'elsewhere',
    tables: [{ name: 'vectors', embedding: { dim: 2, optimizer: { type: 'sgd', learningRate: 0.1 } } }],
    fields: [{ name: 'ad', type: 'sparse', scope: 'item', table: 'vectors' }],
    net: {
      import: {
        format: 'onnx',
        file: 'net.onnx',
        sha256,
        inputs: [{ name: 'x', fields: ['ad'] }],
        output: { name: 'y', gives: 'logit' },
      },
    },
  };
  const { bus, running, put, failures } = await start();
  // As another node, that had the file, stored it.
  await (await bus.kv('models')).putIf('elsewhere', jsonBytes(imported), 0);
  expect((await put('ads', linear)).status).toBe(201);
  await expect
    .poll(async () => (await (await fetch(`${running.url}/v1/models`)).json()) as unknown)
    .toMatchObject({
      models: expect.arrayContaining([
        expect.objectContaining({ name: 'ads', engine: 'plain' }),
        expect.objectContaining({ name: 'elsewhere', engine: 'none yet', ready: false }),
      ]),
    });
  expect(failures).toEqual([]);
  await running.close();
});
