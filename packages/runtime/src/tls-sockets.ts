/**
 * TCP sockets with TLS on both ends proven: the shard asks for a certificate that the cluster's authority signed, and the
 * caller wants one of the shard. Containers change their addresses, so a shard's certificate carries one fixed name besides
 * those of its host, and callers check that one.
 */
import type { OnReadOpts, Socket } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import type { TlsIdentity } from './tls-files.ts';

/** Name in the certificate of every shard; whoever has the key of one can be any, within a cluster. */
export const shardCertificateName = 'millrace-shard';

/** Both ends are Millrace's own, so nothing older is needed. */
const minVersion = 'TLSv1.3';
/** A caller that has not proven itself by then is let go; a handshake takes milliseconds. */
const handshakeMsMax = 10_000;
/** How long a refused caller may take to read its refusal. */
const lingerMs = 2_000;
/** First byte of a TLS connection (a handshake record). A frame's first byte is that of a length, a multiple of 4. */
const handshakeRecord = 0x16;

export interface TlsConnectOptions {
  readonly identity: TlsIdentity;
  readonly host: string;
  readonly port: number;
  readonly onread: OnReadOpts;
}

/** Connects; what is written waits until the shard has proven itself. */
export function connectTls({ identity, ...where }: TlsConnectOptions): Socket {
  const { ca, cert, key } = identity;
  const socket = connect({ ...where, ca, cert, key, servername: shardCertificateName, minVersion });
  socket.setNoDelay(true);
  socket.cork();
  socket.once('secureConnect', () => socket.uncork());
  return socket;
}

export interface TlsDoorOptions {
  readonly identity: TlsIdentity;
  /** A caller that has proven itself. */
  readonly onCaller: (socket: Socket) => void;
  /** As ListenOptions. */
  readonly onRefused: (reason: string, peer: string) => Uint8Array;
}

export interface TlsDoor {
  /** Takes a fresh connection. */
  admit(socket: Socket): void;
  /** Ends those that have not proven themselves. */
  close(): void;
}

export function openTlsDoor({ identity, onCaller, onRefused }: TlsDoorOptions): TlsDoor {
  /** Sockets under the TLS of callers that have not proven themselves, by where they come from. */
  const waiting = new Map<string, Socket>();
  const { ca, cert, key } = identity;
  const server = createServer({
    ca,
    cert,
    key,
    minVersion,
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: handshakeMsMax,
  });
  server.on('secureConnection', (socket) => {
    waiting.delete(originOf(socket));
    onCaller(socket);
  });
  server.on('tlsClientError', (error, socket) => {
    onRefused(callerFaultFrom(error, socket), peerOf(socket));
    socket.destroy();
  });

  const refusePlain = (socket: Socket) => {
    socket.setTimeout(lingerMs, () => socket.destroy());
    socket.end(onRefused('this port speaks TLS alone, the caller does not', peerOf(socket)));
    socket.resume();
  };

  return {
    admit(socket) {
      const origin = originOf(socket);
      waiting.set(origin, socket);
      socket.once('close', () => waiting.delete(origin));
      socket.on('error', () => {});
      // One that says nothing would stay for ever.
      const onSilence = () => socket.destroy();
      socket.setTimeout(handshakeMsMax, onSilence);
      socket.once('data', (chunk) => {
        socket.setTimeout(0);
        socket.off('timeout', onSilence);
        if (chunk[0] !== handshakeRecord) return refusePlain(socket);
        socket.pause();
        socket.unshift(chunk);
        server.emit('connection', socket);
      });
    },
    close() {
      for (const socket of waiting.values()) socket.destroy();
      server.close();
    },
  };
}

function originOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}

/** Address of the other side, for logs. */
export function peerOf({ remoteAddress }: Socket): string {
  return remoteAddress ?? 'a caller that is gone';
}

function callerFaultFrom(error: Error, { authorizationError }: TLSSocket): string {
  if (authorizationError) return `the caller's certificate is not taken: ${String(authorizationError)}`;
  switch (codeOf(error)) {
    case 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE':
      return 'the caller sent no certificate';
    case 'ERR_TLS_HANDSHAKE_TIMEOUT':
      return `the caller did not prove itself within ${handshakeMsMax} ms`;
    default:
      return `the TLS handshake failed: ${shortReason(error)}`;
  }
}

/**
 * Why a connection of connectTls could not be made or broke, in words; null after an orderly end.
 * @param isSilent not one byte came from the shard.
 */
export function shardFaultFrom(error: Error | null, isSilent: boolean): string | null {
  // A shard learns of a caller's certificate after its own part of the handshake, and then it just hangs up.
  if (isSilent && (!error || codeOf(error) === 'ECONNRESET'))
    return 'it hung up before its first answer; it may not take the certificate of this process';
  if (!error) return null;
  switch (codeOf(error)) {
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'ERR_SSL_UNEXPECTED_MESSAGE':
    case 'EPROTO':
      return 'it does not speak TLS';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `its certificate is not made out to ${shardCertificateName}`;
    case 'CERT_HAS_EXPIRED':
      return 'its certificate has expired';
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'CERT_SIGNATURE_FAILURE':
      return `its certificate is not signed by the authority that this process trusts (${codeOf(error)})`;
    default:
      return shortReason(error);
  }
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : '';
}

/** OpenSSL's messages carry addresses and lines of its source; `reason` is what they say. */
function shortReason(error: Error): string {
  return 'reason' in error ? String(error.reason) : error.message;
}
