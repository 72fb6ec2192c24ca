/**
 * Cuts a stream of bytes into texts of whole lines. A line feed is one byte in UTF-8 and part of no other character, so lines
 * are cut before they are decoded, and each is judged by itself:
 *   bytes that are not UTF-8              the line `notUtf8` stands in its place
 *   more than `lineBytesMax` bytes        the line `tooLong` stands in its place; its bytes are never held
 * Both are lone low surrogates, which no UTF-8 decodes to, so no line of a file can be taken for one. Where the stream is cut
 * into chunks makes no difference to the lines.
 */
import { isAscii, isUtf8 } from 'node:buffer';

/** Longest line, bytes. A file without line ends is passed over from here on instead of filling the memory. */
export const lineBytesMax = 4 * 1024 * 1024;

const notUtf8 = '\uDC00';
const tooLong = '\uDC01';

export interface LineCutter {
  /** Takes the next bytes, at most `lineBytesMax`; returns the text up to the last line end in them, or ''. */
  push(bytes: Uint8Array): string;
  /** Returns what is left behind the last line end. */
  finish(): string;
}

/** What stands in place of a line that cannot be read, told by the line's first character code; undefined for a line as it was. */
export function lostLine(code: number): 'encoding' | 'too-long' | undefined {
  if (code < 0xdc00 || code > 0xdfff) return undefined;
  return code === 0xdc00 ? 'encoding' : 'too-long';
}

export function createLineCutter(): LineCutter {
  // Chunks without a line end, joined only when one comes: a long line costs no repeated copying.
  let waiting: Uint8Array[] = [];
  let held = 0;
  let isPassing = false;
  let isFirst = true;

  const hold = (bytes: Uint8Array) => {
    held += bytes.length;
    if (held > lineBytesMax) {
      isPassing = true;
      waiting = [];
    } else if (bytes.length > 0) waiting.push(bytes);
  };
  const release = () => {
    waiting = [];
    held = 0;
    isPassing = false;
  };
  const withoutMark = (text: string) => {
    if (!isFirst || text === '') return text;
    isFirst = false;
    return text.charCodeAt(0) === byteOrderMark ? text.slice(1) : text;
  };

  return {
    push(bytes) {
      const end = bytes.lastIndexOf(lineFeed) + 1;
      if (end === 0) {
        hold(bytes);
        return '';
      }
      const first = bytes.indexOf(lineFeed);
      let text: string;
      if (isPassing || held + first > lineBytesMax) {
        text = `${tooLong}\n${textFrom(bytes.subarray(first + 1, end))}`;
      } else {
        const whole = bytes.subarray(0, end);
        text = textFrom(held === 0 ? whole : Buffer.concat([...waiting, whole]));
      }
      release();
      hold(bytes.subarray(end));
      return withoutMark(text);
    },
    finish() {
      const text = isPassing ? tooLong : textFrom(Buffer.concat(waiting));
      release();
      return withoutMark(text);
    },
  };
}

const lineFeed = 10;
const byteOrderMark = 0xfeff;

function textFrom(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  // One byte a character where that suffices: half the memory, and faster to cut.
  if (isAscii(buffer)) return buffer.toString('latin1');
  if (isUtf8(buffer)) return buffer.toString('utf8');
  const lines: string[] = [];
  let start = 0;
  while (start < buffer.length) {
    const feed = buffer.indexOf(lineFeed, start);
    const end = feed < 0 ? buffer.length : feed;
    const line = buffer.subarray(start, end);
    lines.push(isUtf8(line) ? line.toString('utf8') : notUtf8);
    if (feed >= 0) lines.push('\n');
    start = end + 1;
  }
  return lines.join('');
}
