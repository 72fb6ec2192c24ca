/** `millrace score`: one request from the command line. */
import { readFileSync } from 'node:fs';
import { MillraceError, reasonFrom } from '@millrace/protocol';
import type { ScoreRequest } from '@millrace/sdk';
import { Command } from 'commander';
import { clusterClient } from '../cluster-client.ts';
import { clusterUrls } from '../cluster-url.ts';
import { jsonOption, urlOption } from './options.ts';

interface ScoreFlags {
  readonly url?: string;
  readonly json: boolean;
  readonly log: boolean;
}

export function scoreCommand(): Command {
  return new Command('score')
    .description('score one request')
    .argument(
      '<request>',
      'JSON of a score request, or - to read it from standard input, e.g. \'{"items":[{"item":"i1"}]}\'',
    )
    .option('--log', 'log the impression, so that outcomes can be learned', false)
    .addOption(urlOption())
    .addOption(jsonOption())
    .action(async (text: string, flags: ScoreFlags) => {
      const request = requestFrom(text === '-' ? readFileSync(0, 'utf8') : text);
      const client = await clusterClient({ url: await clusterUrls(flags.url) });
      try {
        const answer = await client.score({ log: flags.log, ...request });
        if (flags.json) process.stdout.write(`${JSON.stringify(answer)}\n`);
        else {
          answer.scores.forEach((score, i) => {
            process.stdout.write(`${score.toFixed(6)}  ${JSON.stringify(request.items[i])}\n`);
          });
          const staleness = answer.stalenessMs === null ? 'unknown' : `${Math.round(answer.stalenessMs)} ms`;
          process.stdout.write(`model ${answer.model} version ${answer.version}, staleness ${staleness}\n`);
        }
      } finally {
        await client.close();
      }
    });
}

function requestFrom(text: string): ScoreRequest {
  try {
    return JSON.parse(text) as ScoreRequest;
  } catch (cause) {
    throw new MillraceError('MILL_BAD_JSON', `the request is not JSON: ${reasonFrom(cause)}`, { cause });
  }
}
