/** `millrace verify`: is what every owner holds what its log gives? */
import { MillraceError } from '@millrace/protocol';
import { Command } from 'commander';
import { modelIn } from '../history/history-source.ts';
import { createOwnerInspector } from '../history/inspect-owners.ts';
import { type ModelVerdict, verifyModel } from '../history/verify-model.ts';
import { colours } from '../screen/colours.ts';
import { openProgressBar } from '../screen/progress-bar.ts';
import { dataOption, modelOption, withHistory } from './open-history.ts';
import { jsonOption, wholeNumber } from './options.ts';

interface VerifyFlags {
  readonly model?: string;
  readonly partition?: number;
  readonly data?: string;
  readonly json: boolean;
}

interface VerifyResult {
  readonly verdicts: readonly ModelVerdict[];
  readonly damaged: readonly string[];
  readonly seconds: number;
}

export function verifyCommand(): Command {
  return new Command('verify')
    .description('fold snapshots and logs here and compare with what every owner holds')
    .addOption(modelOption())
    .option('--partition <number>', 'this partition alone', wholeNumber({ min: 0, max: 4_095 }))
    .addOption(dataOption())
    .addOption(jsonOption())
    .action(async (flags: VerifyFlags) => {
      const result = await verify(flags);
      process.stdout.write(flags.json ? `${JSON.stringify(jsonFrom(result))}\n` : `${textFrom(result)}\n`);
      const { differences } = summed(result);
      if (differences.length === 0) return;
      const worst = differences.find(({ code }) => code === 'MILL_STATE_DIVERGED') ?? differences[0];
      const where = `${worst.model}/${worst.partition}`;
      throw new MillraceError(
        worst.code,
        `${differences.length} differences, the first at ${where}: ${worst.message}`,
      );
    });
}

function verify(flags: VerifyFlags): Promise<VerifyResult> {
  return withHistory(flags, async (source) => {
    const startMs = source.clock.monotonicMs();
    const files =
      flags.model === undefined ? [...source.view.models.values()] : [modelIn(source, flags.model)];
    const inspector = createOwnerInspector(source);
    const verdicts: ModelVerdict[] = [];
    try {
      for (const file of files) {
        const bar = openProgressBar(`verifying ${file.name}`);
        try {
          verdicts.push(
            await verifyModel({
              source,
              inspector,
              file,
              partition: flags.partition ?? null,
              onProgress: (done, total, note) => bar.set(done, total, note),
            }),
          );
        } finally {
          bar.end();
        }
      }
    } finally {
      inspector.close();
    }
    return { verdicts, damaged: source.damaged, seconds: (source.clock.monotonicMs() - startMs) / 1_000 };
  });
}

function summed({ verdicts }: VerifyResult) {
  const sum = (of: (verdict: ModelVerdict) => number) =>
    verdicts.reduce((total, verdict) => total + of(verdict), 0);
  return {
    partitions: sum(({ partitions }) => partitions),
    compared: sum(({ compared }) => compared),
    owners: new Set(verdicts.flatMap(({ owners }) => owners)).size,
    rows: sum(({ rows }) => rows),
    sequence: Math.max(0, ...verdicts.map(({ sequence }) => sequence)),
    differences: verdicts.flatMap(({ differences }) => differences),
    notes: [...new Set(verdicts.flatMap(({ notes }) => notes))],
  };
}

function jsonFrom(result: VerifyResult) {
  const { differences, ...sums } = summed(result);
  return {
    equal: differences.length === 0,
    models: result.verdicts.map(({ model }) => model),
    ...sums,
    dense: result.verdicts.map(({ model, dense }) => ({ model, ...dense })),
    damaged: result.damaged,
    seconds: Math.round(1_000 * result.seconds) / 1_000,
    differences,
  };
}

function textFrom(result: VerifyResult): string {
  const { partitions, compared, owners, rows, sequence, differences, notes } = summed(result);
  const lines = differences.map(
    ({ model, partition, sequence: at, code, message }) =>
      `${colours.red('differs')}  ${`${model}/${partition}`.padEnd(16)} at ${String(at).padEnd(9)} ${code}: ${message}`,
  );
  const verdict =
    differences.length === 0 ? colours.green('equal') : colours.red(`${differences.length} differences`);
  lines.push(
    `${verdict}: ${partitions} partitions, ${compared} states of ${owners} owners, ${rows} rows, ` +
      `up to sequence ${sequence}, in ${result.seconds.toFixed(1)} s`,
  );
  for (const { model, dense } of result.verdicts) {
    lines.push(
      dense.compared === 'snapshots'
        ? `dense weights of ${model}: the updater's snapshots and the log compared at ${dense.sequence}; inference nodes tell no hash of theirs`
        : `dense weights of ${model}: nothing to compare`,
    );
  }
  for (const each of result.damaged) lines.push(`${colours.yellow('damaged snapshot')}  ${each}`);
  for (const note of notes) lines.push(`${colours.yellow('not compared')}  ${note}`);
  return lines.join('\n');
}
