import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLineCutter, lineBytesMax, lostLine } from '../../src/log-file/line-cutter.ts';

function piecesOf(...chunks: (string | number[])[]): string[] {
  const cutter = createLineCutter();
  const pieces = chunks.map((chunk) => cutter.push(Buffer.from(chunk as string)));
  return [...pieces, cutter.finish()].filter((piece) => piece !== '');
}

test('line-cutter: cuts behind the last line end and keeps the rest', () => {
  expect(piecesOf('a\nb', 'c\nd')).toEqual(['a\n', 'bc\n', 'd']);
});

test('line-cutter: joins a character torn apart', () => {
  const [first, second, third] = Buffer.from('€');
  expect(piecesOf([first], [second], [third, 10])).toEqual(['€\n']);
});

test('line-cutter: drops a byte order mark at the start, and only there', () => {
  expect(piecesOf('\uFEFFa\n', '\uFEFFb\n')).toEqual(['a\n', '\uFEFFb\n']);
  expect(piecesOf([0xef], [0xbb, 0xbf, 97])).toEqual(['a']);
});

test('line-cutter: puts a mark in place of a line that is not UTF-8, and keeps its neighbours', () => {
  const text = piecesOf([0xc3, 0xa4, 10, 97, 0xff, 10, 98, 10], [0x80]).join('');
  expect(text).toBe('ä\n\uDC00\nb\n\uDC00');
});

test('line-cutter: puts a mark in place of a line that is too long, and holds none of it', () => {
  const half = 'x'.repeat(lineBytesMax / 2);
  expect(piecesOf('a\n', half, half, '\nb\n')).toEqual(['a\n', `${half}${half}\n${'b\n'}`]);
  expect(piecesOf('a\n', half, half, 'x\nb\n')).toEqual(['a\n', '\uDC01\nb\n']);
  expect(piecesOf('a\n', half, half, 'x', half, half)).toEqual(['a\n', '\uDC01']);
});

test('line-cutter: marks are told from every character that UTF-8 can give', () => {
  expect(lostLine('\uDC00'.charCodeAt(0))).toBe('encoding');
  expect(lostLine('\uDC01'.charCodeAt(0))).toBe('too-long');
  for (const text of ['a', '€', '𐀀', '\u{10ffff}', '\uffff']) {
    expect(lostLine(Buffer.from(text).toString('utf8').charCodeAt(0))).toBeUndefined();
  }
  // A surrogate written as UTF-8 is not UTF-8.
  expect(piecesOf([0xed, 0xb0, 0x80, 10])).toEqual(['\uDC00\n']);
});

test('line-cutter: how the bytes are torn makes no difference (property)', () => {
  const bytes = fc.array(fc.constantFrom(10, 13, 34, 97, 0xc3, 0xa4, 0xef, 0xbb, 0xbf, 0xff), {
    maxLength: 24,
  });
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(24), { maxLength: 4 }), (given, cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), given.length];
      const chunks = places.slice(1).map((end, i) => given.slice(places[i], end));
      expect(piecesOf(...chunks).join('')).toBe(piecesOf(given).join(''));
    }),
  );
});
