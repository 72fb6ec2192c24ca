import { MillraceError } from '@millrace/protocol';

/**
 * Settles as `work` does, or fails when that takes longer than `limitMs`; `work` itself runs on and its end is ignored.
 * Fastify's own handler timeout does not serve: it is called off when the request's body has been read (5.12).
 * @throws MILL_TIMEOUT
 */
export function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new MillraceError('MILL_TIMEOUT', `no answer within ${limitMs} ms`));
    }, limitMs);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
