import { Metadata, status } from '@grpc/grpc-js';
import { createKeyedAccess, createManualClock, hashOfKey, type Role } from '@millrace/runtime';
import { expect, test } from 'vitest';
import { needOf } from '../../src/grpc/access.ts';
import { healthServiceName, inferenceServiceName, nativeServiceName } from '../../src/grpc/protos.ts';
import { clientOf, openGrpc, protos, refusalOf } from './grpc-clients.ts';

const keyed = (name: string, role: Role) => ({ name, sha256: hashOfKey(`key-of-${name}`), roles: [role] });
const keys = [keyed('shop', 'score'), keyed('clicks', 'events'), keyed('ops', 'admin')];
const none = status.UNAUTHENTICATED;
const no = status.PERMISSION_DENIED;
/** Refused for its content, so it was let in. */
const in3 = status.INVALID_ARGUMENT;

/** Method, and what none, a wrong one, and the keys of shop, clicks and ops get. */
const table: readonly [string, string, number, number, number, number, number][] = [
  [nativeServiceName, 'Score', none, none, in3, no, in3],
  [nativeServiceName, 'Rank', none, none, in3, no, in3],
  [nativeServiceName, 'SendOutcomes', none, none, no, 0, 0],
  [nativeServiceName, 'Status', none, none, 0, no, 0],
  [inferenceServiceName, 'ServerLive', 0, 0, 0, 0, 0],
  [inferenceServiceName, 'ServerReady', 0, 0, 0, 0, 0],
  [inferenceServiceName, 'ServerMetadata', none, none, 0, no, 0],
  [inferenceServiceName, 'ModelReady', none, none, 0, no, 0],
  [inferenceServiceName, 'ModelMetadata', none, none, 5, no, 5],
  [inferenceServiceName, 'ModelInfer', none, none, in3, no, in3],
  [inferenceServiceName, 'ModelConfig', none, none, 5, no, 5],
  [inferenceServiceName, 'ModelStatistics', none, none, 0, no, 0],
  [inferenceServiceName, 'RepositoryIndex', none, none, 0, no, 0],
  [inferenceServiceName, 'RepositoryModelLoad', none, none, no, no, 5],
  [inferenceServiceName, 'RepositoryModelUnload', none, none, no, no, 5],
  [healthServiceName, 'Check', 0, 0, 0, 0, 0],
  [healthServiceName, 'List', 0, 0, 0, 0, 0],
];

test.each(table)('access: grpc: %s %s', async (service, method, ...wanted) => {
  const { face } = await openGrpc({ access: createKeyedAccess(keys, createManualClock(0)) });
  const found: number[] = [];
  for (const key of ['', 'wrong', 'key-of-shop', 'key-of-clicks', 'key-of-ops']) {
    const { call } = clientOf(face.address, service, key);
    found.push(
      await call(method, {}).then(
        () => 0,
        (error) => refusalOf(error).code,
      ),
    );
  }
  expect(found).toEqual(wanted);
});

test('access: grpc: every method is in a table, and reflection asks for a key', () => {
  for (const name of [nativeServiceName, inferenceServiceName, healthServiceName]) {
    for (const [method, { responseStream }] of Object.entries(protos.service(name))) {
      expect((responseStream ? streams : table).map(([, known]) => known)).toContain(method);
    }
  }
  expect(needOf('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo')).toBe('any');
  expect(needOf('/grpc.health.v1.Health/Watch')).toBe('open');
});

/** Streams: what ends a call of reflection or of health, or its first answer. */
const streams: readonly [string, string, number, number, number][] = [
  ['grpc.reflection.v1.ServerReflection', 'ServerReflectionInfo', none, none, 0],
  ['grpc.reflection.v1alpha.ServerReflection', 'ServerReflectionInfo', none, none, 0],
  [healthServiceName, 'Watch', 0, 0, 0],
  [inferenceServiceName, 'ModelStreamInfer', none, none, no],
];

test.each(streams)('access: grpc: %s %s, a stream', async (service, method, ...wanted) => {
  const { face } = await openGrpc({ access: createKeyedAccess(keys, createManualClock(0)) });
  const found: number[] = [];
  for (const key of ['', 'wrong', 'key-of-clicks'])
    found.push(await firstOf(face.address, { service, method, key }));
  expect(found).toEqual(wanted);
});

/** 0 once a stream answers, else the status that it ends with. Reflection's message is field 7 of text, an empty one here. */
function firstOf(address: string, asked: { service: string; method: string; key: string }): Promise<number> {
  const { client } = clientOf(address, healthServiceName);
  const isHealth = asked.service === healthServiceName;
  const bytes = isHealth ? Buffer.alloc(0) : Buffer.from([0x3a, 0]);
  const metadata = new Metadata();
  if (asked.key !== '') metadata.set('x-api-key', asked.key);
  const path = `/${asked.service}/${asked.method}`;
  const stream = client.makeBidiStreamRequest(
    path,
    (b: Buffer) => b,
    (b: Buffer) => b,
    metadata,
  );
  stream.end(bytes);
  return new Promise((resolve) => {
    stream.on('error', ({ code }: { code?: number }) => resolve(code ?? -1));
    stream.once('data', () => {
      resolve(0);
      stream.cancel();
    });
  });
}

test('access: grpc: a refusal has its code', async () => {
  const { face } = await openGrpc({ access: createKeyedAccess(keys, createManualClock(0)) });
  const refused = await clientOf(face.address, nativeServiceName).call('Status', {}).catch(refusalOf);
  expect(refused).toMatchObject({ code: none, mill: 'MILL_UNAUTHENTICATED' });
});
