/** `millrace up`: a cluster on this machine, without traffic. */
import { Command } from 'commander';
import { runDemo, withClusterOptions } from './demo.ts';

export function upCommand(): Command {
  return withClusterOptions(
    new Command('up').description('start a cluster here: nats-server, shards, inference nodes, one updater'),
  ).action((flags) => runDemo({ ...flags, traffic: 'off', rate: 1, seed: 0 }));
}
