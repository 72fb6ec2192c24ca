/** Reaching a NATS server: bounded tries at first, unbounded reconnecting afterwards. */
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError, messageBytesMax } from '@millrace/protocol';
import { type ConnectionOptions, connect, credsAuthenticator, ErrorCode, type NatsConnection } from 'nats';
import type { Logger } from './logger.ts';
import {
  isCertificateFault,
  isRefused,
  isTlsMissing,
  logUnavailable,
  natsReasonFrom,
} from './nats-errors.ts';

/** Proof of who this process is, as the server's configuration asks for it. */
export type NatsCredentials =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }
  /** Contents of a `.creds` file. */
  | { readonly kind: 'creds'; readonly creds: string };

/** Demands TLS. PEM; without `ca` the server is checked against the authorities that the system trusts. */
export interface NatsTls {
  readonly ca?: string;
  /** What this process shows to the server, if that asks. */
  readonly cert?: string;
  readonly key?: string;
}

export interface NatsConnectionOptions {
  /** One or more `nats://host:port` of one cluster. */
  readonly servers: readonly string[];
  /** Name of this process, as the server lists it. */
  readonly name: string;
  readonly logger: Logger;
  readonly credentials?: NatsCredentials;
  readonly tls?: NatsTls;
  /** How long the server may stay out of reach at first, and how long `ensure` waits for a leader, ms. Default 30,000. */
  readonly firstConnectMsMax?: number;
}

export const firstConnectMsMaxDefault = 30_000;
/** A server that restarts is found again within this time; shorter would only busy the network while it is down. */
const reconnectMs = 250;
/** One attempt, at most. */
const dialMsMax = 5_000;
/** Two silent rounds of this end a half-open connection, so it is noticed within half a minute. */
const pingIntervalMs = 10_000;

/**
 * Connects, trying again until the time is up; once connected, the connection mends itself for ever.
 * @throws MILL_LOG_UNAVAILABLE when no server answers in time, MILL_CONFIG_INVALID when one refuses this client.
 */
export async function connectNats(options: NatsConnectionOptions): Promise<NatsConnection> {
  const servers = options.servers.join(', ');
  const msMax = options.firstConnectMsMax ?? firstConnectMsMaxDefault;
  const deadline = performance.now() + msMax;
  for (;;) {
    try {
      const connection = await connect(clientOptionsFrom(options));
      warnAboutPayload(connection, options.logger);
      return connection;
    } catch (error) {
      const fault = settingsFaultFrom(error, options);
      if (fault !== null) {
        throw new MillraceError('MILL_CONFIG_INVALID', `NATS at ${servers} ${fault}`, { cause: error });
      }
      if (performance.now() + reconnectMs >= deadline) {
        throw logUnavailable(
          `cannot reach NATS at ${servers} within ${msMax} ms`,
          connectCauseFrom(error, options),
        );
      }
    }
    await sleep(reconnectMs);
  }
}

function clientOptionsFrom(options: NatsConnectionOptions): ConnectionOptions {
  return {
    servers: [...options.servers],
    name: options.name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: reconnectMs,
    reconnectJitter: 50,
    // A server that restarts with its accounts not yet loaded refuses twice and would be given up for good.
    ignoreAuthErrorAbort: true,
    timeout: dialMsMax,
    pingInterval: pingIntervalMs,
    maxPingOut: 2,
    // A stack trace for every request costs more than the request.
    noAsyncTraces: true,
    ...credentialOptionsFrom(options.credentials),
    ...(options.tls && { tls: options.tls }),
  };
}

/** What no further try will change, and which setting does; null: the server may yet come. */
function settingsFaultFrom(error: unknown, { credentials, tls }: NatsConnectionOptions): string | null {
  const reason = natsReasonFrom(error);
  if (isRefused(error)) {
    return credentials
      ? `refuses this client: ${reason}; see ${settingsOf[credentials.kind]}`
      : `refuses this client: ${reason}; it wants ${Object.values(settingsOf).join(', or ')}`;
  }
  if (isCertificateFault(error)) {
    return tls?.ca
      ? `shows a certificate that is not taken: ${reason}; see MILL_NATS_TLS_CA`
      : `speaks TLS with a certificate that this system does not trust: ${reason}; set MILL_NATS_TLS_CA`;
  }
  return isTlsMissing(error)
    ? 'does not speak TLS, which MILL_NATS_TLS_CA and MILL_NATS_TLS_CERT ask for'
    : null;
}

const settingsOf: Readonly<Record<NatsCredentials['kind'], string>> = {
  password: 'MILL_NATS_USER with MILL_NATS_PASSWORD',
  token: 'MILL_NATS_TOKEN',
  creds: 'MILL_NATS_CREDS',
};

function credentialOptionsFrom(credentials: NatsCredentials | undefined): ConnectionOptions {
  switch (credentials?.kind) {
    case undefined:
      return {};
    case 'password':
      return { user: credentials.user, pass: credentials.password };
    case 'token':
      return { token: credentials.token };
    case 'creds':
      return { authenticator: credsAuthenticator(new TextEncoder().encode(credentials.creds)) };
  }
}

/** The client says only CONNECTION_REFUSED; the socket's own reason stands behind it. */
function connectCauseFrom(error: unknown, { tls }: NatsConnectionOptions): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  // A server that does not take a certificate says so to its own log alone, and the client goes on waiting.
  if (tls && error.code === ErrorCode.Timeout)
    return new Error(`${natsReasonFrom(error)}; it may not take the certificate of MILL_NATS_TLS_CERT`);
  return error.code === ErrorCode.ConnectionRefused ? new Error('connection refused') : error;
}

function warnAboutPayload(connection: NatsConnection, logger: Logger): void {
  const payloadBytesMax = connection.info?.max_payload ?? 0;
  if (payloadBytesMax >= messageBytesMax) return;
  logger.warn(
    { payloadBytesMax, wantedBytes: messageBytesMax },
    'nats-server takes smaller messages than Millrace may send; raise its max_payload',
  );
}
