/** `millrace experiments`: what scores which share of the traffic, and what comes of it. */
import { readFile } from 'node:fs/promises';
import { MillraceError, reasonFrom } from '@millrace/protocol';
import type { ExperimentReport, ExperimentSpec, MillraceClient } from '@millrace/sdk';
import { Command, InvalidArgumentError, Option } from 'commander';
import { withClusterClient } from '../cluster-client.ts';
import { experimentsView, experimentView } from '../screen/experiments-view.ts';
import { jsonOption, urlOption } from './options.ts';

interface Flags {
  readonly url?: string;
  readonly json: boolean;
  readonly model?: string;
}
interface Because {
  readonly reason?: string;
}

export function experimentsCommand(): Command {
  const command = new Command('experiments').description(
    'start, watch, change and stop experiments: arms of traffic, each scored its own way',
  );
  command.addCommand(statusCommand(), { isDefault: true });
  for (const make of [startCommand, shareCommand, stopCommand]) command.addCommand(make());
  return command;
}

function statusCommand(): Command {
  return subcommand('status', 'how experiments do: all of them, or one with what may be said of it')
    .argument('[name]')
    .action((name: string | undefined, flags: Flags) =>
      withClusterClient(flags.url, async (client) => {
        if (name === undefined) {
          const experiments = await allOf(client, flags.model);
          say(flags, { experiments }, () => experimentsView(experiments));
        } else tell(flags, await found(client, name, flags.model));
      }),
    );
}

function startCommand(): Command {
  return subcommand('start', 'start an experiment')
    .argument('<file>', 'JSON, as docs/experiments.md says; - reads standard input')
    .action((file: string, flags: Flags) =>
      withClusterClient(flags.url, async (client) =>
        tell(flags, await client.experiments.start(await specFrom(file))),
      ),
    );
}

function shareCommand(): Command {
  return subcommand('share', 'change shares while it runs; as few units as possible change arms')
    .argument('<name>')
    .argument('<arm=share...>', 'such as b=0.2; arms that are not named keep theirs', sharesFrom)
    .addOption(reasonOption())
    .action((name: string, shares: Readonly<Record<string, number>>, flags: Flags & Because) =>
      withClusterClient(flags.url, async (client) => {
        const { model } = await found(client, name, flags.model);
        tell(flags, await client.experiments.setShares(model, name, shares, flags.reason));
      }),
    );
}

function stopCommand(): Command {
  return subcommand('stop', 'end an experiment')
    .argument('<name>')
    .option('--keep <arm>', 'what this arm scores with scores on, for everybody')
    .addOption(reasonOption())
    .action((name: string, flags: Flags & Because & { keep?: string }) =>
      withClusterClient(flags.url, async (client) => {
        const { keep, reason } = flags;
        const { model } = await found(client, name, flags.model);
        const why = { ...(keep !== undefined && { keep }), ...(reason !== undefined && { reason }) };
        tell(flags, await client.experiments.stop(model, name, why));
      }),
    );
}

function subcommand(name: string, does: string): Command {
  return new Command(name)
    .description(does)
    .addOption(urlOption())
    .addOption(new Option('--model <name>', 'the experiment’s model; looked for when absent'))
    .addOption(jsonOption());
}

function reasonOption(): Option {
  return new Option('--reason <text>', 'kept with the change');
}

/** @throws InvalidArgumentError unless it is `arm=share`. */
function sharesFrom(
  text: string,
  before?: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const match = /^([a-z][a-z0-9-]*)=(\d*\.?\d+)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('wanted ARM=SHARE, such as b=0.2.');
  return { ...before, [match[1]]: Number(match[2]) };
}

async function specFrom(file: string): Promise<ExperimentSpec> {
  try {
    const text = await readFile(file === '-' ? '/dev/stdin' : file, 'utf8');
    const spec = JSON.parse(text) as ExperimentSpec;
    if (typeof spec?.model === 'string') return spec;
  } catch (cause) {
    throw new MillraceError(
      'MILL_FILE_INVALID',
      `${file}: wanted an experiment as JSON: ${reasonFrom(cause)}`,
      {
        cause,
      },
    );
  }
  throw new MillraceError('MILL_FILE_INVALID', `${file}: wanted an experiment with "model", found none`);
}

async function allOf(
  client: MillraceClient,
  model: string | undefined,
): Promise<readonly ExperimentReport[]> {
  const models = model === undefined ? (await client.models()).map(({ name }) => name) : [model];
  return (await Promise.all(models.map((name) => client.experiments.list(name)))).flat();
}

/** @throws MILL_EXPERIMENT_UNKNOWN when there is none, or several models have one of that name. */
async function found(
  client: MillraceClient,
  name: string,
  model: string | undefined,
): Promise<ExperimentReport> {
  const all = await allOf(client, model);
  const named = all.filter((experiment) => experiment.name === name);
  if (named.length === 1) return named[0];
  const message =
    named.length === 0
      ? `there is no experiment "${name}"; there are: ${all.map((one) => one.name).join(', ') || 'none'}`
      : `models ${named.map((one) => one.model).join(' and ')} have an experiment "${name}": say which with --model`;
  throw new MillraceError('MILL_EXPERIMENT_UNKNOWN', message);
}

function tell(flags: Flags, report: ExperimentReport): void {
  say(flags, report, () => experimentView(report));
}

function say({ json }: Flags, value: object, text: () => string): void {
  process.stdout.write(`${json ? JSON.stringify(value) : text()}\n`);
}
