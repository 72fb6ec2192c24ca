import { credentials, Metadata, makeClientConstructor, type ServiceError } from '@grpc/grpc-js';
import { createKeyedAccess, createManualClock, hashOfKey, type Role } from '@millrace/runtime';
import { expect, onTestFinished, test } from 'vitest';
import { callNeeds } from '../../src/grpc/grpc-access.ts';
import { healthServiceName, inferenceServiceName, nativeServiceName } from '../../src/grpc/protos.ts';
import { openGrpc, protos } from './grpc-clients.ts';

const keyed = (name: string, role: Role) => ({ name, sha256: hashOfKey(name), roles: [role] });
const access = createKeyedAccess(
  [keyed('shop', 'score'), keyed('clicks', 'events'), keyed('ops', 'admin')],
  createManualClock(0),
);

/** Codes by key: none, a wrong one, of shop, clicks and ops. 16: UNAUTHENTICATED, 7: PERMISSION_DENIED. */
async function codesOf(address: string, service: string, method: string): Promise<unknown[]> {
  const definition = protos.service(service);
  const client = new (makeClientConstructor(definition, service))(address, credentials.createInsecure());
  onTestFinished(() => client.close());
  const codes: unknown[] = [];
  for (const key of [null, 'wrong', 'shop', 'clicks', 'ops']) {
    const metadata = new Metadata();
    if (key !== null) metadata.set('authorization', `Bearer ${key}`);
    const { path, requestSerialize, responseDeserialize } = definition[method];
    const error = await new Promise<ServiceError | null>((resolve) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, metadata, {}, resolve);
    });
    const isRefused = error !== null && (error.code === 16 || error.code === 7);
    codes.push(isRefused ? error.code : 'let in');
    if (isRefused)
      expect(error.metadata.get('millrace-code')[0]).toMatch(/^MILL_(UNAUTHENTICATED|FORBIDDEN)$/);
  }
  return codes;
}

test.each([
  [nativeServiceName, 'Score', 'score'],
  [nativeServiceName, 'SendOutcomes', 'events'],
  [inferenceServiceName, 'ModelInfer', 'score'],
  [inferenceServiceName, 'RepositoryModelUnload', 'admin'],
  [inferenceServiceName, 'ServerLive', 'open'],
  [healthServiceName, 'Check', 'open'],
] as const)('grpc access: %s/%s wants %s', async (service, method, need) => {
  const { face } = await openGrpc({ access });
  const roles = { score: 'shop', events: 'clicks', admin: 'ops', open: '' };
  const of = (key: string) => (roles[need] === key || key === 'ops' ? 'let in' : 7);
  const wanted = [16, 16, of('shop'), of('clicks'), of('ops')];
  const found = await codesOf(face.address, service, method);
  expect(found).toEqual(need === 'open' ? Array(5).fill('let in') : wanted);
});

test('grpc access: what each call of the services wants; reflection wants any key, the unknown an admin’s', () => {
  const all = [nativeServiceName, inferenceServiceName].flatMap((service) =>
    Object.values(protos.service(service)).map(({ path }) => [path.split('/')[2], callNeeds(path)]),
  );
  expect(Object.fromEntries(all)).toEqual({
    Score: 'score',
    Rank: 'score',
    SendOutcomes: 'events',
    Status: 'score',
    ServerLive: 'open',
    ServerReady: 'open',
    ModelReady: 'score',
    ServerMetadata: 'score',
    ModelMetadata: 'score',
    ModelInfer: 'score',
    RepositoryIndex: 'score',
    RepositoryModelLoad: 'admin',
    RepositoryModelUnload: 'admin',
  });
  expect(callNeeds('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo')).toBe('any');
  expect(callNeeds('/other/constructor')).toBe('admin');
});
