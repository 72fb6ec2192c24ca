/**
 * Rows of columns as score requests, one for each user in his context, and their answers back in the order of the rows.
 *
 * A tensor protocol gives each row all features; the core scores candidates of one user. Rows whose user- and context-scoped
 * values are the same travel in one request, so that what they share is hashed once.
 */
import {
  type Features,
  type FeatureValue,
  type ModelFile,
  type ScoreRequest,
  type ScoreResponse,
  scoreItemsMax,
} from '@millrace/protocol';
import { refusedPart } from '../refused-part.ts';
import { checkScoreRequest } from '../request-checks.ts';
import type { Caller, ScoringService } from '../scoring-service.ts';
import type { Column } from './columns.ts';
import { pathOf } from './tensor.ts';
import { servedAlone, versionNamed } from './version-address.ts';

/** One score request, and which rows its items are. */
export interface RowGroup {
  readonly user: Features;
  readonly context: Features;
  readonly items: readonly Features[];
  readonly places: readonly number[];
}

export interface RowGroups {
  readonly rows: number;
  /**
   * Of the scores: [n, 1] where every input of one value a row came so, as servers whose models have a batch dimension are
   * asked, and answer; else [n].
   */
  readonly shape: readonly number[];
  readonly groups: readonly RowGroup[];
}

/**
 * Groups rows by user and context, in the order in which each comes first.
 * @throws MILL_BAD_REQUEST when columns differ in length: item-scoped ones have a value a row, others that or one.
 */
export function groupsFrom(columns: readonly Column[]): RowGroups {
  const rows = columns.reduce((most, { values }) => Math.max(most, values.length), 0);
  if (rows === 0 || rows > scoreItemsMax)
    throw refusedPart('inputs', `1 to ${scoreItemsMax} rows`, String(rows));
  for (const { input, values } of columns) {
    if (values.length === rows || (values.length === 1 && input.scope !== 'item')) continue;
    const wanted = input.scope === 'item' ? `${rows} rows` : `1 or ${rows} rows`;
    throw refusedPart(pathOf(input.name), wanted, String(values.length));
  }
  const items = columns.filter(({ input }) => input.scope === 'item');
  const shared = columns.filter(({ input }) => input.scope !== 'item');
  const differing = shared.filter(({ values }) => values.length > 1);
  const groups = new Map<string, { first: number; places: number[] }>();
  for (let row = 0; row < rows; row += 1) {
    const key = differing.length === 0 ? '' : JSON.stringify(differing.map(({ values }) => values[row]));
    const group = groups.get(key);
    if (group) group.places.push(row);
    else groups.set(key, { first: row, places: [row] });
  }
  const scoped = (scope: 'user' | 'context', row: number) =>
    featuresOf(
      shared.filter(({ input }) => input.scope === scope),
      row,
    );
  const single = columns.filter(({ input }) => input.kind !== 'list');
  const isWide = single.length > 0 && single.every(({ dimensions }) => dimensions === 2);
  return {
    rows,
    shape: isWide ? [rows, 1] : [rows],
    groups: [...groups.values()].map(({ first, places }) => ({
      user: scoped('user', first),
      context: scoped('context', first),
      items: places.map((row) => featuresOf(items, row)),
      places,
    })),
  };
}

function featuresOf(columns: readonly Column[], row: number): Features {
  const entries: [string, FeatureValue][] = columns.map(({ input, values }) => [
    input.name,
    values[values.length === 1 ? 0 : row],
  ]);
  return Object.fromEntries(entries);
}

export interface RowScoring {
  readonly service: ScoringService;
  readonly file: ModelFile;
  /** Version that the caller names; '' : none. */
  readonly version: string;
  /** Or the label. */
  readonly label?: string;
  /** Logs impressions under this id, and where users differ under `<id>.<group>`; null: logs none. */
  readonly logAs: { readonly requestId: string | undefined } | null;
  readonly caller: Caller | undefined;
}

export interface RowScores {
  /** In the order of the rows. */
  readonly scores: Float32Array;
  /** Of the scores. */
  readonly shape: readonly number[];
  /** How each group was scored: an experiment may send users different ways, and a swap may fall between them. */
  readonly answers: readonly ScoreResponse[];
  /** The largest among the groups; null when one is not known. */
  readonly stalenessMs: number | null;
  readonly degraded: boolean;
}

/**
 * Scores all groups at once.
 * @throws what ScoringService.score throws, and MILL_VERSION_UNKNOWN
 */
export async function scoreRows(grouped: RowGroups, scoring: RowScoring): Promise<RowScores> {
  const { service, file, version, label, caller } = scoring;
  const { address, sequence } = versionNamed(service, file.name, version);
  const named = label === undefined ? address : { label };
  const requests = grouped.groups.map((group, g) => ({
    ...requestOf(group, g, grouped.groups.length, scoring),
    ...named,
  }));
  const answers = await Promise.all(requests.map((request) => service.score(request, caller)));
  const scores = new Float32Array(grouped.rows);
  for (const [g, answer] of answers.entries()) {
    const { places } = grouped.groups[g];
    for (const [i, place] of places.entries()) scores[place] = answer.scores[i];
  }
  const elsewhere = answers.find((answer) => sequence !== null && answer.version !== sequence);
  if (elsewhere !== undefined) throw servedAlone(file.name, version, elsewhere.version);
  const staleness = answers.map(({ stalenessMs }) => stalenessMs);
  return {
    scores,
    shape: grouped.shape,
    answers,
    stalenessMs: staleness.includes(null) ? null : Math.max(...(staleness as number[])),
    degraded: answers.some(({ degraded }) => degraded),
  };
}

function requestOf(group: RowGroup, g: number, groups: number, { file, logAs }: RowScoring): ScoreRequest {
  const { user, context, items } = group;
  const id = logAs?.requestId;
  const requestId = id === undefined || groups === 1 ? id : `${id}.${g}`;
  return checkScoreRequest({
    model: file.name,
    user,
    context,
    items,
    log: logAs !== null,
    ...(requestId !== undefined && { requestId }),
  });
}
