/** What `millrace models` shows: pure functions from answers to lines of text. */
import type { ModelListing, VersionListing, VersionRecord, VersionsResponse } from '@millrace/sdk';
import { colours } from './colours.ts';
import { type Cell, textTable } from './text-table.ts';

export interface ModelVersions {
  readonly listing: ModelListing;
  readonly versions: VersionsResponse;
}

/** All models, each with its live line and versions. */
export function modelsView(url: string, models: readonly ModelVersions[]): string {
  if (models.length === 0) return `no models at ${url}`;
  return models.map(versionsView).join('\n\n');
}

export function versionsView({ listing, versions: { policy, versions } }: ModelVersions): string {
  const live: readonly Cell[] = [
    'live',
    '',
    listing.ready ? { text: 'ready', paint: colours.green } : 'loading',
    'learning',
    '',
    String(listing.version),
    '',
    '',
    '',
    '',
  ];
  return [
    `${colours.bold(listing.name)}  policy ${policyText(policy)}`,
    ...textTable([
      ['version', 'labels', 'state', 'kind', 'parent', 'sequence', 'examples', 'logloss', 'made', 'note'],
      live,
      ...[...versions].reverse().map(rowOf),
    ]),
    ...versions
      .filter(({ reason }) => reason !== '')
      .map(({ version, reason }) => `version ${version}: ${reason}`),
  ].join('\n');
}

/** One version in full. */
export function versionView(record: VersionRecord, listing: VersionListing | undefined): string {
  const { sequences, data, metrics, weights, file } = record;
  const rows: readonly (readonly [string, string])[] = [
    ['model', record.model],
    ['version', String(record.version)],
    ['labels', listing?.labels.join(', ') || 'none'],
    ['state', listing === undefined ? 'not known' : listing.state.toLowerCase()],
    ['kind', record.kind],
    ['parent', record.parent === null ? 'none' : String(record.parent)],
    ['made', timeText(record.createdMs)],
    ['code', record.code],
    ['note', record.note || 'none'],
    ['weights', `${weights.floats} float32, SHA-256 ${weights.sha256}`],
    ['net', JSON.stringify(file.net)],
    ['dense sequence', String(sequences.dense)],
    [
      'gradient sequence',
      sequences.gradients.length === 0 ? 'not told' : String(Math.max(...sequences.gradients)),
    ],
    ['event sequence', sequences.events === 0 ? 'not told' : String(sequences.events)],
    ['events', `${timeText(data.firstEventMs)} to ${timeText(data.lastEventMs)}`],
    ['examples', String(data.examples)],
    ...Object.entries(metrics ?? {}).map(
      ([window, { logloss, auc, calibration, count }]) =>
        [
          `last ${window}`.replace('last start', 'since the start'),
          `logloss ${figure(logloss)}, AUC ${figure(auc)}, calibration ${figure(calibration)} over ${Math.round(count)}`,
        ] as const,
    ),
  ];
  return textTable([['', ''], ...rows])
    .slice(1)
    .join('\n');
}

export function policyText(policy: VersionsResponse['policy']): string {
  switch (policy.type) {
    case 'all':
      return 'all';
    case 'latest':
      return `latest ${policy.count}`;
    case 'specific':
      return `specific ${policy.versions.join(',') || 'none'}`;
  }
}

function rowOf(listing: VersionListing): readonly Cell[] {
  const { version, labels, state, kind, parent, sequences, data, metrics, createdMs, note } = listing;
  return [
    String(version),
    labels.join(','),
    stateCell(state),
    kind,
    parent === null ? '' : String(parent),
    String(sequences.dense),
    String(data.examples),
    figure(metrics?.hour.logloss ?? null),
    timeText(createdMs),
    note,
  ];
}

function stateCell(state: VersionListing['state']): Cell {
  const text = state.toLowerCase();
  if (state === 'READY') return { text, paint: colours.green };
  return state === 'FAILED' ? { text, paint: colours.red } : text;
}

function figure(value: number | null): string {
  return value === null ? '–' : value.toFixed(4);
}

function timeText(ms: number | null): string {
  return ms === null ? '–' : new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
