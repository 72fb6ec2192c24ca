/** `millrace explain`: computes a logged score again, and tells what came of it. */
import { type EngineName, engineNames } from '@millrace/model';
import { MillraceError } from '@millrace/protocol';
import { Command, Option } from 'commander';
import { type Explanation, explainRequest } from '../history/explain-request.ts';
import { modelIn } from '../history/history-source.ts';
import { colours } from '../screen/colours.ts';
import { openProgressBar } from '../screen/progress-bar.ts';
import { dataOption, modelOption, withHistory } from './open-history.ts';
import { jsonOption } from './options.ts';

interface ExplainFlags {
  readonly model?: string;
  readonly engine?: EngineName;
  readonly data?: string;
  readonly json: boolean;
}

export function explainCommand(): Command {
  return new Command('explain')
    .description(
      'compute a logged score again, bit for bit; nearly so where the node kept rows in float16 or int8',
    )
    .argument('<request id>', 'requestId of a score that was logged')
    .addOption(modelOption())
    .addOption(
      new Option('--engine <engine>', 'engine (default: the one that scored it)').choices(engineNames),
    )
    .addOption(dataOption())
    .addOption(jsonOption())
    .action(async (requestId: string, flags: ExplainFlags) => {
      const explained = await explain(requestId, flags);
      process.stdout.write(
        flags.json ? `${JSON.stringify(jsonFrom(explained))}\n` : `${textFrom(explained)}\n`,
      );
      const { equal, engine, found, promise } = explained;
      const isExpected =
        promise === 'near' || found.impression.degraded || engine !== found.impression.engine;
      if (equal || isExpected) return;
      throw new MillraceError(
        'MILL_STATE_DIVERGED',
        `the log gives other scores than request ${requestId} got`,
      );
    });
}

function explain(requestId: string, flags: ExplainFlags): Promise<Explanation> {
  return withHistory(flags, async (source) => {
    const scan = openProgressBar('reading events');
    const fold = openProgressBar('folding');
    try {
      return await explainRequest({
        source,
        file: modelIn(source, flags.model),
        requestId,
        engine: flags.engine ?? null,
        onScan: (sequence, through) => {
          scan.set(sequence, through, `event ${sequence} of ${through}`);
          if (sequence === through) scan.end();
        },
        onFold: (done, total) => fold.set(done, total, `${done} of ${total} partitions`),
      });
    } finally {
      scan.end();
      fold.end();
    }
  });
}

function jsonFrom({ found, ...explained }: Explanation) {
  const { impression, sequence, outcomes, learned, isOpen } = found;
  return {
    requestId: impression.requestId,
    timeMs: impression.timeMs,
    eventSequence: sequence,
    degraded: impression.degraded === true,
    ...(impression.policy !== undefined && { policy: impression.policy }),
    ...explained,
    items: explained.items.map((item) => ({ ...item, item: impression.items[item.index] })),
    outcomes: outcomes.map(({ sequence: at, outcome, refused }) => ({
      eventSequence: at,
      ...outcome,
      refused,
    })),
    learned,
    isOpen,
  };
}

function textFrom(explained: Explanation): string {
  const { found, items, engine, version, reads, partitions, remarks } = explained;
  const { impression, sequence, outcomes, learned, isOpen } = found;
  const sequences = reads.map((read) => read.sequence);
  const lines = [
    `${colours.bold(impression.requestId)} scored ${new Date(impression.timeMs).toISOString()} by ${engine}, dense version ${version}; event ${sequence}`,
    `rows of ${partitions} partitions at sequences ${Math.min(...sequences)} to ${Math.max(...sequences)}`,
    ...(impression.policy === undefined ? [] : [`ranked by ${impression.policy}, in this order`]),
    '',
    colours.dim('item  logged      recomputed'),
    ...items.map(({ index, requested, propensity, logged, recomputed, equal: same, effects }) => {
      const drawn = propensity === null ? '' : colours.dim(`  p ${propensity.toFixed(4)}`);
      const verdict = same ? colours.green('equal') : colours.red('differs');
      const item = JSON.stringify(impression.items[index]);
      return `${String(requested).padEnd(4)}  ${logged.toFixed(8)}  ${recomputed.toFixed(8)}  ${verdict}${drawn}  ${item}${effectsText(effects)}`;
    }),
    '',
    verdictOn(explained),
    ...remarks,
    ...outcomes.map(({ outcome, refused }) => {
      const which = outcome.item === undefined ? `item ${outcome.index}` : `"${outcome.item}"`;
      const what = outcome.value === 1 ? 'a click' : 'no click';
      const delay = outcome.timeMs - impression.timeMs;
      return `Told ${(delay / 1_000).toFixed(1)} s later: ${what} on ${which}${refused ? `, which taught nothing: ${refused}` : ''}.`;
    }),
    learnedText(learned, isOpen),
  ];
  return lines.join('\n');
}

function verdictOn({ equal, promise, differenceMax }: Explanation): string {
  if (equal) return colours.green('Every score is the same to the bit.');
  const apart = `the largest difference is ${differenceMax.toPrecision(2)}`;
  return promise === 'near'
    ? colours.yellow(`The scores are near, not the same to the bit: ${apart}.`)
    : colours.yellow(`The scores are not all the same: ${apart}.`);
}

function effectsText(effects: Readonly<Record<string, number>> | null): string {
  if (effects === null) return '';
  const parts = Object.entries(effects)
    .sort(([, a], [, b]) => Math.abs(b) - Math.abs(a))
    .slice(0, 5)
    .map(([field, change]) => `${field} ${change > 0 ? '+' : ''}${change.toFixed(3)}`);
  return parts.length === 0 ? '' : `\n      ${colours.dim(parts.join(', '))}`;
}

function learnedText(learned: Explanation['found']['learned'], isOpen: boolean): string {
  const clicks = learned.filter(({ clicked }) => clicked === 1);
  const waiting = learned.filter(({ isPublished }) => !isPublished).length;
  const still = isOpen ? '; its join window is still open' : '';
  const queued = waiting > 0 ? `, ${waiting} of them not in a batch yet` : '';
  return `Learned: ${clicks.length} clicked, ${learned.length - clicks.length} not${queued}${still}.`;
}
