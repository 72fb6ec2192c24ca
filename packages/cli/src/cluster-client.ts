/** A client of the cluster that a command talks to, with the key and the authority that the environment names. */
import { readConfig, readTlsAuthority, securitySettings, systemClock } from '@millrace/runtime';
import { createMillraceClient, type MillraceClient, type MillraceClientOptions } from '@millrace/sdk';
import { cliSettings } from './cli-settings.ts';

/** @throws MILL_CONFIG_INVALID naming MILL_TLS_CA where it cannot be used. */
export async function clusterClient(options: MillraceClientOptions): Promise<MillraceClient> {
  return createMillraceClient({ ...(await clusterAccess()), ...options });
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
