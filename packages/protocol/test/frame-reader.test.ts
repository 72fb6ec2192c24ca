import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFrameReader } from '../src/frame-reader.ts';
import { frameBytesMax } from '../src/limits.ts';
import { type FrameKind, frameHeaderBytes, writeFrameHeader } from '../src/pull-frame.ts';
import { expectCode, expectNothingBut } from './damage.ts';
import { fromHex, golden, toHex } from './golden.ts';

interface Seen {
  readonly kind: number;
  readonly requestId: number;
  readonly epoch: number;
  readonly hex: string;
}

/** A whole frame with `words` of body. */
function frameOf(options: {
  kind: FrameKind;
  requestId: number;
  epoch: number;
  words: Uint32Array;
}): Uint8Array {
  const { words, ...header } = options;
  const bytes = new Uint8Array(frameHeaderBytes + words.byteLength);
  writeFrameHeader(new DataView(bytes.buffer), 0, { bytes: bytes.length, ...header });
  bytes.set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), frameHeaderBytes);
  return bytes;
}

/** What a reader makes of `stream`, cut before each of the places `cuts`. */
function readInChunks(stream: Uint8Array, cuts: readonly number[]): Seen[] {
  const reader = createFrameReader();
  const seen: Seen[] = [];
  const places = [...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort((a, b) => a - b);
  let from = 0;
  for (const to of places) {
    reader.push(stream.subarray(from, to), ({ header, bytes }) => {
      expect(bytes.byteOffset % 4).toBe(0);
      expect(bytes.length).toBe(header.bytes);
      seen.push({
        kind: header.kind,
        requestId: header.requestId,
        epoch: header.epoch,
        hex: toHex(bytes),
      });
    });
    from = to;
  }
  expect(reader.pendingBytes).toBe(0);
  return seen;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

const anyFrame = fc.record({
  kind: fc.integer({ min: 1, max: 7 }) as fc.Arbitrary<FrameKind>,
  requestId: fc.nat(2 ** 32 - 1),
  epoch: fc.nat(2 ** 32 - 1),
  words: fc.uint32Array({ maxLength: 30 }),
});

test('frame reader: any cutting of a stream gives the same frames (property)', () => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(1_000), { maxLength: 30 }),
      (frames, cuts) => {
        const whole = frames.map(frameOf);
        const wanted = frames.map(({ kind, requestId, epoch }, i) => ({
          kind,
          requestId,
          epoch,
          hex: toHex(whole[i]),
        }));
        expect(readInChunks(joined(whole), cuts)).toEqual(wanted);
      },
    ),
  );
});

test('frame reader: gives the golden frames byte by byte', () => {
  const names = ['hello', 'pull', 'rows', 'refusal'];
  const stream = joined(names.map(golden));
  const everyByte = Array.from({ length: stream.length }, (_, i) => i);
  expect(readInChunks(stream, everyByte).map(({ hex }) => hex)).toEqual(
    names.map((name) => toHex(golden(name))),
  );
});

test('frame reader: grows for a frame larger than its first buffer, with small ones around it', () => {
  const header = { kind: 4, requestId: 1, epoch: 1 } as const;
  const small = frameOf({ ...header, words: Uint32Array.of(5) });
  const large = frameOf({ ...header, words: new Uint32Array(80_000).map((_, i) => i) });
  const seen = readInChunks(joined([small, large, small]), [10, 70_000, 140_000, 300_000]);
  expect(seen.map(({ hex }) => hex)).toEqual([toHex(small), toHex(large), toHex(small)]);
});

test('frame reader: tells how many bytes of a frame are pending', () => {
  const reader = createFrameReader();
  const frame = golden('pull');
  reader.push(frame.subarray(0, 20), () => expect.fail('no frame is whole'));
  expect(reader.pendingBytes).toBe(20);
  let frames = 0;
  reader.push(frame.subarray(20), () => (frames += 1));
  expect([frames, reader.pendingBytes]).toEqual([1, 0]);
});

test.each([
  {
    fault: 'a length over the limit',
    hex: '04000001 4d010300 00000000 00000000',
    code: 'MILL_FRAME_TOO_LARGE',
  },
  { fault: 'a length of 4 GiB', hex: 'fcffffff 4d010300 00000000 00000000', code: 'MILL_FRAME_TOO_LARGE' },
  {
    fault: 'a length shorter than a header',
    hex: '0c000000 4d010300 00000000 00000000',
    code: 'MILL_FRAME_INVALID',
  },
  { fault: 'a length of 0', hex: '00000000 4d010300 00000000 00000000', code: 'MILL_FRAME_INVALID' },
  {
    fault: 'a length of no whole words',
    hex: '12000000 4d010300 00000000 00000000',
    code: 'MILL_FRAME_INVALID',
  },
  { fault: 'another mark', hex: '10000000 4e010300 00000000 00000000', code: 'MILL_FRAME_INVALID' },
  { fault: 'a set reserved byte', hex: '10000000 4d010301 00000000 00000000', code: 'MILL_FRAME_INVALID' },
  {
    fault: 'another protocol version',
    hex: '10000000 4d020300 00000000 00000000',
    code: 'MILL_PROTOCOL_VERSION',
  },
  { fault: 'kind 0', hex: '10000000 4d010000 00000000 00000000', code: 'MILL_FRAME_INVALID' },
  { fault: 'an unknown kind', hex: '10000000 4d010800 00000000 00000000', code: 'MILL_FRAME_INVALID' },
  {
    fault: 'the greeting of a web browser',
    hex: '474554202f20485454502f312e310d0a',
    code: 'MILL_FRAME_INVALID',
  },
] as const)('frame reader: $fault is refused with $code at the header', ({ hex, code }) => {
  expectCode(code, () => createFrameReader().push(fromHex(hex), () => expect.fail('a frame came out')));
});

test('frame reader: a header that announces the largest frame makes it allocate nothing', () => {
  const header = new Uint8Array(frameHeaderBytes);
  writeFrameHeader(new DataView(header.buffer), 0, { bytes: frameBytesMax, kind: 3, requestId: 1, epoch: 0 });
  const readers = Array.from({ length: 10 }, createFrameReader);
  const before = process.memoryUsage().arrayBuffers;
  for (const reader of readers) reader.push(header, () => expect.fail('no frame is whole'));
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(frameBytesMax);
});

test('frame reader: frames before a broken one are given', () => {
  let frames = 0;
  const stream = joined([golden('hello'), golden('pull'), new Uint8Array(16)]);
  expectCode('MILL_FRAME_INVALID', () => createFrameReader().push(stream, () => (frames += 1)));
  expect(frames).toBe(2);
});

test('frame reader: random bytes give nothing but frame errors (property)', () => {
  const codes = ['MILL_FRAME_INVALID', 'MILL_FRAME_TOO_LARGE', 'MILL_PROTOCOL_VERSION'] as const;
  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    // A sound mark, so that lengths and kinds are looked at too.
    fc
      .tuple(fc.nat(40), fc.nat(9), fc.uint8Array({ maxLength: 40 }))
      .map(([length, kind, rest]) => Uint8Array.of(length, 0, 0, 0, 0x4d, 1, kind, 0, ...rest)),
  );
  fc.assert(
    fc.property(fc.array(anyBytes, { maxLength: 4 }), (chunks) => {
      const reader = createFrameReader();
      expectNothingBut(codes, () => {
        for (const chunk of chunks) reader.push(chunk, () => undefined);
      });
    }),
    { numRuns: 500 },
  );
});

/** What a reader makes of `stream` when at most `atMost` bytes are read straight into its memory at a time. */
function readInPlace(stream: Uint8Array, atMost: number): string[] {
  const reader = createFrameReader();
  const seen: string[] = [];
  for (let from = 0; from < stream.length; ) {
    const room = reader.room();
    const bytes = Math.min(room.length, atMost, stream.length - from);
    expect(bytes).toBeGreaterThan(0);
    room.set(stream.subarray(from, from + bytes));
    reader.filled(bytes, (frame) => {
      expect(frame.bytes.byteOffset % 4).toBe(0);
      seen.push(toHex(frame.bytes));
    });
    from += bytes;
  }
  expect(reader.pendingBytes).toBe(0);
  return seen;
}

test('frame reader: bytes read into its own memory give the same frames, however many come at once', () => {
  const sizes = [0, 1, 20_000, 5, 90_000, 3, 30_000, 0, 40_000, 7];
  const frames = sizes.map((words, i) =>
    frameOf({ kind: 4, requestId: i, epoch: 1, words: new Uint32Array(words).map((_, at) => at * 31 + i) }),
  );
  const wanted = frames.map(toHex);
  for (const atMost of [Number.POSITIVE_INFINITY, 100_000, 65_536, 33_333, 4_099]) {
    expect(readInPlace(joined(frames), atMost)).toEqual(wanted);
  }
});

test('frame reader: its memory grows when reads fill it, and not beyond what a stream needs', () => {
  const reader = createFrameReader();
  const header = { kind: 4, requestId: 1, epoch: 1 } as const;
  const rooms: number[] = [];
  for (let round = 0; round < 8; round += 1) {
    const { length } = reader.room();
    rooms.push(length / 1_024);
    reader.room().set(frameOf({ ...header, words: new Uint32Array(length / 4 - 4) }));
    reader.filled(length, () => undefined);
  }
  expect(rooms).toEqual([64, 128, 256, 512, 512, 512, 512, 512]);
});
