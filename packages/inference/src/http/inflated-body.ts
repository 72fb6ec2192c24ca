/**
 * Bodies that come compressed, as clients of foreign protocols may send them. What one grows to is bounded as a body is, before
 * it is there; the work is done off the event loop.
 */
import { gunzip, inflate } from 'node:zlib';
import { bodyBytesMax, MillraceError } from '@millrace/protocol';
import { badHeader, type ReadJson } from './json-body.ts';

const inflaters = { gzip: gunzip, deflate: inflate } as const;

function isKnown(encoding: string): encoding is keyof typeof inflaters {
  return Object.hasOwn(inflaters, encoding);
}

/** Reads gzip and deflate too. @throws MILL_BODY_TOO_LARGE, MILL_BAD_REQUEST for bytes that are neither */
export function inflated(read: ReadJson): ReadJson {
  return (request, body, done) => {
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (encoding === 'identity') return read(request, body, done);
    if (!isKnown(encoding)) {
      const wanted = ['identity', ...Object.keys(inflaters)].join(', ');
      return done(badHeader('content-encoding', `one of ${wanted}`, encoding));
    }
    inflaters[encoding](body, { maxOutputLength: bodyBytesMax }, (error, bytes) => {
      if (error === null) read(request, bytes, done);
      else done(refusalOf(error, encoding));
    });
  };
}

function refusalOf({ code }: NodeJS.ErrnoException, encoding: string): MillraceError {
  return code === 'ERR_BUFFER_TOO_LARGE'
    ? new MillraceError(
        'MILL_BODY_TOO_LARGE',
        `body: wanted at most ${bodyBytesMax} bytes, found more in its ${encoding}`,
        {
          details: { bodyBytesMax },
        },
      )
    : new MillraceError('MILL_BAD_REQUEST', `body: wanted ${encoding}, found other bytes`);
}
