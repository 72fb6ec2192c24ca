/** Asks for keys: one interceptor before every method of every service, reflection included, and before a message is read. */
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import { type Access, type Need, shownKeyFrom } from '@millrace/runtime';
import { serviceErrorFrom } from './grpc-refusals.ts';

/** Refuses those who may not call. Keys come as metadata, `authorization: Bearer KEY` or `x-api-key: KEY`. */
export function keyInterceptor(access: Access): ServerInterceptor {
  return ({ path }, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, go) {
            const text = (name: string) => metadata.get(name).map(String)[0];
            const key = shownKeyFrom({
              authorization: text('authorization'),
              'x-api-key': text('x-api-key'),
            });
            const verdict = access.authorize({ key, needs: needOf(path) });
            if (verdict.kind === 'granted') go(metadata);
            else call.sendStatus(serviceErrorFrom(verdict.error));
          },
        }),
    });
}

/** Health says nothing that a prober should need a key for. */
const open = /^\/grpc\.health\.v1\.Health\/|\/(ServerLive|ServerReady)$/;
/** What the API is like; whoever has any key may see it. */
const described = /^\/grpc\.reflection\./;

/** What a method asks for, as its counterpart over HTTP does. */
export function needOf(path: string): Need {
  if (open.test(path)) return 'open';
  if (described.test(path)) return 'any';
  if (/\/RepositoryModel(Load|Unload)$/.test(path)) return 'admin';
  return path.endsWith('/SendOutcomes') ? 'events' : 'score';
}
