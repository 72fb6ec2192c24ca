/** `millrace models`: versions of models, labels, and what nodes load. */
import type { MillraceClient, VersionPolicy, VersionsResponse } from '@millrace/sdk';
import { Command, InvalidArgumentError, Option } from 'commander';
import { withClusterClient } from '../cluster-client.ts';
import { type ModelVersions, modelsView, policyText, versionView } from '../screen/versions-view.ts';
import { jsonOption, urlOption, wholeNumber } from './options.ts';

interface Flags {
  readonly url?: string;
  readonly json: boolean;
}
interface Because {
  readonly reason?: string;
}

export function modelsCommand(): Command {
  const command = new Command('models').description(
    'list models and their versions; take, label, load and remove versions',
  );
  command.addCommand(listCommand(), { isDefault: true });
  for (const make of [showCommand, takeCommand, labelCommand, unlabelCommand, rollbackCommand, policyCommand])
    command.addCommand(make());
  for (const verb of ['load', 'unload', 'remove'] as const) command.addCommand(versionCommand(verb));
  return command;
}

function listCommand(): Command {
  return subcommand('list', 'list versions of all models, or of one')
    .argument('[model]')
    .action((model: string | undefined, flags: Flags) =>
      withClusterClient(flags.url, async (client, urls) => {
        const listings = (await client.models()).filter(({ name }) => model === undefined || name === model);
        const models: ModelVersions[] = [];
        if (model !== undefined && listings.length === 0) await client.versions.list(model);
        for (const listing of listings)
          models.push({ listing, versions: await client.versions.list(listing.name) });
        say(flags, { models }, () => modelsView(urls.join(', '), models));
      }),
    );
}

function showCommand(): Command {
  return subcommand('show', 'show where a version comes from')
    .argument('<model>')
    .argument('<version>', 'its number', versionFrom)
    .action((model: string, version: number, flags: Flags) =>
      withClusterClient(flags.url, async (client) => {
        const record = await client.versions.record(model, version);
        const { versions } = await client.versions.list(model);
        const listing = versions.find((one) => one.version === version);
        say(flags, { record, listing }, () => versionView(record, listing));
      }),
    );
}

function takeCommand(): Command {
  return subcommand('take', 'freeze what the live line has learned as a new version')
    .argument('<model>')
    .option('--note <text>', 'what it is')
    .option('--label <name>', 'set to it; may stand several times', collected, [])
    .action((model: string, flags: Flags & { note?: string; label: readonly string[] }) =>
      withClusterClient(flags.url, async (client) => {
        const { note, label: labels } = flags;
        const answer = await client.versions.take(model, { labels, ...(note !== undefined && { note }) });
        say(flags, answer, () => `took version ${answer.version} of "${model}"`);
      }),
    );
}

function labelCommand(): Command {
  return subcommand('label', 'point a label at a version; requests that name none follow label "stable"')
    .argument('<model>')
    .argument('<label>')
    .argument('<version>', 'its number', versionFrom)
    .addOption(reasonOption())
    .option('--from <version>', 'only if it points there now', versionFrom)
    .action((model: string, label: string, version: number, flags: Flags & Because & { from?: number }) => {
      const { reason, from } = flags;
      const request = {
        version,
        ...(reason !== undefined && { reason }),
        ...(from !== undefined && { from }),
      };
      return changed(
        flags,
        ({ versions }) => versions.setLabel(model, label, request),
        () => `"${label}" of "${model}" points at version ${version}`,
      );
    });
}

function unlabelCommand(): Command {
  return subcommand('unlabel', 'unset a label')
    .argument('<model>')
    .argument('<label>')
    .addOption(reasonOption())
    .action((model: string, label: string, flags: Flags & Because) =>
      changed(
        flags,
        ({ versions }) => versions.unsetLabel(model, label, flags.reason),
        () => `"${label}" of "${model}" points nowhere`,
      ),
    );
}

function rollbackCommand(): Command {
  return subcommand('rollback', 'point a label at the version that it pointed at before')
    .argument('<model>')
    .argument('<label>')
    .addOption(reasonOption())
    .action((model: string, label: string, flags: Flags & Because) =>
      changed(
        flags,
        ({ versions }) => versions.rollBackLabel(model, label, flags.reason),
        ({ labels }) => `"${label}" of "${model}" points at version ${labels[label]?.version} again`,
      ),
    );
}

function policyCommand(): Command {
  return subcommand('policy', 'set which versions nodes load; those with labels are loaded always')
    .argument('<model>')
    .argument('<policy>', 'latest, latest:N, all, or specific:1,4,7', policyFrom)
    .action((model: string, policy: VersionPolicy, flags: Flags) =>
      changed(
        flags,
        ({ versions }) => versions.setPolicy(model, policy),
        (answer) => `policy of "${model}" is ${policyText(answer.policy)}`,
      ),
    );
}

const versionVerbs = {
  load: { does: 'load a version on every node, whatever the policy says', done: 'is loaded' },
  unload: { does: 'unload a version that no label points at', done: 'is not loaded any more' },
  remove: { does: 'forget a version that is neither labelled nor loaded', done: 'is gone' },
} as const;

function versionCommand(verb: keyof typeof versionVerbs): Command {
  const { does, done } = versionVerbs[verb];
  return subcommand(verb, does)
    .argument('<model>')
    .argument('<version>', 'its number', versionFrom)
    .action((model: string, version: number, flags: Flags) =>
      changed(
        flags,
        ({ versions }) => versions[verb](model, version),
        () => `version ${version} of "${model}" ${done}`,
      ),
    );
}

function subcommand(name: string, does: string): Command {
  return new Command(name).description(does).addOption(urlOption()).addOption(jsonOption());
}

function reasonOption(): Option {
  return new Option('--reason <text>', 'kept with the move');
}

const versionFrom = wholeNumber({ min: 1, max: Number.MAX_SAFE_INTEGER });

function collected(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

/** `latest`, `latest:3`, `all`, `specific:1,4`. */
export function policyFrom(text: string): VersionPolicy {
  const match = /^(?:(all)|latest(?::(\d{1,3}))?|specific:(\d+(?:,\d+)*))$/.exec(text);
  if (match === null) throw new InvalidArgumentError('wanted latest, latest:N, all or specific:1,4,7.');
  const [, all, count = '1', listed] = match;
  if (all !== undefined) return { type: 'all' };
  if (listed !== undefined) return { type: 'specific', versions: listed.split(',').map(Number) };
  return { type: 'latest', count: Number(count) };
}

async function changed(
  flags: Flags,
  change: (client: MillraceClient) => Promise<VersionsResponse>,
  text: (answer: VersionsResponse) => string,
): Promise<void> {
  await withClusterClient(flags.url, async (client) => {
    const answer = await change(client);
    say(flags, answer, () => text(answer));
  });
}

function say({ json }: Flags, value: object, text: () => string): void {
  process.stdout.write(`${json ? JSON.stringify(value) : text()}\n`);
}
