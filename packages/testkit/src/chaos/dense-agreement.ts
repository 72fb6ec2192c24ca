/** Compares what all inference nodes answer once nothing is learned any more: the same dense version, the same scores. */
import { denseSubject, type ModelFile, modelNameFrom } from '@millrace/protocol';
import type { Bus } from '@millrace/runtime';
import { createMillraceClient } from '@millrace/sdk';
import { eventually } from '../eventually.ts';
import { sharedItems } from './chaos-load.ts';

const agreeMsMax = 20_000;

/** `equal`, or how the nodes differ. */
export async function compareNodes(urls: readonly string[], bus: Bus, file: ModelFile): Promise<string> {
  const head = await bus.headOf('dense', denseSubject(modelNameFrom(file.name)));
  const ask = async (url: string) => {
    const client = createMillraceClient({ url });
    try {
      const items = sharedItems.map((item) => ({ item }));
      const { version, scores } = await client.score({ model: file.name, items, log: false });
      return { url, version, scores: scores.join(' ') };
    } finally {
      await client.close();
    }
  };
  const check = async () => {
    const answers = await Promise.all(urls.map(ask));
    const behind = answers.filter(({ version }) => version !== head);
    if (behind.length > 0)
      throw new Error(behind.map(({ url, version }) => `${url} at version ${version} of ${head}`).join(', '));
    if (new Set(answers.map(({ scores }) => scores)).size > 1)
      throw new Error(`the nodes score differently at version ${head}`);
    return 'equal';
  };
  return eventually(check, { withinMs: agreeMsMax, everyMs: 500 }).catch((error: Error) => error.message);
}
