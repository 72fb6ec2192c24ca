/** `millrace keys`: who may use the HTTP API. */
import { MillraceError } from '@millrace/protocol';
import { isRate, isRole, type Role, readConfig, roles, securitySettings } from '@millrace/runtime';
import { Command, InvalidArgumentError, Option } from 'commander';
import { addKey, readKeys, removeKey } from '../api-keys/key-list.ts';
import { textTable } from '../screen/text-table.ts';
import { jsonOption } from './options.ts';

interface KeysFlags {
  readonly file?: string;
  readonly json: boolean;
}

export function keysCommand(): Command {
  return new Command('keys')
    .description('make, list and remove keys of the HTTP API; running processes take changes within a second')
    .addCommand(addCommand())
    .addCommand(listCommand())
    .addCommand(removeCommand());
}

function addCommand(): Command {
  return subcommand('add', 'make a key and print it, once: the file keeps its hash')
    .argument('<name>', 'how logs call it')
    .requiredOption('--roles <list>', `what it may do: ${roles.join(', ')}, with commas between`, rolesFrom)
    .option('--rate <n>', 'requests a second, at most', rateFrom)
    .action(async (name: string, flags: KeysFlags & { roles: readonly Role[]; rate?: number }) => {
      const path = pathFrom(flags);
      const rate = flags.rate === undefined ? {} : { requestsPerSecond: flags.rate };
      const key = await addKey(path, { name, roles: flags.roles, ...rate });
      const said = flags.json ? JSON.stringify({ name, key, roles: flags.roles, ...rate, file: path }) : key;
      process.stdout.write(`${said}\n`);
      process.stderr.write(`"${name}" stands in ${path} as a hash; the key itself is shown only now\n`);
    });
}

function listCommand(): Command {
  return subcommand('list', 'list names, roles and rates').action(async (flags: KeysFlags) => {
    const keys = await readKeys(pathFrom(flags));
    const rows = keys.map(({ name, roles: may, requestsPerSecond }) => ({
      name,
      roles: may,
      requestsPerSecond,
    }));
    if (flags.json) process.stdout.write(`${JSON.stringify({ keys: rows })}\n`);
    else {
      const lines = rows.map(({ name, roles: may, requestsPerSecond }) => {
        return [name, may.join(', '), requestsPerSecond === undefined ? 'any' : String(requestsPerSecond)];
      });
      process.stdout.write(`${textTable([['key', 'roles', 'requests/s'], ...lines]).join('\n')}\n`);
    }
  });
}

function removeCommand(): Command {
  return subcommand('remove', 'remove a key')
    .argument('<name>')
    .action(async (name: string, flags: KeysFlags) => {
      await removeKey(pathFrom(flags), name);
      if (flags.json) process.stdout.write(`${JSON.stringify({ removed: name })}\n`);
      else process.stdout.write(`removed "${name}"\n`);
    });
}

function subcommand(name: string, does: string): Command {
  return new Command(name)
    .description(does)
    .addOption(new Option('--file <path>', 'the keys file (default: MILL_API_KEYS_FILE)'))
    .addOption(jsonOption());
}

function pathFrom({ file }: KeysFlags): string {
  const path = file ?? readConfig(securitySettings, process.env).apiKeysFile;
  if (path) return path;
  throw new MillraceError(
    'MILL_CONFIG_INVALID',
    'which file? wanted --file or MILL_API_KEYS_FILE, got neither',
  );
}

function rolesFrom(text: string): readonly Role[] {
  const words = [...new Set(text.split(',').map((word) => word.trim()))];
  if (words.every(isRole)) return words;
  throw new InvalidArgumentError(`wanted some of ${roles.join(', ')}.`);
}

function rateFrom(text: string): number {
  const rate = text.trim() === '' ? Number.NaN : Number(text);
  if (isRate(rate)) return rate;
  throw new InvalidArgumentError('wanted a number above 0.');
}
