/**
 * Settings of a service, from one table: the table gives the type, the checks, the help and the documentation. Values come
 * from the caller first (a command line), then from the environment, then from the table.
 */
import { invariant, MillraceError } from '@millrace/protocol';
import type { SettingParser } from './config-parsers.ts';

export interface Setting<Value> {
  /** Name in the environment, `MILL_` and then capitals, digits and underscores. */
  readonly env: string;
  readonly parser: SettingParser<Value>;
  /** Null: may be absent, and is null then. Left out: must be given. */
  readonly default?: Value | null;
  /** Its value is told to nobody, not even where it cannot be used. */
  readonly isSecret?: true;
  /** Unit of the value: ms, bytes, rows, … */
  readonly unit?: string;
  /** One sentence that says what it does. */
  readonly sentence: string;
}

type AnySetting = Setting<unknown>;
// Methods of a parser take its own value type, so a table is checked setting by setting, not as Setting<unknown>.
export type ConfigTable = Readonly<Record<string, Omit<AnySetting, 'parser'> & { readonly parser: object }>>;

type ValueOf<One> = One extends { readonly parser: SettingParser<infer Value> }
  ? One extends { readonly default: null }
    ? Value | null
    : Value
  : never;

/** Type of the settings that a table describes. */
export type ConfigOf<Table> = { readonly [Key in keyof Table]: ValueOf<Table[Key]> };
export type Environment = Readonly<Record<string, string | undefined>>;

/** One line of the documentation. */
export interface ConfigRow {
  readonly key: string;
  readonly env: string;
  readonly wanted: string;
  /** As text; `none` when absent, `required` when it must be given. */
  readonly default: string;
  readonly unit: string;
  readonly sentence: string;
}

const envPattern = /^MILL_[A-Z][A-Z0-9_]*$/;

/** Checks a table once, where it is written: names, uniqueness, and that each default is a value of its own setting. */
export function defineConfig<const Table extends ConfigTable>(table: Table): Table {
  const names = new Set<string>();
  for (const [key, setting] of settingsOf(table)) {
    invariant(
      envPattern.test(setting.env),
      `setting "${key}" is named MILL_… in the environment, got "${setting.env}"`,
    );
    invariant(!names.has(setting.env), `setting "${setting.env}" stands twice`);
    names.add(setting.env);
    const standard = setting.default;
    if (standard === undefined || standard === null) continue;
    const text = setting.parser.format(standard);
    invariant(
      setting.parser.parse(text) !== undefined,
      `default of "${key}" must be ${setting.parser.wanted}, got "${text}"`,
    );
  }
  return table;
}

/**
 * Reads the settings of a table into a frozen object. An empty variable counts as absent.
 * @param overrides values that win over the environment, checked like it.
 * @throws MILL_CONFIG_INVALID naming the setting, what it takes and what was found.
 */
export function readConfig<const Table extends ConfigTable>(
  table: Table,
  env: Environment,
  overrides: Partial<ConfigOf<Table>> = {},
): ConfigOf<Table> {
  const values: Record<string, unknown> = {};
  const given = overrides as Readonly<Record<string, unknown>>;
  for (const [key, setting] of settingsOf(table)) {
    const override = given[key];
    if (override !== undefined && override !== null) {
      values[key] = parsed(setting, key, setting.parser.format(override));
    } else if (override === null && setting.default === null) {
      values[key] = null;
    } else {
      const text = env[setting.env];
      values[key] = text ? parsed(setting, setting.env, text) : absent(setting);
    }
  }
  return Object.freeze(values) as ConfigOf<Table>;
}

/** Names of `MILL_` variables that no table knows, sorted; most likely misspelt. */
export function unknownSettings(tables: readonly ConfigTable[], env: Environment): readonly string[] {
  const known = new Set(tables.flatMap((table) => settingsOf(table).map(([, setting]) => setting.env)));
  return Object.keys(env)
    .filter((name) => name.startsWith('MILL_') && !known.has(name))
    .sort();
}

/** The table as lines of documentation, in its own order. */
export function describeConfig(table: ConfigTable): readonly ConfigRow[] {
  return settingsOf(table).map(([key, setting]) => ({
    key,
    env: setting.env,
    wanted: setting.parser.wanted,
    default: defaultText(setting),
    unit: setting.unit ?? '',
    sentence: setting.sentence,
  }));
}

function settingsOf(table: ConfigTable): [string, AnySetting][] {
  return Object.entries(table) as [string, AnySetting][];
}

function parsed(setting: AnySetting, name: string, text: string): unknown {
  const value = setting.parser.parse(text);
  if (value !== undefined) return Object.freeze(value);
  const found = setting.isSecret ? `another text of ${text.length} characters` : `"${text}"`;
  throw new MillraceError('MILL_CONFIG_INVALID', `${name} must be ${setting.parser.wanted}, got ${found}`, {
    details: { setting: setting.env },
  });
}

function absent(setting: AnySetting): unknown {
  if (setting.default !== undefined) return setting.default;
  throw new MillraceError(
    'MILL_CONFIG_INVALID',
    `${setting.env} must be ${setting.parser.wanted}, got nothing`,
    {
      details: { setting: setting.env },
    },
  );
}

function defaultText(setting: AnySetting): string {
  if (setting.default === undefined) return 'required';
  return setting.default === null ? 'none' : setting.parser.format(setting.default);
}
