/** Access by the keys of a file, which is read again once a second: who adds or removes a key restarts nothing. */
import { readFile } from 'node:fs/promises';
import { MillraceError, reasonFrom } from '@millrace/protocol';
import { type Access, createKeyedAccess } from './access.ts';
import { type ApiKey, apiKeysFrom } from './api-keys.ts';
import type { Clock } from './clock.ts';

export interface KeyFile extends Access {
  /** Reads the file now, as it is done every second. What cannot be used is logged once, and the keys before it stay. */
  reread(): Promise<void>;
  close(): Promise<void>;
}

/** Where changes and faults are told; a pino logger is one. */
interface Told {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface KeyFileOptions {
  /** Names the file in messages. */
  readonly setting: string;
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Told;
}

const rereadMs = 1_000;

/** @throws MILL_CONFIG_INVALID when the file cannot be read or used at the start. */
export async function openKeyFile({ setting, path, clock, logger }: KeyFileOptions): Promise<KeyFile> {
  const place = `${setting} (${path})`;
  let text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new MillraceError('MILL_CONFIG_INVALID', `${place} cannot be read: ${reasonFrom(cause)}`, {
      cause,
    });
  });
  const access = createKeyedAccess(apiKeysFrom(text, place), clock);
  let fault = '';
  let closed = false;

  const noteFault = (reason: string) => {
    if (reason !== fault) logger.error({ reason }, 'api keys not read, those before stay');
    fault = reason;
  };
  const reread = async () => {
    try {
      const now = await readFile(path, 'utf8');
      if (now !== text) {
        const keys: readonly ApiKey[] = apiKeysFrom(now, place);
        access.replace(keys);
        text = now;
        logger.info({ keys: keys.length }, 'api keys changed');
      }
      fault = '';
    } catch (error) {
      noteFault(reasonFrom(error));
    }
  };

  let reading: Promise<void> = Promise.resolve();
  const readInTurn = () => {
    reading = reading.then(reread);
    return reading;
  };
  const later = () =>
    clock.setTimer(rereadMs, () => {
      void readInTurn().then(() => {
        if (!closed) timer = later();
      });
    });
  let timer = later();
  return {
    authorize: (facts) => access.authorize(facts),
    reread: readInTurn,
    async close() {
      closed = true;
      timer.cancel();
      await reading;
    },
  };
}
