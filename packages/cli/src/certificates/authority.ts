/** A certificate authority of a cluster's own, and the certificates that it signs. ECDSA on P-256, X.509 version 3. */
import './metadata-functions.ts';
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** A certificate and its key, PEM. */
export interface CertifiedKey {
  readonly certificate: string;
  readonly key: string;
}

export interface Validity {
  readonly nowMs: number;
  readonly days: number;
}

export interface NodeCertificate extends Validity {
  readonly authority: CertifiedKey;
  /** Names and addresses that it is reached by; the first is the subject. */
  readonly hosts: readonly [string, ...string[]];
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;
/** Machines whose clock is this far behind take a new certificate all the same. */
const clockSkewMs = 5 * 60_000;

/** A new authority; it signs nothing but certificates of processes, no further authorities. */
export async function makeAuthority(name: string, validity: Validity): Promise<CertifiedKey> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...commonParts(validity),
    name: [{ CN: [name] }],
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemLine(certificate), key: await pemOfKey(keys.privateKey) };
}

/** A certificate that proves a process to callers and, as a caller, to others. */
export async function issueCertificate(options: NodeCertificate): Promise<CertifiedKey> {
  const keys = await newKeys();
  const authority = new X509Certificate(options.authority.certificate);
  const names = options.hosts.map((value) => ({
    type: isIP(value) ? ('ip' as const) : ('dns' as const),
    value,
  }));
  const certificate = await X509CertificateGenerator.create({
    ...commonParts(options),
    subject: [{ CN: [options.hosts[0]] }],
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey: await signingKeyFrom(options.authority.key),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension(names),
      await AuthorityKeyIdentifierExtension.create(authority.publicKey),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemLine(certificate), key: await pemOfKey(keys.privateKey) };
}

function commonParts({ nowMs, days }: Validity) {
  return {
    // Positive, as the format wants it: its first bit is 0.
    serialNumber: `01${randomBytes(15).toString('hex')}`,
    notBefore: new Date(nowMs - clockSkewMs),
    notAfter: new Date(nowMs + days * dayMs),
    signingAlgorithm: algorithm,
  };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

function signingKeyFrom(pem: string): Promise<webcrypto.CryptoKey> {
  const bytes = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' });
  return webcrypto.subtle.importKey('pkcs8', bytes, algorithm, false, ['sign']);
}

function pemLine(certificate: X509Certificate): string {
  return `${certificate.toString('pem').trimEnd()}\n`;
}

async function pemOfKey(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString();
}
