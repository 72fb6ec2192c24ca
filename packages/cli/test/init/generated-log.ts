/** Small logs for the tests of init, the same each time. */
import { fmix } from '@millrace/core';
import type { Sample } from '../../src/init/sample.ts';

/** Uniform in (0, 1) for event i. */
export function draw(i: number, stream: number): number {
  return (fmix(Math.imul(fmix(i + 1), 0x9e3779b1) ^ fmix(stream + 7)) + 0.5) / 2 ** 32;
}

export function whole(i: number, stream: number, below: number): number {
  return Math.floor(draw(i, stream) * below);
}

export function labelAt(i: number, logit: number): 0 | 1 {
  return draw(i, 99) < 1 / (1 + Math.exp(-logit)) ? 1 : 0;
}

/** CSV of `rows` events; each value must be free of commas and quotes. */
export function csvOf(rows: number, row: (i: number) => Readonly<Record<string, unknown>>): string {
  const names = Object.keys(row(0));
  const lines = Array.from({ length: rows }, (_, i) => {
    const values = row(i);
    return names.map((name) => values[name]).join(',');
  });
  return `${names.join(',')}\n${lines.join('\n')}\n`;
}

export function sampleOf(rows: number, row: (i: number) => Readonly<Record<string, unknown>>): Sample {
  const records = Array.from({ length: rows }, (_, i) => row(i));
  return { records, labels: Uint8Array.from(records, ({ label }) => Number(label)), leftOut: 0 };
}
