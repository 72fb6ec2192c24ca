/** `millrace rank`: one request from the command line, answered with an order that explores. */
import type { ExplorationSpec, RankRequest } from '@millrace/sdk';
import { Command } from 'commander';
import { clusterClient } from '../cluster-client.ts';
import { clusterUrls } from '../cluster-url.ts';
import { explorationOption } from './exploration-option.ts';
import { jsonOption, urlOption, wholeNumber } from './options.ts';
import { scoreRequestFrom } from './score-request.ts';

interface RankFlags {
  readonly url?: string;
  readonly exploration?: ExplorationSpec;
  readonly count?: number;
  readonly json: boolean;
}

export function rankCommand(): Command {
  return new Command('rank')
    .description('rank one request: an order that explores, logged with its probabilities')
    .argument('<request>', 'JSON of a rank request, a file of it, or - to read it from standard input')
    .addOption(explorationOption())
    .option('--count <n>', 'items wanted (default: all)', wholeNumber({ min: 1, max: 2_000 }))
    .addOption(urlOption())
    .addOption(jsonOption())
    .action(async (given: string, flags: RankFlags) => {
      const { exploration, count } = flags;
      const request: RankRequest = {
        ...scoreRequestFrom(given),
        ...(exploration !== undefined && { exploration }),
        ...(count !== undefined && { count }),
      };
      const client = await clusterClient({ url: await clusterUrls(flags.url) });
      try {
        const answer = await client.rank(request);
        if (flags.json) {
          process.stdout.write(`${JSON.stringify(answer)}\n`);
          return;
        }
        for (const { index, score, propensity } of answer.ranking) {
          const item = JSON.stringify(request.items[index]);
          process.stdout.write(`${score.toFixed(6)}  p ${propensity.toFixed(4)}  index ${index}  ${item}\n`);
        }
        process.stdout.write(`request ${answer.requestId}, model ${answer.model}, ${answer.policy}\n`);
      } finally {
        await client.close();
      }
    });
}
