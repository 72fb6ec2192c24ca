/**
 * gather and scatter against central differences of the whole way from rows to loss:
 *   (L(w + h) − L(w − h)) / 2h   with L = Σ_b logloss(logit_b, y_b) through gather and the plain engine.
 * Inputs are float32, about 1e-7 of a value, so with h = 2⁻⁶ a difference is good to 1e-5, and h² · L‴ to 1e-4.
 */
import type { ModelFile } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { compileNet } from '../src/compile-model.ts';
import { gather, gatherVariances, scatter } from '../src/gather.ts';
import { initialParameters } from '../src/initial-parameters.ts';
import { logloss, sigmoid } from '../src/logloss.ts';
import { createPlainEngine } from '../src/plain-engine.ts';
import { sharedInputsOf, spreadShared } from '../src/shared-inputs.ts';
import { type Encoded, encode, type Request } from './encoded.ts';
import { embeddingTable, smallModel, wideTable } from './small-model.ts';

const step = 2 ** -6;

const fields = [
  { name: 'who', type: 'sparse', scope: 'user', table: 'ids' },
  { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
  { name: 'tags', type: 'multi', scope: 'item', table: 'ids', pooling: 'sqrtn' },
  { name: 'seen', type: 'sequence', scope: 'user', table: 'ids', sharesKeysOf: 'ad' },
  { name: 'price', type: 'dense', scope: 'item', table: 'ids', transform: { type: 'log1p' } },
  { name: 'age', type: 'dense', scope: 'user', transform: { type: 'standardize', mean: 40, deviation: 20 } },
] as const;
const crosses = [
  { name: 'who-tags', fields: ['who', 'tags'], table: 'pairs' },
  { name: 'who-ad', fields: ['who', 'ad'], table: 'wide' },
];
const tables = [
  embeddingTable('ids', 3),
  { name: 'pairs', embedding: { dim: 3, optimizer: { type: 'sgd', learningRate: 1 } } } as const,
  wideTable,
];

const nets: readonly (readonly [string, ModelFile])[] = [
  ['linear', smallModel({ fields, crosses, tables, bias: true, net: 'linear' })],
  ['fm', smallModel({ fields, crosses, tables, bias: true, net: 'fm' })],
  [
    'layers alone',
    smallModel({ fields, crosses, tables, net: { layers: [{ units: 5, activation: 'tanh' }] } }),
  ],
  [
    'wide, fm and layers',
    smallModel({
      fields,
      crosses,
      tables,
      bias: true,
      net: { wide: true, fm: true, layers: [{ units: 4, activation: 'sigmoid' }] },
    }),
  ],
];

/** Keys shared between fields, between the items of a request and between requests; missing values; a value twice. */
const requests: readonly Request[] = [
  {
    user: { who: 'eve', seen: 'a|b|a', age: 30 },
    items: [{ ad: 'a', tags: 'x|y', price: 3 }, { ad: 'b', tags: 'y' }, { price: 0.5 }],
  },
  { user: { who: 'bob', age: 70 }, items: [{ ad: 'a', tags: 'x|y|z|x' }] },
  { items: [{ ad: 'c' }] },
];
const labels = [1, 0, 0, 1, 0];

/** Each item as a request of its own: so it is learned. */
function encodeEach(file: ModelFile, of: readonly Request[]): Encoded {
  return encode(
    file,
    of.flatMap(({ items, ...shared }) => items.map((item) => ({ ...shared, items: [item] }))),
  );
}

interface Setting {
  readonly encoded: Encoded;
  readonly rows: readonly Float32Array[];
  readonly logits: () => Promise<Float32Array>;
  readonly loss: () => Promise<number>;
  readonly gradients: () => Promise<{
    readonly logits: Float32Array;
    readonly logitGradients: Float32Array;
    readonly embeddings: Float32Array;
  }>;
}

function settingOf(file: ModelFile): Setting {
  const encoded = encodeEach(file, requests);
  const { plan, batch } = encoded;
  const shape = compileNet(file);
  const program = createPlainEngine().compile(shape);
  const loaded = program.load(initialParameters(shape, 3));
  const rows = batch.tables.map((table, t) =>
    Float32Array.from({ length: table.unique * plan.tables[t].dim }, (_, i) => Math.sin(7 * t + 3 * i) / 2),
  );
  const input = {
    rows: batch.rows,
    wide: new Float32Array(batch.rows),
    embeddings: new Float32Array(batch.rows * plan.embeddingFloats),
    dense: batch.dense,
    lengths: batch.lengths,
  };
  const logits = async () => {
    gather(plan, batch, rows, input);
    const out = new Float32Array(batch.rows);
    await program.forward(loaded, input, out);
    return out;
  };
  return {
    encoded,
    rows,
    logits,
    loss: async () => (await logits()).reduce((sum, logit, b) => sum + logloss(logit, labels[b]), 0),
    async gradients() {
      gather(plan, batch, rows, input);
      const out = {
        logits: new Float32Array(batch.rows),
        logitGradients: new Float32Array(batch.rows),
        embeddings: new Float32Array(batch.rows * plan.embeddingFloats),
        parameters: new Float32Array(shape.parameters),
      };
      const shown = new Float32Array(batch.rows).fill(1);
      await program.gradients(loaded, input, shown, Float32Array.from(labels), out);
      return out;
    },
  };
}

/** Calls `look` for every weight of every row, with the weight set a step up and a step down. */
async function eachWeight(
  { rows }: Setting,
  measure: () => Promise<Float32Array | number>,
  look: (t: number, i: number, up: Float32Array | number, down: Float32Array | number) => void,
): Promise<void> {
  for (let t = 0; t < rows.length; t += 1) {
    for (let i = 0; i < rows[t].length; i += 1) {
      const weight = rows[t][i];
      rows[t][i] = weight + step;
      const up = await measure();
      rows[t][i] = weight - step;
      look(t, i, up, await measure());
      rows[t][i] = weight;
    }
  }
}

/** Sums with garbage in them, as arrays kept from an earlier batch have. */
function sumsFor({ plan, batch }: Encoded, withCurvature: boolean) {
  return plan.tables.map(({ dim }, t) => {
    const floats = batch.tables[t].unique * dim;
    return {
      gradients: new Float32Array(floats).fill(9),
      curvature: withCurvature ? new Float32Array(floats).fill(9) : null,
    };
  });
}

test.each(nets)('gather, scatter: %s: gradients of all rows are those of the loss', async (_name, file) => {
  const setting = settingOf(file);
  const { plan, batch } = setting.encoded;
  expect(batch.rows).toBe(labels.length);
  const { logitGradients, embeddings } = await setting.gradients();
  const sums = sumsFor(setting.encoded, false);
  const curvature = new Float32Array(batch.rows);
  scatter(plan, batch, { logits: logitGradients, embeddings, curvature }, sums);
  let largest = 0;
  await eachWeight(setting, setting.loss, (t, i, up, down) => {
    const wanted = ((up as number) - (down as number)) / (2 * step);
    const found = sums[t].gradients[i];
    expect(Math.abs(found - wanted), `table ${t}, float ${i}: ${found}, not ${wanted}`).toBeLessThan(3e-4);
    largest = Math.max(largest, Math.abs(wanted));
  });
  expect(largest).toBeGreaterThan(0.3);
});

test('gather: wide sums and pooled slots of a small case, by hand', () => {
  const file = smallModel({
    fields: [
      { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
      { name: 'tags', type: 'multi', scope: 'item', table: 'bare', pooling: 'mean' },
    ],
    tables: [
      embeddingTable('ids', 2),
      { name: 'bare', embedding: { dim: 2, optimizer: { type: 'sgd', learningRate: 1 } } },
    ],
    net: 'fm',
  });
  const { plan, batch } = encode(file, [{ items: [{ ad: 'a', tags: 'x|y' }, { tags: 'y' }] }]);
  const input = {
    rows: 2,
    wide: new Float32Array(2).fill(9),
    embeddings: new Float32Array(8).fill(9),
    dense: batch.dense,
    lengths: batch.lengths,
  };
  // Row of "a": wide 0.5, embedding (1, 2). Rows of "x" and "y": (4, 8) and (2, −2).
  gather(plan, batch, [Float32Array.of(0.5, 1, 2), Float32Array.of(4, 8, 2, -2)], input);
  expect(Array.from(input.wide)).toEqual([0.5, 0]);
  expect(Array.from(input.embeddings)).toEqual([1, 2, 3, 3, 0, 0, 2, -2]);
});

test('scatter: the curvature of a wide weight is the sum of p(1−p)x² over its examples', async () => {
  const file = smallModel({
    fields: [
      { name: 'ad', type: 'sparse', scope: 'item', table: 'wide' },
      { name: 'price', type: 'dense', scope: 'item', table: 'wide' },
    ],
  });
  const { plan, batch } = encodeEach(file, [
    {
      items: [
        { ad: 'a', price: 2 },
        { ad: 'b', price: -3 },
        { ad: 'a', price: 0.5 },
      ],
    },
  ]);
  const logits = [0.25, -1, 3];
  const p = logits.map(sigmoid);
  const curvature = Float32Array.from(p, (probability) => probability * (1 - probability));
  const sums = sumsFor({ plan, batch, tables: [], dense: [] }, true);
  const logitGradients = Float32Array.from(p, (probability, b) => probability - [1, 0, 0][b]);
  scatter(plan, batch, { logits: logitGradients, embeddings: new Float32Array(0), curvature }, sums);
  // Keys in order of first occurrence: a, price, b.
  const h = p.map((probability) => probability * (1 - probability));
  const wanted = [h[0] + h[2], 4 * h[0] + 9 * h[1] + 0.25 * h[2], h[1]];
  wanted.forEach((value, key) => {
    expect(sums[0].curvature![key]).toBeCloseTo(value, 6);
  });
});

test('scatter: the curvature of an embedding is the sum of p(1−p)(∂logit/∂w)² over its examples', async () => {
  const setting = settingOf(nets[3][1]);
  const { plan, batch } = setting.encoded;
  const { logits, logitGradients, embeddings } = await setting.gradients();
  const curvature = Float32Array.from(logits, (logit) => sigmoid(logit) * (1 - sigmoid(logit)));
  const sums = sumsFor(setting.encoded, true);
  scatter(plan, batch, { logits: logitGradients, embeddings, curvature }, sums);
  // Table "pairs" is fed by one cross alone; its key of the doubled tag x in request 2 is the one that an example has twice.
  const twice = new Set<number>();
  const pairs = batch.tables[1];
  for (let i = 0; i < pairs.occurrences; i += 1) {
    for (let j = 0; j < i; j += 1) {
      if (pairs.keyOf[i] === pairs.keyOf[j] && pairs.exampleOf[i] === pairs.exampleOf[j])
        twice.add(pairs.keyOf[i]);
    }
  }
  expect(twice.size).toBe(1);
  let looked = 0;
  await eachWeight(setting, setting.logits, (t, i, up, down) => {
    if (t !== 1 || twice.has(Math.floor(i / 3))) return;
    looked += 1;
    let wanted = 0;
    for (let b = 0; b < batch.rows; b += 1) {
      const slope = ((up as Float32Array)[b] - (down as Float32Array)[b]) / (2 * step);
      wanted += curvature[b] * slope * slope;
    }
    expect(Math.abs(sums[1].curvature![i] - wanted)).toBeLessThan(3e-4);
  });
  expect(looked).toBeGreaterThan(6);
});

test('gather: the variance of a logit is Σ x²/(prior + precision) over its wide weights that keep one, by hand', () => {
  const file = smallModel({
    fields: [
      { name: 'ad', type: 'sparse', scope: 'item', table: 'sure' },
      { name: 'price', type: 'dense', scope: 'item', table: 'sure' },
      { name: 'who', type: 'sparse', scope: 'item', table: 'wide' },
    ],
    tables: [{ ...wideTable, name: 'sure', precision: { prior: 2 } }, wideTable],
  });
  const items = [{ ad: 'a', price: 3, who: 'x' }, { ad: 'b', who: 'y' }, { who: 'x' }];
  const { plan, batch } = encodeEach(file, [{ items }]);
  const input = { wide: new Float32Array(3), embeddings: new Float32Array(0) };
  const variances = new Float32Array(3).fill(9);
  // Rows of weight and precision, in order of first occurrence: a, price, b.
  const rows = [Float32Array.of(0.5, 2, 0.25, 4, -1, 0), Float32Array.of(7, 8)];
  gather(plan, batch, rows, input);
  gatherVariances(plan, batch, rows, variances);
  expect([...input.wide]).toEqual([0.5 + 3 * 0.25 + 7, 8 - 1, 7]);
  // 1/(2 + 2) + 9/(2 + 4); 1/(2 + 0); no weight that keeps a precision.
  expect([...variances]).toEqual([1.75, 0.5, 0]);
});

test('scatter: a precision grows by Σ p(1−p)x² of its wide weight, beside the weight’s own gradient, by hand', () => {
  const embedding = { dim: 2, optimizer: { type: 'sgd', learningRate: 1 } } as const;
  const file = smallModel({
    fields: [
      { name: 'ad', type: 'sparse', scope: 'item', table: 'sure' },
      { name: 'price', type: 'dense', scope: 'item', table: 'sure' },
    ],
    tables: [{ ...wideTable, name: 'sure', embedding, precision: { prior: 2 } }],
    net: 'fm',
  });
  const { plan, batch } = encodeEach(file, [
    {
      items: [
        { ad: 'a', price: 3 },
        { ad: 'a', price: -1 },
      ],
    },
  ]);
  const sums = sumsFor({ plan, batch, tables: [], dense: [] }, false);
  const from = {
    logits: Float32Array.of(0.5, -0.25),
    curvature: Float32Array.of(0.25, 0.125),
    embeddings: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  };
  scatter(plan, batch, from, sums);
  // Rows: wide, two floats of the embedding, precision. a: x = 1 twice; price: x = 3 and −1.
  expect([...sums[0].gradients]).toEqual([0.25, 6, 8, 0.375, 1.75, 2, 4, 9 * 0.25 + 0.125]);
});

test('gather: the items of a request come to what each comes to alone, to the bit, wide, embeddings and variances', () => {
  const file = smallModel({
    fields: [
      { name: 'ad', type: 'sparse', scope: 'item', table: 'ids' },
      { name: 'who', type: 'sparse', scope: 'user', table: 'ids' },
      { name: 'seen', type: 'sequence', scope: 'user', table: 'ids' },
      { name: 'age', type: 'dense', scope: 'context', table: 'ids' },
    ],
    crosses: [
      { name: 'shared', fields: ['who', 'seen'], table: 'ids' },
      { name: 'pair', fields: ['who', 'ad'], table: 'ids' },
    ],
    tables: [{ ...embeddingTable('ids', 3), precision: { prior: 2 } }],
    net: 'fm',
    bias: true,
  });
  const asked: Request[] = [
    { user: { who: 'eve', seen: 'a|b' }, context: { age: 3 }, items: [{ ad: 'a' }, { ad: 'b' }, {}] },
    { user: { who: 'bob' }, items: [{ ad: 'b' }, { ad: 'c' }] },
  ];
  const gathered = ({ plan, batch }: Encoded) => {
    const width = plan.embeddingFloats;
    const input = { wide: new Float32Array(batch.rows), embeddings: new Float32Array(batch.rows * width) };
    const variances = new Float32Array(batch.rows);
    const { keys, unique } = batch.tables[0];
    // A row of its key alone, whatever its place.
    const rows = Float32Array.from({ length: unique * 5 }, (_, i) =>
      Math.abs(Math.sin(keys[2 * Math.floor(i / 5)] + (i % 5))),
    );
    gather(plan, batch, [rows], input);
    gatherVariances(plan, batch, [rows], variances);
    const requests = { starts: batch.starts, count: batch.requests };
    const whole = { ...input, rows: batch.rows, dense: batch.dense, lengths: batch.lengths, requests };
    spreadShared(whole, sharedInputsOf(compileNet(file)).shared, width);
    return { ...input, variances };
  };
  const together = encode(file, asked);
  const apart = encodeEach(file, asked);
  expect(gathered(together)).toEqual(gathered(apart));
  expect(together.batch.tables[0].occurrences).toBeLessThan(apart.batch.tables[0].occurrences);
});
