/** The files that secure a cluster: certificates, a token, a user of nats-server, and the settings that name them all. */
import { randomBytes } from 'node:crypto';
import { shardCertificateName } from '@millrace/runtime';
import { type CertifiedKey, issueCertificate, makeAuthority } from './authority.ts';

export interface SecureFilesOptions {
  readonly nowMs: number;
  /** How long the processes' certificate is valid. */
  readonly days: number;
  /** Names and addresses of the machines, those of nats-server among them. */
  readonly hosts: readonly string[];
  /** Where the processes find the files. */
  readonly seenAt: string;
  /** What a renewed certificate is signed by; null: a new authority. */
  readonly authority: CertifiedKey | null;
}

export interface SecureFile {
  readonly name: string;
  readonly content: string;
  /** Readable by its owner alone. */
  readonly isSecret: boolean;
  readonly purpose: string;
}

/** The authority outlives many certificates; whoever keeps its key can make new ones. */
const authorityDays = 3_650;
const natsUser = 'millrace';

/** Names of the files that a new authority and a renewed certificate are kept in. */
export const authorityFiles = { certificate: 'ca.pem', key: 'ca-key.pem' } as const;
const nodeFiles = { certificate: 'node.pem', key: 'node-key.pem' } as const;

/** The processes' certificate alone, or everything where no authority is given. */
export async function makeSecureFiles(options: SecureFilesOptions): Promise<readonly SecureFile[]> {
  const { nowMs, days } = options;
  const authority =
    options.authority ??
    (await makeAuthority('Millrace cluster authority', { nowMs, days: Math.max(days, authorityDays) }));
  const node = await issueCertificate({
    authority,
    hosts: [shardCertificateName, ...options.hosts.filter((host) => host !== shardCertificateName)],
    nowMs,
    days,
  });
  const nodeOnes: readonly SecureFile[] = [
    plain(nodeFiles.certificate, node.certificate, 'certificate of every process and of nats-server'),
    secret(nodeFiles.key, node.key, 'its key'),
  ];
  if (options.authority) return nodeOnes;
  const token = randomText();
  const password = randomText();
  return [
    plain(authorityFiles.certificate, authority.certificate, 'whom every process trusts'),
    secret(authorityFiles.key, authority.key, 'signs further certificates; keep it away from the cluster'),
    ...nodeOnes,
    secret('cluster-token', `${token}\n`, 'what callers of a shard show; the same in all processes'),
    secret('nats-password', `${password}\n`, `password of the user ${natsUser} of nats-server`),
    secret('nats-user.conf', natsConfigFrom(password), 'to be included in the configuration of nats-server'),
    plain('millrace.env', environmentFrom(options.seenAt), 'settings of every process; no secrets in it'),
  ];
}

function plain(name: string, content: string, purpose: string): SecureFile {
  return { name, content, isSecret: false, purpose };
}

function secret(name: string, content: string, purpose: string): SecureFile {
  return { name, content, isSecret: true, purpose };
}

/** 256 bits, in letters and digits that no file format takes for its own. */
function randomText(): string {
  return randomBytes(32).toString('hex');
}

function natsConfigFrom(password: string): string {
  return `authorization {
  users = [
    { user: "${natsUser}", password: "${password}" }
  ]
}
`;
}

function environmentFrom(seenAt: string): string {
  const file = (name: string) => `${seenAt.replace(/\/+$/, '')}/${name}`;
  const settings = {
    MILL_CLUSTER_TOKEN_FILE: file('cluster-token'),
    MILL_TLS_CA: file(authorityFiles.certificate),
    MILL_TLS_CERT: file(nodeFiles.certificate),
    MILL_TLS_KEY: file(nodeFiles.key),
    MILL_NATS_USER: natsUser,
    MILL_NATS_PASSWORD_FILE: file('nats-password'),
    MILL_NATS_TLS_CA: file(authorityFiles.certificate),
    MILL_NATS_TLS_CERT: file(nodeFiles.certificate),
    MILL_NATS_TLS_KEY: file(nodeFiles.key),
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${/\s/.test(value) ? JSON.stringify(value) : value}\n`)
    .join('');
}
