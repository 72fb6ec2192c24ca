/** Finds nats-server, or installs it, with the script that a fresh clone has. */
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { MillraceError, reasonFrom } from '@millrace/protocol';

/** @throws MILL_NATS_SERVER_MISSING with one sentence that says what to do. */
export async function natsServerPath(given: string | null, say: (line: string) => void): Promise<string> {
  if (given) return given;
  const script = fileURLToPath(new URL('../../../scripts/nats-server.mjs', import.meta.url));
  if (!existsSync(script)) {
    throw new MillraceError(
      'MILL_NATS_SERVER_MISSING',
      'set MILL_NATS_SERVER to the path of a nats-server 2.9 or later',
    );
  }
  const { findNatsServer } = await import(pathToFileURL(script).href);
  try {
    return await findNatsServer({ say });
  } catch (error) {
    throw new MillraceError('MILL_NATS_SERVER_MISSING', reasonFrom(error), { cause: error });
  }
}
