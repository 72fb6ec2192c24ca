/** Requests that are nearly right: a value of their JSON exchanged, taken out or doubled, or bytes changed, cut and added. */

/** Numbers in [0, 1) from a seed (mulberry32): the same seed gives the same requests. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export type Random = () => number;

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)];
}

const oddValues: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  -0,
  2 ** 31,
  2 ** 53,
  1e308,
  Number.NaN,
  '',
  'x',
  '-1',
  '1e3',
  '99999999999999999999',
  '\u0000',
  '\ud800',
  'é'.repeat(2_000),
  '__proto__',
  [],
  {},
  [[]],
  [[[[[[[[[[1]]]]]]]]]],
  [null],
  [1, 'a', true],
  Array.from({ length: 1_100 }, () => 'y'),
  { b64: 'AA==' },
  { b64: '%' },
  { toString: 1 },
  'BYTES',
  'INT64',
  'FP16',
];

type Node = Record<string, unknown> | unknown[];

/** One to three values exchanged, taken out, doubled or renamed, anywhere. */
export function mutatedJson(random: Random, value: object): unknown {
  const root = { value: structuredClone(value) as unknown };
  for (let left = 1 + Math.floor(random() * 3); left > 0; left -= 1) {
    const [node, key] = pick(random, placesIn(root));
    const at = node as Record<string, unknown>;
    const choice = random();
    if (choice < 0.6) at[key] = structuredClone(pick(random, oddValues));
    else if (choice < 0.75 && Array.isArray(node)) node.push(structuredClone(at[key]));
    else if (choice < 0.85) at[pick(random, ['constructor', 'items', 'ad', 'x', '0'])] = at[key];
    else if (node !== root) delete at[key];
  }
  return root.value;
}

function placesIn(node: Node): readonly (readonly [Node, string])[] {
  return Object.keys(node).flatMap((key) => {
    const value = (node as Record<string, unknown>)[key];
    const below = typeof value === 'object' && value !== null ? placesIn(value as Node).slice(0, 100) : [];
    return [[node, key] as const, ...below];
  });
}

/** Bytes flipped, cut off, doubled or put in; now and then none. */
export function mutatedBytes(random: Random, bytes: Buffer): Buffer {
  let changed = Buffer.from(bytes);
  for (let left = Math.floor(random() * 4); left > 0 && changed.byteLength > 0; left -= 1) {
    const at = Math.floor(random() * changed.byteLength);
    const choice = random();
    if (choice < 0.5) changed[at] = Math.floor(random() * 256);
    else if (choice < 0.65) changed = changed.subarray(0, at);
    else if (choice < 0.8)
      changed = Buffer.concat([changed.subarray(0, at), changed.subarray(Math.max(0, at - 9))]);
    else changed = Buffer.concat([changed.subarray(0, at), Buffer.from([0xff, 0xff]), changed.subarray(at)]);
  }
  return changed;
}
