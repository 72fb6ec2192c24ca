/** A log as examples, one after the other, without giving up the turn between two of them unless there is something to wait for. */
import type { ModelFile } from '@millrace/protocol';
import { type Example, type LogFormat, type LogReport, readExamples } from '../log-file/index.ts';

export interface LogInput {
  readonly path: string;
  /** Default: by the path's ending. */
  readonly format: LogFormat | undefined;
  /** End at the first record that would be skipped. */
  readonly strict: boolean;
}

export type OnProgress = (bytesRead: number, bytesTotal: number) => void;

/**
 * Hands each usable example of a log to `take`, in the order of the file; a promise that it returns is awaited before the next.
 * @throws MILL_FILE_INVALID, and whatever `take` throws.
 */
export async function eachExample(
  file: ModelFile,
  { path, format, strict }: LogInput,
  onProgress: OnProgress,
  take: (example: Example) => Promise<void> | undefined,
): Promise<LogReport> {
  const examples = readExamples(file, path, { format, strict, onProgress });
  for await (const batch of examples) {
    for (const example of batch) {
      const taken = take(example);
      if (taken !== undefined) await taken;
    }
  }
  return examples.report();
}
