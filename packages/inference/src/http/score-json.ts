/**
 * Writes the answer to a score request. Nearly all of it is numbers, and the shortest text of a number is dear to find; scores
 * have twelve decimals (answeredScore), which are written as they are.
 */
import type { ScoreResponse } from '@millrace/protocol';

/** Smaller ones have more than twelve decimals. */
const scoreMin = 2 ** -15;
const scale = 1e12;
const scoreBytesMax = 32;
const zero = 0x30;
const comma = 0x2c;
const point = 0x2e;

let bytes = Buffer.allocUnsafe(16 * 1024);

/** JSON of an answer, its scores as scoresText writes them. */
export function scoreJson({ scores, ...rest }: ScoreResponse): string {
  const text = JSON.stringify(rest);
  return `${text.slice(0, -1)},"scores":[${scoresText(scores)}]}`;
}

/** Scores with commas between, each a text that reads as the same float32 (Math.fround). */
export function scoresText(scores: readonly number[]): string {
  if (bytes.length < scores.length * scoreBytesMax)
    bytes = Buffer.allocUnsafe(2 * scores.length * scoreBytesMax);
  let at = 0;
  for (let i = 0; i < scores.length; i += 1) {
    if (i > 0) {
      bytes[at] = comma;
      at += 1;
    }
    const score = scores[i];
    if (score >= scoreMin && score < 1) at = writeDecimals(Math.round(score * scale), at);
    else at += bytes.write(Number.isFinite(score) ? String(score) : 'null', at, 'latin1');
  }
  return bytes.toString('latin1', 0, at);
}

/** Writes 0.… of twelve decimals, without zeros at the end. @param value  0 … 10^12. */
function writeDecimals(value: number, from: number): number {
  if (value === scale) {
    bytes[from] = zero + 1;
    return from + 1;
  }
  bytes[from] = zero;
  bytes[from + 1] = point;
  const high = Math.floor(value / 1e6);
  writeDigits(high, from + 2);
  writeDigits(value - 1e6 * high, from + 8);
  let end = from + 14;
  while (bytes[end - 1] === zero) end -= 1;
  return end;
}

/** Six digits. */
function writeDigits(value: number, at: number): void {
  let rest = value | 0;
  for (let i = at + 5; i >= at; i -= 1) {
    const tenth = (rest / 10) | 0;
    bytes[i] = zero + rest - 10 * tenth;
    rest = tenth;
  }
}
