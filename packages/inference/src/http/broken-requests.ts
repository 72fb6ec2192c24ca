/** Answers what never became a request: bytes that are not HTTP, headers without end, a body that never arrives. */
import type { Socket } from 'node:net';
import { errorTable, MillraceError } from '@millrace/protocol';
import { errorResponseFrom, headersFor } from './refusals.ts';
import type { UnreadBodies } from './unread-body.ts';

/** A handler of the HTTP server's `clientError`: one coded answer, then the connection is closed. */
export function brokenRequestHandler(
  unread: UnreadBodies,
): (error: { code: string }, socket: Socket) => void {
  return (error, socket) => {
    // Who has hung up hears nothing, and who has an answer already must not read a second one as the next request's.
    if (error.code === 'ECONNRESET' || !socket.writable || unread.answered(socket)) {
      socket.destroy();
      return;
    }
    socket.end(rawAnswer(refusalOf(error.code)), () => socket.destroySoon());
  };
}

function refusalOf(code: string): MillraceError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new MillraceError('MILL_BAD_REQUEST', 'headers: wanted at most 16 KiB, found more');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new MillraceError('MILL_TIMEOUT', 'the request did not arrive in full within the time limit');
    default:
      return new MillraceError('MILL_BAD_REQUEST', `request: wanted HTTP/1.1, found a fault (${code})`);
  }
}

function rawAnswer(error: MillraceError): string {
  const body = JSON.stringify(errorResponseFrom(error));
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
    ...headersFor(error),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${errorTable[error.code].http} Refused`, ...lines, '', body].join('\r\n');
}
