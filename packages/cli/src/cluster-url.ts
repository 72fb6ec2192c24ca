/** Which cluster a command talks to. */
import { readConfig } from '@millrace/runtime';
import { cliSettings } from './cli-settings.ts';
import { runningClusterIn } from './supervisor/cluster-directory.ts';

/** --url, else MILL_URL, else the cluster that runs in this directory, else the default port on this machine. */
export async function clusterUrl(given: string | undefined): Promise<string> {
  const settings = readConfig(cliSettings, process.env);
  if (given ?? settings.url) return given ?? (settings.url as string);
  const running = await runningClusterIn(settings.dataDirectory);
  return running?.url ?? 'http://127.0.0.1:8080';
}
