/**
 * From a log to a model file: profile → what each column can be → screening → trials → the file, with the reasons.
 */
import { parseModelFile } from '@millrace/model';
import { fieldsMax, type ModelFile, reasonFrom } from '@millrace/protocol';
import { fileInvalid } from '../log-file/index.ts';
import { buildModel, type Choices, type ModelParts } from './build-model.ts';
import { columnUses } from './column-uses.ts';
import { type LogProfile, type ProfileOptions, profileLog } from './log-profile.ts';
import type { Roles } from './log-roles.ts';
import { rolesOf } from './log-roles.ts';
import { withTrials } from './run-trial.ts';
import { type ScreenedColumn, screenColumns } from './screen-columns.ts';
import { type ScreenedPair, screenPairs } from './screen-pairs.ts';
import { firstChoices, searchChoices, type Trial } from './search-choices.ts';

export interface InitOptions extends Omit<ProfileOptions, 'onProgress'> {
  readonly path: string;
  readonly name: string;
  /** Backtests, at most; 0: the first choices stand. */
  readonly trialsMax: number;
  readonly onProgress: (done: number, total: number, what: string) => void;
}

export interface InitResult {
  readonly file: ModelFile;
  readonly profile: LogProfile;
  readonly columns: readonly ScreenedColumn[];
  readonly roles: Roles;
  readonly pairs: readonly ScreenedPair[];
  readonly choices: Choices;
  /** Those of the sample; empty without trials. */
  readonly trials: readonly Trial[];
}

/** Room for crosses beside the fields. */
const fieldsKept = fieldsMax - 16;
/** Below so many different values in all, fewer partitions batch better. */
const fewRows = 200_000;

/** @throws MILL_FILE_INVALID as profileLog, and for a log that leaves no column to learn from. */
export async function initModel(options: InitOptions): Promise<InitResult> {
  const { path, onProgress } = options;
  const profile = await profileLog(path, {
    ...options,
    onProgress: (read, total) => onProgress(read, total, 'reading'),
  });
  const columns = atMost(screenColumns(columnUses(profile), profile.sample), fieldsKept);
  const used = columns.filter(({ use }) => use.kind !== 'left-out');
  if (used.length === 0) {
    const found = `${columns.length} columns, all left out: ${columns.map(({ use }) => `${use.column} (${use.why})`).join(', ')}`;
    throw fileInvalid({ file: path }, 'a column to learn from', found.slice(0, 500));
  }
  const roles = rolesOf(
    used.map(({ use }) => use.column),
    profile.sample.records,
  );
  const pairs = screenPairs(used, profile.sample);
  const parts: ModelParts = {
    name: options.name,
    label: profile.label,
    timestamp: profile.timestamp,
    item: itemOf(roles, used),
    partitions: rowsOf(used) < fewRows ? 16 : 64,
    columns,
    scopes: roles.scopes,
    startLogit: logitOf(profile.positives / profile.events),
  };
  const { choices, trials } = await choose(parts, pairs, profile, options);
  return { file: checked(parts, choices, path), profile, columns, roles, pairs, choices, trials };
}

async function choose(
  parts: ModelParts,
  pairs: readonly ScreenedPair[],
  profile: LogProfile,
  options: InitOptions,
): Promise<{ choices: Choices; trials: readonly Trial[] }> {
  const { trialsMax, onProgress } = options;
  if (trialsMax === 0) return { choices: firstChoices(parts, pairs), trials: [] };
  return withTrials(profile.sample, (run) =>
    searchChoices(parts, pairs, {
      run,
      rate: profile.positives / profile.events,
      trialsMax,
      onTrial: (done) => onProgress(done, trialsMax, 'trials'),
    }),
  );
}

/** The file as whoever reads it will check it; a log that leads to a broken one is a bug here, told with its reason. */
function checked(parts: ModelParts, choices: Choices, path: string): ModelFile {
  try {
    return parseModelFile(buildModel(parts, choices));
  } catch (error) {
    throw fileInvalid({ file: path }, 'a log that a model file can be made for', reasonFrom(error), error);
  }
}

/** Leaves out the columns that said least where a model may not have so many fields. Lists stay. */
function atMost(columns: readonly ScreenedColumn[], fields: number): readonly ScreenedColumn[] {
  const used = columns.filter(({ use }) => use.kind !== 'left-out');
  if (used.length <= fields) return columns;
  const rank = ({ gain }: ScreenedColumn) => (Number.isNaN(gain) ? Number.POSITIVE_INFINITY : gain);
  const kept = new Set([...used].sort((a, b) => rank(b) - rank(a)).slice(0, fields));
  const why = `a model has ${fieldsMax} fields and crosses at most, and others say more`;
  return columns.map((column) =>
    column.use.kind === 'left-out' || kept.has(column)
      ? column
      : { ...column, use: { kind: 'left-out', column: column.use.column, why } },
  );
}

/** The item's column, where it is one value a record: only then can outcomes name candidates by it. */
function itemOf(roles: Roles, used: readonly ScreenedColumn[]): string | null {
  const column = used.find(({ use }) => use.column === roles.item);
  return column?.use.kind === 'value' ? roles.item : null;
}

function rowsOf(used: readonly ScreenedColumn[]): number {
  return used.reduce((rows, { use }) => rows + (use.kind === 'value' ? use.distinct : 0), 0);
}

/** Six digits: more would say nothing. */
function logitOf(rate: number): number {
  return Number(Math.log(rate / (1 - rate)).toFixed(4));
}
