/** Which columns of a log are the label, the time, the user and the item: as said, or by their names. */
import type { FieldScope } from '@millrace/protocol';

/** Names that mean it, the likeliest first; compared without case. */
const labelNames = [
  ...['label', 'click', 'clicked', 'is_click', 'is_clicked', 'isclick', 'target', 'outcome'],
  ...['converted', 'conversion', 'is_conversion', 'purchase', 'purchased', 'response', 'y'],
];
const timeNames = [
  ...['timestamp', 'time', 'ts', 'datetime', 'date_time', 'event_time', 'event_timestamp', 'time_stamp'],
  ...['unix_time', 'created_at', 'date'],
];

export function guessLabel(columns: readonly string[]): string | null {
  return firstOf(columns, labelNames);
}

export function guessTimestamp(columns: readonly string[]): string | null {
  return firstOf(columns, timeNames);
}

function firstOf(columns: readonly string[], names: readonly string[]): string | null {
  for (const name of names) {
    const found = columns.find((column) => column.toLowerCase() === name);
    if (found !== undefined) return found;
  }
  return null;
}

const userKey =
  /^(user|usr|uid|u|member|customer|visitor|viewer|account|client|reader|device|cookie)([_\s.-]?(id|uuid|key|no|number))?$/i;
const itemKey =
  /^(item|ad|creative|product|movie|film|article|doc|document|video|song|track|book|sku|asin|listing|offer|banner|news|iid)([_\s.-]?(id|uuid|key|no|number))?$/i;
const userTrait =
  /^(user|usr|member|customer|visitor|viewer|account)[_\s.-]|^(age|gender|sex|occupation|zip|zip_?code|postcode|segment|education|income|marital.*)$/i;
const itemTrait =
  /^(item|ad|creative|product|movie|film|article|doc|video|song|book|campaign|advertiser|publisher|brand|seller)[_\s.-]|^(category|categories|genre|genres|tags|title|price|brand|campaign|advertiser|year|release_year|publisher|author|artist)$/i;

export interface Roles {
  readonly user: string | null;
  readonly item: string | null;
  readonly scopes: ReadonlyMap<string, FieldScope>;
  /** By column: why it has its scope. */
  readonly why: ReadonlyMap<string, string>;
}

/** Part of the records that may contradict before a column no longer counts as a trait of the key. */
const exceptionsMax = 0.02;
/** Records that share their key with an earlier one, before its traits show at all. */
const repeatsMin = 50;

/**
 * Where a score request will carry each column: with the user, with each item, or with the request. By name, and else by
 * structure: what is the same in all records of one user belongs to the user.
 * @param columns those that the model reads. @param records of the sample.
 */
export function rolesOf(
  columns: readonly string[],
  records: readonly Readonly<Record<string, unknown>>[],
): Roles {
  const user = columns.find((column) => userKey.test(column)) ?? null;
  const item = columns.find((column) => itemKey.test(column) && column !== user) ?? null;
  const scopes = new Map<string, FieldScope>();
  const why = new Map<string, string>();
  const place = (column: string, scope: FieldScope, reason: string) => {
    scopes.set(column, scope);
    why.set(column, reason);
  };
  for (const column of columns) {
    if (column === user) place(column, 'user', 'it names the user');
    else if (column === item) place(column, 'item', 'it names the item');
    else if (userTrait.test(column)) place(column, 'user', 'its name is of a user');
    else if (itemTrait.test(column)) place(column, 'item', 'its name is of an item');
    else if (item !== null && isTraitOf(column, item, records)) place(column, 'item', `it goes with ${item}`);
    else if (user !== null && isTraitOf(column, user, records)) place(column, 'user', `it goes with ${user}`);
    else place(column, 'context', 'nothing ties it to a user or an item');
  }
  return { user, item, scopes, why };
}

/** True when records of one key have one value of the column, and not merely since all records have. */
function isTraitOf(
  column: string,
  key: string,
  records: readonly Readonly<Record<string, unknown>>[],
): boolean {
  const values = new Map<unknown, string>();
  const usual = new Map<string, number>();
  let repeats = 0;
  let exceptions = 0;
  for (const record of records) {
    const value = JSON.stringify(record[column] ?? null);
    usual.set(value, (usual.get(value) ?? 0) + 1);
    const before = values.get(record[key]);
    if (before === undefined) values.set(record[key], value);
    else {
      repeats += 1;
      if (before !== value) exceptions += 1;
    }
  }
  let mostUsual = 0;
  for (const count of usual.values()) mostUsual = Math.max(mostUsual, count / records.length);
  return repeats >= repeatsMin && exceptions <= exceptionsMax * repeats && mostUsual < 1 - exceptionsMax;
}
