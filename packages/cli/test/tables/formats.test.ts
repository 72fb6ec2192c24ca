/** Files that numpy 2 and safetensors 0.x wrote, as golden/<name>.hex, and what is written here. */
import { readFileSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { readFloats, readWords } from '../../src/tables/array-file.ts';
import { floatText, keyFrom, keyText } from '../../src/tables/float-text.ts';
import { npyMatrix } from '../../src/tables/folder-reader.ts';
import { npyHeader, readNpyHeader } from '../../src/tables/npy.ts';
import { readTensors, tensorHeader, tensorHeaderLength } from '../../src/tables/safetensors.ts';
import { notesFrom } from '../../src/tables/table-folder.ts';

function golden(name: string): Buffer {
  const text = readFileSync(join(import.meta.dirname, 'golden', `${name}.hex`), 'utf8');
  return Buffer.from(text.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, ''), 'hex');
}

async function fileOf(bytes: Uint8Array): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-formats-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'array');
  await writeFile(path, bytes);
  return path;
}

async function floatsOf(name: string): Promise<Float32Array> {
  const path = await fileOf(golden(name));
  const matrix = await npyMatrix(path);
  const handle = await open(path);
  try {
    return await readFloats(handle, matrix, 0, matrix.rows);
  } finally {
    await handle.close();
  }
}

test('npy: reads what numpy wrote', async () => {
  expect([...(await floatsOf('weights-f4'))]).toEqual([
    0.5,
    -0.25,
    1.5,
    -0,
    Math.fround(3.4028235e38),
    2 ** -149,
  ]);
  expect([...(await floatsOf('weights-f8'))]).toEqual([Math.fround(0.1), 2]);
  const path = await fileOf(golden('keys-u8'));
  const matrix = await npyMatrix(path);
  const handle = await open(path);
  const words = await readWords(handle, matrix, 0, 3);
  await handle.close();
  expect([...words]).toEqual([0, 0, 0xffff_ffff, 0xffff_ffff, 0x89ab_cdef, 0x0123_4567]);
});

test('npy: the header that is written here is one that numpy wrote, byte for byte', () => {
  for (const [name, type, shape] of [
    ['keys-u8', '<u8', [3]],
    ['weights-f4', '<f4', [3, 2]],
    ['weights-f8', '<f8', [1, 2]],
  ] as const) {
    const written = golden(name);
    expect(Buffer.from(npyHeader(type, shape)).toString('latin1')).toBe(written.toString('latin1', 0, 128));
    expect(readNpyHeader('a.npy', written)).toEqual({ type, shape: [...shape], dataAt: 128 });
  }
});

test.each([
  { name: 'fortran-f4', message: 'found Fortran order' },
  { name: 'strings', message: 'found <U2' },
  { name: 'big-endian-f4', message: 'found >f4' },
  { name: 'cube-f4', message: 'wanted one or two dimensions, found (2, 2, 2)' },
  { name: 'tensors', message: 'wanted its magic bytes' },
])('npy: refuses $name: $message', ({ name, message }) => {
  expect(() => readNpyHeader('a.npy', golden(name))).toThrow(message);
});

test('npy: a file cut anywhere is refused, by its header or where its numbers end', async () => {
  const whole = golden('weights-f4');
  for (let length = 0; length < whole.length; length += 1) {
    const path = await fileOf(whole.subarray(0, length));
    const read = async () => {
      const matrix = await npyMatrix(path);
      const handle = await open(path);
      await readFloats(handle, matrix, 0, matrix.rows).finally(() => handle.close());
    };
    await expect(read()).rejects.toThrow('cannot read');
  }
});

test('safetensors: reads what the safetensors library wrote', () => {
  const bytes = golden('tensors');
  const length = tensorHeaderLength('rows', bytes);
  const tensors = readTensors('rows', bytes.subarray(8, 8 + length), bytes.length);
  expect([...tensors.keys()].sort()).toEqual(['items.keys', 'items.weights', 'wide']);
  const weights = tensors.get('items.weights');
  expect([weights?.type, weights?.shape]).toEqual(['F32', [2, 2]]);
  const data = bytes.subarray(weights?.begin, weights?.end);
  expect([...new Float32Array(new Uint8Array(data).buffer)]).toEqual([0.5, -0.25, 1.5, -0]);
});

test('safetensors: a header that is written comes back; arrays lie one behind the other', () => {
  const header = tensorHeader([
    { name: 'a', type: 'U64', shape: [3] },
    { name: 'b', type: 'F32', shape: [3, 5] },
  ]);
  expect(header.length % 8).toBe(0);
  const fileBytes = header.length + 24 + 60;
  const tensors = readTensors('rows', header.subarray(8), fileBytes);
  expect([tensors.get('a')?.begin, tensors.get('b')?.begin, tensors.get('b')?.end]).toEqual([
    header.length,
    header.length + 24,
    fileBytes,
  ]);
  expect(() => readTensors('rows', header.subarray(8), fileBytes - 1)).toThrow('wanted "b" whole');
});

test.each([
  {
    what: 'another type',
    header: golden('half-tensors').subarray(8, 8 + 64),
    message: 'U64, F32 or F64 as "half"',
  },
  { what: 'no JSON', header: Buffer.from('{"a":'), message: 'a header of JSON' },
  { what: 'a list', header: Buffer.from('[]'), message: 'a header of names' },
  {
    what: 'offsets that do not fit the shape',
    header: Buffer.from('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}'),
    message: 'wanted 8 bytes of "a", found 4',
  },
  {
    what: 'no offsets',
    header: Buffer.from('{"a":{"dtype":"F32","shape":[2]}}'),
    message: 'shape and offsets of "a"',
  },
])('safetensors: refuses $what', ({ header, message }) => {
  const bytes = Buffer.from(header);
  const end = bytes.indexOf('}}}') >= 0 ? bytes.indexOf('}}}') + 3 : bytes.length;
  expect(() => readTensors('rows', bytes.subarray(0, end), 1_000)).toThrow(message);
});

test('safetensors: a length beyond the format’s is refused before anything is read', () => {
  expect(() => tensorHeaderLength('rows', Buffer.alloc(8, 0xff))).toThrow('a header of at most');
  expect(() => tensorHeaderLength('rows', Buffer.alloc(5))).toThrow('the length of its header');
});

test('float text: gives every float32 and every key back, bit for bit (property)', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(Object.is(Math.fround(Number(floatText(value))), value)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1), (low, high) => {
      expect(keyFrom(keyText(low, high))).toEqual([low, high]);
    }),
  );
  for (const text of ['', '-1', '1.5', '0x10', '18446744073709551616', '123456789012345678901'])
    expect([text, keyFrom(text)]).toEqual([text, null]);
});

test('folder notes: others than export writes are refused', () => {
  const notes = {
    layout: 1,
    format: 'npy',
    model: 'm',
    sequence: 1,
    denseVersion: 0,
    tables: [{ name: 't', rows: 1, dim: 1, stateFloats: 0 }],
    dense: { parameters: 0, stateFloats: 0 },
  };
  expect(notesFrom('export.json', notes)).toBe(notes);
  for (const change of [
    { layout: 2 },
    { format: 'xls' },
    { tables: [{ name: 't', rows: -1 }] },
    { dense: null },
  ])
    expect(() => notesFrom('export.json', { ...notes, ...change })).toThrow('as millrace export writes them');
  expect(() => notesFrom('export.json', 7)).toThrow('cannot read "export.json"');
});
