import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLineCutter } from '../../src/log-file/line-cutter.ts';
import {
  createRecordReader,
  formatFromPath,
  type LogFormat,
  logFormats,
} from '../../src/log-file/log-format.ts';
import { createLogTally } from '../../src/log-file/log-tally.ts';

test('log-format: a format is told by the ending, in any case and gzipped too', () => {
  expect(formatFromPath('a.csv')).toBe('csv');
  expect(formatFromPath('A.NDJSON.GZ')).toBe('jsonl');
  expect(formatFromPath('/logs/day.csv/a.vw.gz')).toBe('vw');
  expect(() => formatFromPath('a.parquet')).toThrow('wanted a name that ends in .csv, .jsonl, .ndjson, .vw');
});

/** Lines of each format, good and bad, with characters of several bytes. */
const lines: Readonly<Record<LogFormat, readonly string[]>> = {
  csv: ['a,€', '"x', 'y",2', '"""",""', '', '1', 'x"y,1', '𐀀,1\r'],
  jsonl: ['{"a":"€"}', '{"a":', '[]', '', '{"𐀀":1}\r'],
  vw: ['1 |a x:2 €', '1 2 tag|𐀀 b', 'x', '|', '-1 |a:x b', ''],
  libsvm: ['1 3:1 4:0.5', '-1 qid:3 € # 𐀀', '# €', '1 €:2', ''],
  libfm: ['1 3:1 4:0.5', '0', 'x 1'],
  ffm: ['1 0:3:1 1:4:0.5', '-1 €:𐀀:2', '1 0:3', ''],
};
const invalid = Buffer.from([0x41, 0xc3, 0x28, 10]);

function readInPieces(format: LogFormat, chunks: readonly Uint8Array[]) {
  const tally = createLogTally('log', 'lenient');
  const cutter = createLineCutter();
  const reader = createRecordReader(format, 'log', tally, 'all');
  const records = chunks.flatMap((chunk) => reader.read(cutter.push(chunk)));
  records.push(...reader.read(cutter.finish()), ...reader.finish());
  const shown = records.map(({ line, values, weighted }) => ({ line, values: { ...values }, weighted }));
  return { records: shown, skipped: tally.report().skipped };
}

test.each(logFormats)('log-format: where a stream of %s is cut makes no difference (property)', (format) => {
  const line = fc.oneof(
    fc.constantFrom(...lines[format]).map((text) => Buffer.from(`${text}\n`)),
    fc.constant(invalid),
  );
  const header = format === 'csv' ? [Buffer.from('\uFEFFa,b\n')] : [];
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 1, maxLength: 10 }),
      fc.array(fc.nat(120)),
      fc.boolean(),
      (given, cuts, isEnded) => {
        const all = Buffer.concat([...header, ...given]);
        const bytes = isEnded ? all : all.subarray(0, -1);
        const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        const chunks = places.slice(1).map((end, i) => bytes.subarray(places[i], end));
        const whole = readInPieces(format, [bytes]);
        expect(readInPieces(format, chunks)).toEqual(whole);
        const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
        expect(readInPieces(format, single)).toEqual(whole);
      },
    ),
  );
});
