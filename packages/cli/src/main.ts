/**
 * The `millrace` command. Each subcommand stands in a file of its own under commands/; only the one that is asked for is
 * loaded, since engines and servers take a second of processor time to load that `status` has no use for.
 */
import { isMillraceError, reasonFrom } from '@millrace/protocol';
import { Command } from 'commander';

const services = () => import('./commands/services.ts');

/** Headings of the help text, and below each its subcommands. */
const groups: Readonly<Record<string, Readonly<Record<string, () => Promise<Command>>>>> = {
  'Run a cluster here:': {
    demo: async () => (await import('./commands/demo.ts')).demoCommand(),
    up: async () => (await import('./commands/up.ts')).upCommand(),
  },
  'Use a running cluster:': {
    status: async () => (await import('./commands/status.ts')).statusCommand(),
    shards: async () => (await import('./commands/shards.ts')).shardsCommand(),
    score: async () => (await import('./commands/score.ts')).scoreCommand(),
    rank: async () => (await import('./commands/rank.ts')).rankCommand(),
    replay: async () => (await import('./commands/replay.ts')).replayCommand(),
    experiments: async () => (await import('./commands/experiments.ts')).experimentsCommand(),
    models: async () => (await import('./commands/models.ts')).modelsCommand(),
    import: async () => (await import('./commands/import.ts')).importCommand(),
  },
  'Look at the past of a cluster:': {
    verify: async () => (await import('./commands/verify.ts')).verifyCommand(),
    at: async () => (await import('./commands/at.ts')).atCommand(),
    explain: async () => (await import('./commands/explain.ts')).explainCommand(),
    export: async () => (await import('./commands/export.ts')).exportCommand(),
    decisions: async () => (await import('./commands/decisions.ts')).decisionsCommand(),
  },
  'Without a cluster:': {
    keys: async () => (await import('./commands/keys.ts')).keysCommand(),
    certs: async () => (await import('./commands/certs.ts')).certsCommand(),
    init: async () => (await import('./commands/init.ts')).initCommand(),
    backtest: async () => (await import('./commands/backtest.ts')).backtestCommand(),
    train: async () => (await import('./commands/train.ts')).trainCommand(),
    compress: async () => (await import('./commands/compress.ts')).compressCommand(),
    tune: async () => (await import('./commands/tune.ts')).tuneCommand(),
    evaluate: async () => (await import('./commands/evaluate.ts')).evaluateCommand(),
  },
  'One process of a cluster (settings from MILL_… variables):': {
    shard: async () => (await services()).shardCommand(),
    inference: async () => (await services()).inferenceCommand(),
    updater: async () => (await services()).updaterCommand(),
  },
};

const program = new Command('millrace')
  .description(
    'A parameter-server cluster for recommender models that scores and learns from clicks at the same time.',
  )
  .version('0.1.0')
  .showHelpAfterError('(try millrace --help)');

/** Loads the subcommand named, or all of them where none is: then help is asked for, or a name is misspelt. */
async function addCommands(named: string | undefined): Promise<void> {
  const isKnown = Object.values(groups).some((group) => named !== undefined && Object.hasOwn(group, named));
  for (const [heading, commands] of Object.entries(groups)) {
    program.commandsGroup(heading);
    for (const [name, load] of Object.entries(commands)) {
      if (!isKnown || name === named) program.addCommand(await load());
    }
  }
}

try {
  await addCommands(process.argv[2]);
  await program.parseAsync();
} catch (error) {
  const code = isMillraceError(error) ? `${error.code}: ` : '';
  process.stderr.write(`millrace: ${code}${reasonFrom(error)}\n`);
  if (!isMillraceError(error) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
}
