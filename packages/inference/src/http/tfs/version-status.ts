/** `model_version_status`: how versions stand, as TensorFlow Serving tells it. */
import { liveLabel, type ServedVersion } from '@millrace/protocol';
import type { ScoringService } from '../../scoring-service.ts';
import { listingOf } from '../../tensors/metadata.ts';
import { labelNamed, versionNamed } from '../../tensors/version-address.ts';

export interface VersionStatus {
  readonly version: string;
  readonly state: 'LOADING' | 'AVAILABLE' | 'END';
  readonly status: { readonly error_code: string; readonly error_message: string };
}

const states = {
  READY: 'AVAILABLE',
  LOADING: 'LOADING',
  FAILED: 'END',
  UNLOADED: 'END',
} as const satisfies Record<ServedVersion['state'], VersionStatus['state']>;

interface Named {
  readonly version?: string | undefined;
  readonly label?: string | undefined;
}

/** Where the version or the label that is named leads; undefined: none is. @throws MILL_VERSION_UNKNOWN */
export function lineNamed(service: ScoringService, model: string, { version = '', label }: Named) {
  return label === undefined
    ? versionNamed(service, model, version).address.version
    : labelNamed(service, model, label);
}

/**
 * Of the version or the label that is named; without a name, of all numbered versions, and of the live line where there are
 * none: its number is the sequence that it is at, which could be mistaken for theirs.
 * @throws MILL_MODEL_UNKNOWN, MILL_VERSION_UNKNOWN
 */
export function statusesOf(
  service: ScoringService,
  model: string,
  named: Named,
): { readonly statuses: readonly VersionStatus[] } {
  const listing = listingOf(service, model);
  const { versions = [] } = listing;
  const wanted = lineNamed(service, model, named);
  const live: VersionStatus = {
    version: String(listing.version),
    state: listing.ready ? 'AVAILABLE' : 'LOADING',
    status: { error_code: 'OK', error_message: '' },
  };
  if (wanted === liveLabel || versions.length === 0) return { statuses: [live] };
  const asked = wanted === undefined ? versions : versions.filter((one) => one.version === wanted);
  return { statuses: asked.map(statusOf) };
}

function statusOf({ version, state, reason }: ServedVersion): VersionStatus {
  const failed = state === 'FAILED';
  return {
    version: String(version),
    state: states[state],
    status: { error_code: failed ? 'UNAVAILABLE' : 'OK', error_message: failed ? reason : '' },
  };
}
