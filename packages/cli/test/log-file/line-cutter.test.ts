import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLineCutter, type Quoting } from '../../src/log-file/line-cutter.ts';

function piecesOf(chunks: string[], quoting: Quoting): string[] {
  const cutter = createLineCutter(quoting);
  return [...chunks.map((chunk) => cutter.push(chunk)), cutter.finish()].filter((piece) => piece !== '');
}

test('line-cutter: cuts behind the last line end and keeps the rest', () => {
  expect(piecesOf(['a\nb', 'c\nd'], 'no-quotes')).toEqual(['a\n', 'bc\n', 'd']);
});

test('line-cutter: keeps a line feed inside quotes within its record', () => {
  expect(piecesOf(['a\n"b\nc', 'd"\ne\n'], 'quotes')).toEqual(['a\n', '"b\ncd"\ne\n']);
});

test('line-cutter: takes a doubled quote, even one torn apart, as part of its cell', () => {
  expect(piecesOf(['"a"', '"\nb"\nc\n'], 'quotes')).toEqual(['"a""\nb"\nc\n']);
});

test('line-cutter: quotes mean nothing where the format has none', () => {
  expect(piecesOf(['"a\nb"\n'], 'no-quotes')).toEqual(['"a\nb"\n']);
  expect(piecesOf(['"a\nb'], 'no-quotes')).toEqual(['"a\n', 'b']);
});

test('line-cutter: counts what it holds back', () => {
  const cutter = createLineCutter('quotes');
  cutter.push('ab');
  cutter.push('"c\nd');
  expect(cutter.held).toBe(6);
  expect(cutter.push('"\nxyz')).toBe('ab"c\nd"\n');
  expect(cutter.held).toBe(3);
});

test('line-cutter: loses and adds nothing, however the text is torn (property)', () => {
  const text = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r'), maxLength: 12 });
  fc.assert(
    fc.property(
      fc.array(text, { maxLength: 8 }),
      fc.constantFrom<Quoting>('quotes', 'no-quotes'),
      (chunks, quoting) => {
        expect(piecesOf(chunks, quoting).join('')).toBe(chunks.join(''));
      },
    ),
  );
});
