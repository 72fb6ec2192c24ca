/** Certificates and keys from files, checked at the start: what is wrong with one shows then, and by its setting's name. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { MillraceError, reasonFrom } from '@millrace/protocol';

/** A certificate and its key, PEM. */
export interface TlsPair {
  /** This process's certificate, and those between it and the authority. */
  readonly cert: string;
  readonly key: string;
  /** When the first of the certificates expires, Unix ms. */
  readonly expiresMs: number;
}

/** Who this process is, and whom it trusts. */
export interface TlsIdentity extends TlsPair {
  /** Certificates of the authorities that sign for the cluster, PEM. */
  readonly ca: string;
}

/** One file: the setting that names it, and its path; null: not set. */
export interface TlsFile {
  readonly setting: string;
  readonly path: string | null;
}

export interface TlsPairFiles {
  readonly cert: TlsFile;
  readonly key: TlsFile;
}

/**
 * Reads and checks a whole identity.
 * @param nowMs Unix time that the certificates must be valid at.
 * @returns null when none of the three is set.
 * @throws MILL_CONFIG_INVALID naming setting and file: one of the three is missing, a file cannot be read or is not PEM, a
 * certificate is not valid now, the key does not fit.
 */
export async function readTlsIdentity(
  files: TlsPairFiles & { readonly ca: TlsFile },
  nowMs: number,
): Promise<TlsIdentity | null> {
  if (!areSet([files.ca, files.cert, files.key])) return null;
  const ca = await readTlsAuthority(files.ca, nowMs);
  const pair = (await readTlsPair(files, nowMs)) as TlsPair;
  return { ...pair, ca: ca.pem, expiresMs: Math.min(ca.expiresMs, pair.expiresMs) };
}

/** As readTlsIdentity, for a certificate and its key alone. */
export async function readTlsPair(files: TlsPairFiles, nowMs: number): Promise<TlsPair | null> {
  if (!areSet([files.cert, files.key])) return null;
  const cert = await readPem(files.cert);
  const key = await readPem(files.key);
  const own = certificatesIn(files.cert, cert, nowMs);
  if (!own[0].checkPrivateKey(keyIn(files.key, key)))
    throw invalid(`${told(files.key)} does not fit the certificate of ${told(files.cert)}`);
  return { cert, key, expiresMs: earliestEnd(own) };
}

/** As readTlsIdentity, for the authorities' certificates alone. */
export async function readTlsAuthority(
  file: TlsFile,
  nowMs: number,
): Promise<{ readonly pem: string; readonly expiresMs: number }> {
  const pem = await readPem(file);
  return { pem, expiresMs: earliestEnd(certificatesIn(file, pem, nowMs)) };
}

/** All of them, or none. */
function areSet(files: readonly TlsFile[]): boolean {
  const absent = files.filter(({ path }) => path === null).map(({ setting }) => setting);
  if (absent.length === 0 || absent.length === files.length) return absent.length === 0;
  const names = files.map(({ setting }) => setting).join(', ');
  throw invalid(`${names} go together; ${absent.join(' and ')} must be the path of a file, got nothing`);
}

async function readPem(file: TlsFile): Promise<string> {
  try {
    return await readFile(file.path as string, 'utf8');
  } catch (error) {
    throw invalid(`${told(file)} cannot be read: ${reasonFrom(error)}`, error);
  }
}

const certificatePattern = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function certificatesIn(file: TlsFile, pem: string, nowMs: number): [X509Certificate, ...X509Certificate[]] {
  const found = (pem.match(certificatePattern) ?? []).map((text) => {
    try {
      return new X509Certificate(text);
    } catch (error) {
      throw invalid(`${told(file)} must hold certificates in PEM: ${reasonFrom(error)}`, error);
    }
  });
  const [first, ...others] = found;
  if (!first) throw invalid(`${told(file)} must hold a certificate in PEM, got none`);
  for (const { validFrom, validTo } of found) {
    if (Date.parse(validTo) <= nowMs)
      throw invalid(`${told(file)} has expired: it was valid until ${validTo}`);
    if (Date.parse(validFrom) > nowMs) throw invalid(`${told(file)} is not valid before ${validFrom}`);
  }
  return [first, ...others];
}

/** The reason of a failure is not passed on: it might quote the key. */
function keyIn(file: TlsFile, pem: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(pem)) {
    throw invalid(`${told(file)} must be a key without a pass phrase`);
  }
  try {
    return createPrivateKey(pem);
  } catch {
    throw invalid(`${told(file)} must be a private key in PEM`);
  }
}

function earliestEnd(certificates: readonly X509Certificate[]): number {
  return Math.min(...certificates.map(({ validTo }) => Date.parse(validTo)));
}

function told({ setting, path }: TlsFile): string {
  return `${setting} (${path})`;
}

function invalid(message: string, cause?: unknown): MillraceError {
  return new MillraceError('MILL_CONFIG_INVALID', message, cause === undefined ? {} : { cause });
}
