/** What a process proves itself with, read and checked once at its start. */
import { readFile } from 'node:fs/promises';
import { MillraceError, reasonFrom } from '@millrace/protocol';
import type { ConfigOf } from './config.ts';
import type { NatsCredentials, NatsTls } from './nats-connection.ts';
import { securitySettings } from './security-settings.ts';
import {
  readTlsAuthority,
  readTlsIdentity,
  readTlsPair,
  type TlsFile,
  type TlsIdentity,
} from './tls-files.ts';

export interface Security {
  /** For pulls; null: without TLS. */
  readonly tls: TlsIdentity | null;
  /** What callers of a shard show; null: nothing. */
  readonly token: string | null;
  readonly nats: { readonly credentials?: NatsCredentials; readonly tls?: NatsTls };
  /** When the first certificate in use expires, Unix ms; Infinity without one. */
  readonly expiresMs: number;
}

type SecuritySettings = ConfigOf<typeof securitySettings>;
type Key = keyof typeof securitySettings;

/**
 * @param nowMs Unix time that certificates must be valid at.
 * @throws MILL_CONFIG_INVALID naming the setting, and the file if there is one; no message quotes a secret.
 */
export async function readSecurity(settings: SecuritySettings, nowMs: number): Promise<Security> {
  const fileOf = (key: Key): TlsFile => ({ setting: securitySettings[key].env, path: settings[key] });
  const tls = await readTlsIdentity(
    { ca: fileOf('tlsCa'), cert: fileOf('tlsCert'), key: fileOf('tlsKey') },
    nowMs,
  );
  const token = await secretOf(settings, 'clusterToken', 'clusterTokenFile');
  const credentials = await readCredentials(settings);
  const natsTls = await readNatsTls(settings, fileOf, nowMs);
  return {
    tls,
    token,
    nats: { ...(credentials && { credentials }), ...(natsTls && { tls: natsTls.files }) },
    expiresMs: Math.min(tls?.expiresMs ?? Infinity, natsTls?.expiresMs ?? Infinity),
  };
}

async function readCredentials(settings: SecuritySettings): Promise<NatsCredentials | null> {
  const { natsUser: user, natsToken: token, natsCreds } = settings;
  const password = await secretOf(settings, 'natsPassword', 'natsPasswordFile');
  const ways = { MILL_NATS_USER: user, MILL_NATS_TOKEN: token, MILL_NATS_CREDS: natsCreds };
  const used = Object.entries(ways).flatMap(([name, value]) => (value === null ? [] : [name]));
  if (used.length > 1)
    throw invalid(`${used.join(' and ')} must not be set together: NATS takes one of them`);
  if (user === null && password !== null) throw invalid('MILL_NATS_USER must be set, since a password is');
  if (user !== null) {
    if (password === null)
      throw invalid('MILL_NATS_PASSWORD or MILL_NATS_PASSWORD_FILE must be set, since MILL_NATS_USER is');
    return { kind: 'password', user, password };
  }
  if (token !== null) return { kind: 'token', token };
  if (natsCreds === null) return null;
  const creds = await contentOf('natsCreds', natsCreds);
  if (!/-----BEGIN NATS USER JWT-----/.test(creds) || !/-----BEGIN USER NKEY SEED-----/.test(creds))
    throw invalid(`MILL_NATS_CREDS (${natsCreds}) must hold a user JWT and its seed, as nsc writes them`);
  return { kind: 'creds', creds };
}

async function readNatsTls(
  { natsTlsCa }: SecuritySettings,
  fileOf: (key: Key) => TlsFile,
  nowMs: number,
): Promise<{ readonly files: NatsTls; readonly expiresMs: number } | null> {
  const pair = await readTlsPair({ cert: fileOf('natsTlsCert'), key: fileOf('natsTlsKey') }, nowMs);
  const authority = natsTlsCa === null ? null : await readTlsAuthority(fileOf('natsTlsCa'), nowMs);
  if (!pair && !authority) return null;
  return {
    files: { ...(authority && { ca: authority.pem }), ...(pair && { cert: pair.cert, key: pair.key }) },
    expiresMs: Math.min(pair?.expiresMs ?? Infinity, authority?.expiresMs ?? Infinity),
  };
}

/** A secret of the environment, or of a file; blanks and line ends around the latter do not count. */
async function secretOf(settings: SecuritySettings, key: Key, fileKey: Key): Promise<string | null> {
  const path = settings[fileKey];
  if (path === null) return settings[key];
  const { env } = securitySettings[fileKey];
  if (settings[key] !== null)
    throw invalid(
      `${securitySettings[key].env} and ${env} must not be set together: one of them holds the value`,
    );
  const text = (await contentOf(fileKey, path)).trim();
  const { parser } = securitySettings[key];
  if (parser.parse(text) !== undefined) return text;
  throw invalid(`${env} (${path}) must hold ${parser.wanted}, got another text of ${text.length} characters`);
}

async function contentOf(key: Key, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw invalid(`${securitySettings[key].env} (${path}) cannot be read: ${reasonFrom(error)}`, error);
  }
}

function invalid(message: string, cause?: unknown): MillraceError {
  return new MillraceError('MILL_CONFIG_INVALID', message, cause === undefined ? {} : { cause });
}
