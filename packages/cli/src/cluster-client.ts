/** A client of the cluster that a command talks to, with the key and the authority that the environment names. */
import { readConfig, readTlsAuthority, securitySettings, systemClock } from '@millrace/runtime';
import { createMillraceClient, type MillraceClient, type MillraceClientOptions } from '@millrace/sdk';
import { cliSettings } from './cli-settings.ts';
import { clusterUrls } from './cluster-url.ts';

/** @throws MILL_CONFIG_INVALID naming MILL_TLS_CA where it cannot be used. */
export async function clusterClient(options: MillraceClientOptions): Promise<MillraceClient> {
  return createMillraceClient({ ...(await clusterAccess()), ...options });
}

/** Runs `work` with a client of the cluster that `url` names (cluster-url.ts), and closes it. */
export async function withClusterClient(
  url: string | undefined,
  work: (client: MillraceClient, urls: readonly string[]) => Promise<void>,
): Promise<void> {
  const urls = await clusterUrls(url);
  const client = await clusterClient({ url: urls });
  await work(client, urls).finally(() => client.close());
}

/** What a client shows and trusts. */
export async function clusterAccess(): Promise<Pick<MillraceClientOptions, 'apiKey' | 'ca'>> {
  const { apiKey } = readConfig(cliSettings, process.env);
  const { tlsCa } = readConfig(securitySettings, process.env);
  const { env: setting } = securitySettings.tlsCa;
  const authority =
    tlsCa === null ? null : await readTlsAuthority({ setting, path: tlsCa }, systemClock.now());
  return { ...(apiKey !== null && { apiKey }), ...(authority && { ca: authority.pem }) };
}
