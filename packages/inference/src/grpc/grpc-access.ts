/** Asks for keys. One interceptor before every call of every service, and before its message is read. */
import {
  type Metadata,
  ResponderBuilder,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
} from '@grpc/grpc-js';
import { type Access, type Need, shownKeyFrom } from '@millrace/runtime';
import { serviceErrorFrom } from './grpc-refusals.ts';
import { healthServiceName } from './protos.ts';

/** Keys come as over HTTP: metadata `authorization: Bearer KEY` or `x-api-key: KEY`. */
export function askForKeys(access: Access): ServerInterceptor {
  return ({ path }, call) => {
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        const verdict = access.authorize({ key: keyIn(metadata), needs: callNeeds(path) });
        if (verdict.kind === 'granted') return next(metadata);
        const { code, details, metadata: trailer } = serviceErrorFrom(verdict.error);
        call.sendStatus({ code, details, metadata: trailer });
      })
      .build();
    return new ServerInterceptingCall(
      call,
      new ResponderBuilder().withStart((next) => next(listener)).build(),
    );
  };
}

function keyIn(metadata: Metadata): string | null {
  const textOf = (name: string) => metadata.get(name).find((value) => typeof value === 'string');
  return shownKeyFrom({ authorization: textOf('authorization'), 'x-api-key': textOf('x-api-key') });
}

const needs: Readonly<Record<string, Need>> = {
  Score: 'score',
  Rank: 'score',
  Status: 'score',
  SendOutcomes: 'events',
  ServerLive: 'open',
  ServerReady: 'open',
  ServerMetadata: 'score',
  ModelReady: 'score',
  ModelMetadata: 'score',
  ModelInfer: 'score',
  RepositoryIndex: 'score',
};

/** What a call asks for, by its path `/service/Method`; what is not named here is an admin's. */
export function callNeeds(path: string): Need {
  const [, service = '', method = ''] = path.split('/');
  if (service === healthServiceName) return 'open';
  if (service.startsWith('grpc.reflection.')) return 'any';
  return Object.hasOwn(needs, method) ? needs[method] : 'admin';
}
