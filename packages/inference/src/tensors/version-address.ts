/**
 * Versions as foreign protocols name them: a text in a path or a message. Numbers are those of the model's versions, `live` is
 * the live line. Where no version has that number, the sequence that the live line is at names it too: it is what answers say.
 */
import { liveLabel, MillraceError, type ServedVersion, type VersionAddress } from '@millrace/protocol';
import type { ScoringService } from '../scoring-service.ts';

export interface NamedVersion {
  readonly address: VersionAddress;
  /** Dense sequence that the live line must be at when it answers; null: whichever. */
  readonly sequence: number | null;
}

/** @param version '' : none is named. @throws MILL_VERSION_UNKNOWN naming those that there are. */
export function versionNamed(service: ScoringService, model: string, version: string): NamedVersion {
  if (version === '') return { address: {}, sequence: null };
  if (version === liveLabel) return { address: { version: liveLabel }, sequence: null };
  const listing = service.models().find(({ name }) => name === model);
  const found = listing?.versions?.find((known) => String(known.version) === version);
  if (found !== undefined) return { address: { version: found.version }, sequence: null };
  if (listing === undefined || String(listing.version) === version)
    return { address: { version: liveLabel }, sequence: Number(version) };
  throw versionUnknown(model, version, listing.version, listing.versions);
}

export function versionUnknown(
  model: string,
  wanted: string,
  current: number,
  versions: readonly ServedVersion[] = [],
): MillraceError {
  const shown = JSON.stringify(wanted.slice(0, 40));
  if (versions.length === 0)
    return new MillraceError(
      'MILL_VERSION_UNKNOWN',
      `model "${model}" is served at version ${current} alone, not at ${shown}`,
      { details: { version: current } },
    );
  const there = [liveLabel, ...versions.map(({ version }) => version)];
  const labels = versions.flatMap((version) => version.labels).sort();
  return new MillraceError(
    'MILL_VERSION_UNKNOWN',
    `model "${model}" has no version ${shown}; there are versions ${there.join(', ')}, the live line at ${current}, and ${labels.length === 0 ? 'no labels' : `labels ${labels.join(', ')}`}`,
    { details: { version: current, versions: there, labels } },
  );
}

/** Where a label leads: a version, or the live line. @throws MILL_VERSION_UNKNOWN naming those that there are. */
export function labelNamed(service: ScoringService, model: string, label: string): number | typeof liveLabel {
  if (label === liveLabel) return liveLabel;
  const versions = service.models().find(({ name }) => name === model)?.versions ?? [];
  const found = versions.find(({ labels }) => labels.includes(label));
  if (found !== undefined) return found.version;
  const labels = versions.flatMap((version) => version.labels).sort();
  throw new MillraceError(
    'MILL_VERSION_UNKNOWN',
    `model "${model}" has no label ${JSON.stringify(label.slice(0, 40))}; there ${labels.length === 0 ? `is ${liveLabel} alone` : `are ${[liveLabel, ...labels].join(', ')}`}`,
    { details: { labels: [liveLabel, ...labels] } },
  );
}
