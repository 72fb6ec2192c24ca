/** A log as examples, one after the other, without giving up the turn between two of them unless there is something to wait for. */
import type { LearnerExample } from '@millrace/learner';
import type { Features, ModelFile } from '@millrace/protocol';
import { openLogFile, requestFromRecord } from '../log-file/index.ts';

export interface LabelledExample extends LearnerExample {
  readonly label: 0 | 1;
}

export interface ReadingOptions {
  readonly file: ModelFile;
  readonly path: string;
  readonly onProgress: (bytesRead: number, bytesTotal: number) => void;
}

const noFeatures: Features = {};

/**
 * Hands each example of a log to `take`, in the order of the file; a promise that it returns is awaited before the next.
 * @returns how many there were.
 * @throws MILL_FILE_INVALID, and whatever `take` throws.
 */
export async function eachExample(
  { file, path, onProgress }: ReadingOptions,
  take: (example: LabelledExample) => Promise<void> | undefined,
): Promise<number> {
  const log = await openLogFile(path);
  let examples = 0;
  try {
    for await (const batch of log.batches()) {
      for (const record of batch) {
        const { request, label, timeMs } = requestFromRecord(file, record);
        const { user = noFeatures, context = noFeatures, items } = request;
        const taken = take({ user, context, item: items[0], shown: 1, clicked: label, label, timeMs });
        if (taken !== undefined) await taken;
        examples += 1;
      }
      onProgress(log.bytesRead, log.bytesTotal);
    }
  } finally {
    log.close();
  }
  return examples;
}
