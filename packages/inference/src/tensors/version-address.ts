/**
 * Versions as foreign protocols name them: a text in a path or a message. Numbers are those of the model's versions, `live` is
 * the live line. Where no version has that number, the sequence that the live line is at names it too: it is what answers say.
 */
import { liveLabel, MillraceError, type ModelListing, type VersionAddress } from '@millrace/protocol';
import { versionUnknown } from '@millrace/registry';
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
  if ((listing.versions ?? []).length === 0) throw servedAlone(model, version, listing.version);
  throw versionUnknown(model, `version ${shown(version)}`, foundIn(listing));
}

/** Where a label leads: a version, or the live line. @throws MILL_VERSION_UNKNOWN naming those that there are. */
export function labelNamed(service: ScoringService, model: string, label: string): number | typeof liveLabel {
  if (label === liveLabel) return liveLabel;
  const listing = service.models().find(({ name }) => name === model);
  const found = listing?.versions?.find(({ labels }) => labels.includes(label));
  if (found !== undefined) return found.version;
  throw versionUnknown(model, `label ${shown(label)}`, foundIn(listing));
}

/** The live line is not at the sequence that was named, or not any more. */
export function servedAlone(model: string, wanted: string, current: number): MillraceError {
  return new MillraceError(
    'MILL_VERSION_UNKNOWN',
    `model "${model}" is served at version ${current} alone, not at ${shown(wanted)}`,
    { details: { version: current } },
  );
}

function foundIn(listing: ModelListing | undefined) {
  const versions = listing?.versions ?? [];
  return {
    versions: versions.map(({ version }) => version),
    labels: versions.flatMap(({ labels }) => labels),
  };
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 40));
}
