/** Which cluster a command talks to. */
import { readConfig } from '@millrace/runtime';
import { cliSettings } from './cli-settings.ts';
import { runningClusterIn } from './supervisor/cluster-directory.ts';

/**
 * The inference nodes to talk to: --url, else MILL_URL, both one or several with commas between, else those of the cluster
 * that runs in this directory, else the default port on this machine.
 */
export async function clusterUrls(given: string | undefined): Promise<readonly string[]> {
  const settings = readConfig(cliSettings, process.env);
  const said = given ?? settings.url;
  if (said) return said.split(',').map((url) => url.trim());
  const running = await runningClusterIn(settings.dataDirectory);
  return running?.urls ?? ['http://127.0.0.1:8080'];
}
