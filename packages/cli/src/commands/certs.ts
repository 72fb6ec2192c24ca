/** `millrace certs`: an authority, certificates, a token and a NATS user for a cluster that runs on several machines. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { MillraceError, reasonFrom } from '@millrace/protocol';
import { systemClock } from '@millrace/runtime';
import { Command, InvalidArgumentError } from 'commander';
import type { CertifiedKey } from '../certificates/authority.ts';
import type { SecureFile } from '../certificates/secure-files.ts';
import { wholeNumber } from './options.ts';

interface CertsFlags {
  readonly out: string;
  readonly hosts: readonly string[];
  readonly days: number;
  readonly seenAt?: string;
  readonly renew: boolean;
  readonly force: boolean;
}

export function certsCommand(): Command {
  return new Command('certs')
    .description('make the files for TLS and tokens between all parts of a cluster')
    .requiredOption('--out <directory>', 'where to put them; made if missing')
    .option(
      '--hosts <list>',
      'names and addresses of the machines, those of nats-server among them',
      hostList,
      ['nats', 'localhost', '127.0.0.1'],
    )
    .option('--days <n>', 'how long the certificate is valid', wholeNumber({ min: 1, max: 3_650 }), 825)
    .option('--seen-at <directory>', 'where the processes find the files, in millrace.env (default: --out)')
    .option('--renew', 'a new certificate of the authority that is there; everything else stays', false)
    .option('--force', 'overwrite what is there', false)
    .action(async (flags: CertsFlags) => {
      // The library takes a third of a second to load, which help texts have no use for.
      const { authorityFiles, makeSecureFiles } = await import('../certificates/secure-files.ts');
      const directory = resolve(flags.out);
      const files = await makeSecureFiles({
        nowMs: systemClock.now(),
        days: flags.days,
        hosts: flags.hosts,
        seenAt: flags.seenAt ?? directory,
        authority: flags.renew ? await readAuthority(directory, authorityFiles) : null,
      });
      await writeFiles(directory, files, flags.renew || flags.force ? 'overwrite' : 'keep');
      process.stdout.write(`${report(directory, files, flags)}\n`);
    });
}

const hostPattern = /^[a-z0-9*]([a-z0-9.-]{0,251}[a-z0-9])?$/i;

function hostList(text: string): readonly string[] {
  const hosts = text.split(',').map((host) => host.trim());
  const bad = hosts.find((host) => isIP(host) === 0 && !hostPattern.test(host));
  if (bad !== undefined)
    throw new InvalidArgumentError(`wanted host names or addresses, got ${JSON.stringify(bad)}.`);
  return hosts;
}

async function readAuthority(
  directory: string,
  names: { readonly certificate: string; readonly key: string },
): Promise<CertifiedKey> {
  const read = async (name: string) => {
    const path = join(directory, name);
    return await readFile(path, 'utf8').catch((cause: unknown) => {
      throw new MillraceError('MILL_FILE_INVALID', `cannot read ${path}: ${reasonFrom(cause)}`, { cause });
    });
  };
  return { certificate: await read(names.certificate), key: await read(names.key) };
}

/** Nothing is written where one of the files is there and must be kept. */
async function writeFiles(
  directory: string,
  files: readonly SecureFile[],
  there: 'keep' | 'overwrite',
): Promise<void> {
  await mkdir(directory, { recursive: true });
  if (there === 'keep') {
    for (const { name } of files) {
      const isThere = await readFile(join(directory, name)).then(
        () => true,
        () => false,
      );
      if (isThere)
        throw new MillraceError(
          'MILL_FILE_INVALID',
          `${join(directory, name)} is there already: --renew makes a new certificate alone, --force overwrites everything`,
        );
    }
  }
  for (const { name, content, isSecret } of files) {
    const path = join(directory, name);
    const mode = isSecret ? 0o600 : 0o644;
    await writeFile(path, content, { mode, flag: there === 'keep' ? 'wx' : 'w' });
    // A file that was there keeps its mode otherwise.
    await chmod(path, mode);
  }
}

function report(directory: string, files: readonly SecureFile[], { days, renew }: CertsFlags): string {
  const lines = files.map(({ name, purpose }) => `  ${name.padEnd(16)} ${purpose}`);
  const next = renew
    ? ['Next: give the new files to every process, and start them anew one after the other.']
    : [
        'Next: bring all but ca-key.pem to every machine, give each process the settings of millrace.env,',
        'and let the configuration of nats-server include nats-user.conf and a tls block with these files',
        '(docs/operations.md, "Authentication and TLS").',
      ];
  return [`Written to ${directory}, valid for ${days} days:`, ...lines, '', ...next].join('\n');
}
