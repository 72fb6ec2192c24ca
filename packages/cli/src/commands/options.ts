/** Options that several commands share, and their parsers. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseModelFile } from '@millrace/model';
import { MillraceError, type ModelFile, reasonFrom } from '@millrace/protocol';
import { InvalidArgumentError, Option } from 'commander';
import { type LogFormat, logFormats } from '../log-file/index.ts';

export function wholeNumber(range: { readonly min: number; readonly max: number }): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= range.min && value <= range.max) return value;
    throw new InvalidArgumentError(`wanted a whole number from ${range.min} to ${range.max}.`);
  };
}

export function numberWithin(range: {
  readonly min: number;
  readonly below: number;
}): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (value >= range.min && value < range.below) return value;
    throw new InvalidArgumentError(`wanted a number from ${range.min} to below ${range.below}.`);
  };
}

/** A moment, Unix ms. */
export function timeMsFromText(text: string): number {
  const timeMs = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isSafeInteger(timeMs)) return timeMs;
  throw new InvalidArgumentError('wanted ISO 8601, e.g. 2026-01-31T12:00:00Z, or Unix ms.');
}

export function jsonOption(): Option {
  return new Option('--json', 'print the result as one JSON line, everything else to standard error').default(
    false,
  );
}

export function urlOption(): Option {
  return new Option(
    '--url <url>',
    'inference node, or several with commas between (default: MILL_URL, else the cluster that runs in this directory)',
  );
}

/** What every command that reads a log takes. */
export interface LogFlags {
  readonly format?: LogFormat;
  readonly strict: boolean;
}

/** The same in all help texts. */
export const logFileArgument =
  'log in time order: CSV, JSONL, Vowpal Wabbit, libsvm, libFM or libffm text, also gzipped';

export function formatOption(): Option {
  return new Option('--format <name>', "what the log is (default: by the file's ending)").choices(logFormats);
}

export function strictOption(): Option {
  return new Option('--strict', 'stop at the first record that would be skipped').default(false);
}

/** Reads and checks a model file. @throws MILL_MODEL_INVALID naming the file. */
export function readModelFile(path: string): ModelFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MillraceError('MILL_MODEL_INVALID', `cannot read model file ${path}: ${reasonFrom(cause)}`, {
      cause,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MillraceError('MILL_MODEL_INVALID', `model file ${path} is not JSON: ${reasonFrom(cause)}`, {
      cause,
    });
  }
  return parseModelFile(value);
}

/** A file that the repository ships. */
export function shippedFile(path: string): string {
  const file = fileURLToPath(new URL(`../../../../${path}`, import.meta.url));
  if (!existsSync(file))
    throw new MillraceError('MILL_FILE_INVALID', `${path} is not there; run from a clone of the repository`);
  return file;
}
