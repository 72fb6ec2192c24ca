/** Files of a cluster's own authority in a directory of the test. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTlsIdentity, type TlsIdentity } from '@millrace/runtime';
import { onTestFinished } from 'vitest';
import { makeSecureFiles } from '../../src/certificates/secure-files.ts';

export interface CertifiedFiles {
  readonly directory: string;
  path(name: string): string;
  identity(): Promise<TlsIdentity>;
}

export interface CertifiedOptions {
  readonly nowMs?: number;
  readonly days?: number;
  readonly hosts?: readonly string[];
}

export async function certifiedFiles(options: CertifiedOptions = {}): Promise<CertifiedFiles> {
  const directory = await mkdtemp(join(tmpdir(), 'mill-certs-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const files = await makeSecureFiles({
    nowMs: options.nowMs ?? Date.now(),
    days: options.days ?? 7,
    hosts: options.hosts ?? ['localhost', '127.0.0.1'],
    seenAt: directory,
    authority: null,
  });
  for (const { name, content } of files) await writeFile(join(directory, name), content);
  const path = (name: string) => join(directory, name);
  return {
    directory,
    path,
    identity: async () => {
      const identity = await readTlsIdentity(identityFiles(path), Date.now());
      if (identity === null) throw new Error('all three files are set');
      return identity;
    },
  };
}

/** The three files of an identity, each of which a test may replace. */
export function identityFiles(
  path: (name: string) => string,
  instead: { readonly ca?: string | null; readonly cert?: string | null; readonly key?: string | null } = {},
) {
  const fileOf = (setting: string, given: string | null | undefined, usual: string) => ({
    setting,
    path: given === undefined ? path(usual) : given,
  });
  return {
    ca: fileOf('MILL_TLS_CA', instead.ca, 'ca.pem'),
    cert: fileOf('MILL_TLS_CERT', instead.cert, 'node.pem'),
    key: fileOf('MILL_TLS_KEY', instead.key, 'node-key.pem'),
  };
}
