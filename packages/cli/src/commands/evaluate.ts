/** `millrace evaluate`: what another policy would have earned, from a log with propensities. */
import { explorationFrom } from '@millrace/core';
import { type EngineName, engineNames } from '@millrace/model';
import { type ExplorationSpec, MillraceError } from '@millrace/protocol';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type EvaluatedPolicy, evaluateLog } from '../evaluate/evaluate-log.ts';
import { evaluationJson, evaluationText } from '../evaluate/evaluation-text.ts';
import { openProgressBar } from '../screen/progress-bar.ts';
import { learnerOf } from './backtest.ts';
import { explorationOption } from './exploration-option.ts';
import { tellLogReports } from './log-report.ts';
import {
  formatOption,
  jsonOption,
  type LogFlags,
  logFileArgument,
  strictOption,
  wholeNumber,
} from './options.ts';

interface EvaluateFlags extends LogFlags {
  readonly policy?: 'uniform' | 'logged';
  readonly model?: string;
  readonly from?: string;
  readonly exploration?: ExplorationSpec;
  readonly items?: string;
  readonly reward?: string;
  readonly propensity?: string;
  readonly action?: string;
  readonly position?: string;
  readonly clip?: number;
  readonly confidence: number;
  readonly resamples: number;
  readonly seed: number;
  readonly batch: number;
  readonly engine: 'auto' | EngineName;
  readonly json: boolean;
}

export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('estimate what another policy would have earned, from a log with propensities')
    .argument('<file>', logFileArgument)
    .addOption(
      new Option('--policy <policy>', 'policy to judge (default: uniform, or the model)')
        .choices(['uniform', 'logged'])
        .conflicts(['model', 'from', 'exploration']),
    )
    .option('--model <file>', 'judge what this model would have shown, learning along')
    .option('--from <folder>', 'the same, beginning with what `millrace train` left there')
    .addOption(explorationOption())
    .option('--items <file>', 'items to choose from, a row each (default: those of the log)')
    .option('--reward <column>', 'what an event earned (default: reward, click, clicked or label)')
    .option(
      '--propensity <column>',
      'probability that the item was shown (default: propensity, pscore, propensity_score, probability or prob)',
    )
    .option('--action <column>', 'the item shown (default: action, item, item_id, action_id or arm)')
    .option('--position <column>', 'where it was shown (default: position or slot, if there)')
    .option('--clip <weight>', 'count heavier events as this heavy', numberAbove0)
    .option('--confidence <share>', 'of intervals', share, 0.95)
    .option(
      '--resamples <n>',
      'of the bootstrap for SNIPS; 0: a normal interval',
      wholeNumber({ min: 0, max: 1_000_000 }),
      1_000,
    )
    .option('--seed <n>', 'of the bootstrap', wholeNumber({ min: 0, max: 0xffff_ffff }), 1)
    .option(
      '--batch <n>',
      'events of one gradient step of the model',
      wholeNumber({ min: 1, max: 1_000_000 }),
      1,
    )
    .addOption(
      new Option('--engine <name>', "what runs the model's net")
        .choices(['auto', ...engineNames])
        .default('auto'),
    )
    .addOption(formatOption())
    .addOption(strictOption())
    .addOption(jsonOption())
    .action(async (logPath: string, flags: EvaluateFlags) => {
      const policy = await policyFrom(flags);
      const bar = openProgressBar('evaluate');
      const name = nameOf(policy);
      // A model says itself which columns it learns from.
      const file = policy.type === 'model' ? policy.file : null;
      const { reward = file?.label, action = file?.item, propensity, position, confidence } = flags;
      const evaluation = await evaluateLog({
        logPath,
        itemsPath: flags.items,
        policy,
        names: { reward, propensity, action, position },
        format: flags.format,
        strict: flags.strict,
        clip: flags.clip ?? null,
        confidence,
        resamples: flags.resamples,
        seed: flags.seed,
        onProgress: (read, total) => bar.set(read, total, ''),
      }).finally(() => {
        bar.end();
        if (policy.type === 'model') policy.learner.dispose();
      });
      process.stdout.write(
        flags.json
          ? `${JSON.stringify(evaluationJson(name, confidence, evaluation))}\n`
          : `${evaluationText(name, confidence, evaluation)}\n`,
      );
      tellLogReports([evaluation.log]);
      for (const warning of evaluation.warnings) process.stderr.write(`warning: ${warning}\n`);
    });
}

async function policyFrom(flags: EvaluateFlags): Promise<EvaluatedPolicy> {
  if (flags.model === undefined && flags.from === undefined) {
    if (flags.exploration !== undefined)
      throw new MillraceError(
        'MILL_BAD_REQUEST',
        '--exploration is of a model: name one with --model or --from',
      );
    return { type: flags.policy ?? 'uniform' };
  }
  const learner = await learnerOf(flags);
  const exploration = explorationFrom(flags.exploration);
  return { type: 'model', file: learner.net.file, learner, exploration, batchExamples: flags.batch };
}

/** As the result says it: `uniform`, `model "shop", epsilon-greedy 0.05`. */
function nameOf(policy: EvaluatedPolicy): string {
  if (policy.type !== 'model') return policy.type;
  const { type, ...parameters } = policy.exploration;
  return [`model "${policy.file.name}", ${type}`, ...Object.values(parameters)].join(' ');
}

function numberAbove0(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('wanted a number above 0.');
}

function share(text: string): number {
  const value = Number(text);
  if (value > 0 && value < 1) return value;
  throw new InvalidArgumentError('wanted a number between 0 and 1.');
}
