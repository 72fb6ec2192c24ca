/** The `millrace` command. Each subcommand stands in a file of its own under commands/. */
import { isMillraceError, reasonFrom } from '@millrace/protocol';
import { Command } from 'commander';
import { backtestCommand } from './commands/backtest.ts';
import { demoCommand } from './commands/demo.ts';
import { replayCommand } from './commands/replay.ts';
import { scoreCommand } from './commands/score.ts';
import { inferenceCommand, shardCommand, updaterCommand } from './commands/services.ts';
import { statusCommand } from './commands/status.ts';
import { upCommand } from './commands/up.ts';

const program = new Command('millrace')
  .description(
    'A parameter-server cluster for recommender models that scores and learns from clicks at the same time.',
  )
  .version('0.1.0')
  .showHelpAfterError('(try millrace --help)');

program.commandsGroup('Run a cluster here:');
program.addCommand(demoCommand()).addCommand(upCommand());
program.commandsGroup('Use a running cluster:');
program.addCommand(statusCommand()).addCommand(scoreCommand()).addCommand(replayCommand());
program.commandsGroup('Without a cluster:');
program.addCommand(backtestCommand());
program.commandsGroup('One process of a cluster (settings from MILL_… variables):');
program.addCommand(shardCommand()).addCommand(inferenceCommand()).addCommand(updaterCommand());

try {
  await program.parseAsync();
} catch (error) {
  const code = isMillraceError(error) ? `${error.code}: ` : '';
  process.stderr.write(`millrace: ${code}${reasonFrom(error)}\n`);
  if (!isMillraceError(error) && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
}
