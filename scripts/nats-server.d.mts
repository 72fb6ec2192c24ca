/** Types of nats-server.mjs. */
export interface FindOptions {
  /** Gets one line for each thing that takes a while. */
  readonly say: (line: string) => void;
  /** `false` only looks; nothing is fetched. Default true. */
  readonly allowInstall?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where a copy of the project's own goes. */
  readonly directory?: string;
}

export interface ReleaseAsset {
  /** Name of the archive without `.tar.gz`, and of the folder in it. */
  readonly name: string;
  readonly url: string;
  readonly sha256: string;
}

export const cacheDirectory: string;
export const versionWanted: string;
export const release: { readonly version: string; readonly sha256: Readonly<Record<string, string>> };
export function findNatsServer(options: FindOptions): Promise<string>;
export function candidatesFrom(path: string, directory: string): readonly string[];
export function isVersionEnough(version: string, wanted?: string): boolean;
export function assetFor(platform: string, architecture: string): ReleaseAsset | null;
export function assertChecksum(file: string, sha256: string): Promise<void>;
export function installRelease(asset: ReleaseAsset, directory: string): Promise<string>;
