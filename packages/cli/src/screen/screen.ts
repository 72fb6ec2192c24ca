/**
 * Where a running command shows itself. On a terminal the live view is redrawn in place; elsewhere a line is printed now and
 * then. With --json everything for people goes to standard error, so that standard output holds the result alone.
 */
import { createLogUpdate } from 'log-update';
import { type Colours, coloursFor } from './colours.ts';

export interface Screen {
  /** A line that stays. */
  say(line: string): void;
  /** Redraws the live part, at most as often as `show` is called. */
  live(view: (width: number, colours: Colours) => string, line: () => string): void;
  /** Leaves the last live view standing. */
  endLive(): void;
}

const plainEveryMs = 5_000;

export function openScreen(options: { readonly json: boolean; readonly now: () => number }): Screen {
  const stream = options.json ? process.stderr : process.stdout;
  const colours = coloursFor(stream);
  const update = createLogUpdate(stream);
  let lastPlainMs = Number.NEGATIVE_INFINITY;
  return {
    say(line) {
      if (stream.isTTY) update.clear();
      stream.write(`${colours.dim('›')} ${line}\n`);
    },
    live(view, line) {
      if (stream.isTTY) {
        update(view(stream.columns ?? 80, colours));
        return;
      }
      const nowMs = options.now();
      if (nowMs - lastPlainMs < plainEveryMs) return;
      lastPlainMs = nowMs;
      stream.write(`${line()}\n`);
    },
    endLive() {
      update.done();
    },
  };
}
