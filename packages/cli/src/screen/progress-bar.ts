/** A progress bar on standard error where that is a terminal, and nothing elsewhere. */
import { Presets, SingleBar } from 'cli-progress';

export interface ProgressBar {
  set(done: number, total: number, note: string): void;
  end(): void;
}

export function openProgressBar(what: string): ProgressBar {
  if (!process.stderr.isTTY) return { set() {}, end() {} };
  const bar = new SingleBar(
    {
      format: `${what} {bar} {percentage} %  {eta_formatted} left  {note}`,
      stream: process.stderr,
      hideCursor: true,
      etaBuffer: 100,
    },
    Presets.shades_classic,
  );
  let started = false;
  return {
    set(done, total, note) {
      if (!started) bar.start(total, done, { note });
      else bar.update(done, { note });
      started = true;
    },
    end() {
      if (started) bar.stop();
    },
  };
}
