/**
 * Cuts a stream of text into pieces that end where a record may end, so that each piece is parsed by itself.
 * In JSONL every line feed ends a record. In CSV one inside quotes does not: a line feed ends a record exactly when the
 * quotes before it are even in number (a doubled quote, CSV's escape, counts twice and changes nothing).
 */

/** Longest record, characters. A file without line ends is refused here instead of filling the memory. */
export const recordCharsMax = 4 * 1024 * 1024;

export interface LineCutter {
  /** Takes the next text; returns everything up to the last record end in it, or '' when there is none yet. */
  push(text: string): string;
  /** Returns what is left after the last record end. */
  finish(): string;
  /** Characters held back. The caller refuses the file when they pass `recordCharsMax`. */
  readonly held: number;
}

/** Whether a quote hides the line feeds up to the next one. */
export type Quoting = 'quotes' | 'no-quotes';

export function createLineCutter(quoting: Quoting): LineCutter {
  const quotes = quoting === 'quotes';
  // Chunks without a record end, joined only when one comes: a long record costs no repeated copying.
  let waiting: string[] = [];
  let held = 0;
  let open = false;

  return {
    get held() {
      return held;
    },
    push(text) {
      let end: number;
      if (quotes && (open || text.includes('"'))) ({ end, open } = lastEndOutsideQuotes(text, open));
      else end = text.lastIndexOf('\n') + 1;
      if (end === 0) {
        waiting.push(text);
        held += text.length;
        return '';
      }
      const piece = waiting.join('') + text.slice(0, end);
      waiting = [text.slice(end)];
      held = text.length - end;
      return piece;
    },
    finish() {
      const piece = waiting.join('');
      waiting = [];
      held = 0;
      return piece;
    },
  };
}

const lineFeed = 10;
const quoteMark = 34;

/** Place behind the last line feed outside quotes, 0 if there is none, and whether a quote is open at the end. */
function lastEndOutsideQuotes(text: string, openBefore: boolean): { end: number; open: boolean } {
  let open = openBefore;
  let end = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === quoteMark) open = !open;
    else if (code === lineFeed && !open) end = i + 1;
  }
  return { end, open };
}
