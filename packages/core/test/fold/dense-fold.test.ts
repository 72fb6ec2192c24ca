import { type DensePutBlock, encodeDensePutBlock, type OptimizerSpec } from '@millrace/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  applyDense,
  createDenseState,
  type DenseState,
  denseHash,
  stepDense,
} from '../../src/fold/dense-fold.ts';
import { damaged, densePayloadOf, type LogMessage } from './logs.ts';

const sgd: OptimizerSpec = { type: 'sgd', learningRate: 0.5 };
const adam: OptimizerSpec = { type: 'adam', learningRate: 0.25 };

function emptyState(optimizer = adam): DenseState {
  return createDenseState({ model: 'ads', fingerprint: 77, initial: Float32Array.of(1, 2, 3), optimizer });
}

function folded(log: readonly LogMessage[], state = emptyState()): DenseState {
  for (const message of log) applyDense(state, message, 'report');
  return state;
}

function kindOf(state: DenseState, sequence: number, payload: Uint8Array): string {
  const outcome = applyDense(state, { sequence, payload }, 'report');
  return outcome.kind === 'rejected' ? outcome.error.code : outcome.kind;
}

function bytesOfState(state: DenseState): unknown {
  const { weights, optimizerState, sequence, producers } = state;
  const words = (array: Float32Array) => new Uint32Array(array.slice().buffer);
  return [words(weights), words(optimizerState), sequence, [...producers].sort()];
}

test('dense fold: a block is one step of the optimizer, hand-computed', () => {
  const state = emptyState(sgd);
  expect(kindOf(state, 9, densePayloadOf())).toBe('applied');
  // 1 − 0.5 · 0.5; 2 − 0.5 · (−1); 3 − 0.5 · 0.25.
  expect([...state.weights]).toEqual([0.75, 2.5, 2.875]);
  expect([state.sequence, [...state.producers], state.counts]).toEqual([
    9,
    [['u', 1]],
    { applied: 1, duplicates: 0, rejected: 0 },
  ]);
});

test('dense fold: takes the initial weights over and starts their optimizer state', () => {
  const initial = Float32Array.of(0.5);
  const state = createDenseState({ model: 'ads', fingerprint: 77, initial, optimizer: adam });
  expect(state.weights).toBe(initial);
  // m, v, β1^0, β2^0.
  expect([...state.optimizerState]).toEqual([0, 0, 1, 1]);
  // A gradient of 0 leaves them where they are.
  applyDense(state, { sequence: 1, payload: densePayloadOf({ gradients: new Float32Array(1) }) }, 'report');
  expect(initial[0]).toBe(0.5);
});

test('dense fold: moments stand behind the weights, and the optimizer has no part in them', () => {
  const options = { model: 'ads', fingerprint: 77, initial: Float32Array.of(1), optimizer: sgd, moments: 2 };
  const state = createDenseState(options);
  expect([...state.weights]).toEqual([1, 0, 0, 0, 0, 0, 0]);
  const block = (sequence: number, gradients: number[]) =>
    densePayloadOf({ sequence, previous: sequence - 1, gradients: Float32Array.from(gradients) });
  expect(kindOf(state, 1, block(1, [0.5, 2, 2, 2, 0, 0, 0]))).toBe('applied');
  expect([...state.weights]).toEqual([0.75, 2, 2, 2, 0, 0, 0]);
  // A state made again from these floats takes the same next step.
  const again = createDenseState({ ...options, initial: Float32Array.of(9) });
  again.weights.set(state.weights);
  for (const fold of [state, again]) stepDense(fold, Float32Array.of(-1, 3, 7, 8, 1, 4, 0));
  expect([...state.weights]).toEqual([1.25, 5, 5, 40, 1, 4, 0]);
  expect([...again.weights]).toEqual([...state.weights]);
  expect(kindOf(state, 9, block(2, [1]))).toBe('MILL_BLOCK_FOREIGN');
});

test('dense fold: a net without dense weights folds too', () => {
  const state = createDenseState({
    model: 'ads',
    fingerprint: 77,
    initial: new Float32Array(0),
    optimizer: { type: 'rowwise-adagrad', learningRate: 1 },
  });
  expect(kindOf(state, 3, densePayloadOf({ gradients: new Float32Array(0) }))).toBe('applied');
  expect([state.sequence, denseHash(state).length]).toEqual([3, 64]);
});

test('dense fold: applies a repeated block once, and passes over what was delivered before', () => {
  const state = emptyState();
  expect(kindOf(state, 5, densePayloadOf())).toBe('applied');
  const weights = state.weights.slice();
  expect(kindOf(state, 6, densePayloadOf())).toBe('duplicate');
  expect(kindOf(state, 6, densePayloadOf({ sequence: 2, previous: 1 }))).toBe('stale');
  expect([state.weights, state.sequence]).toEqual([weights, 6]);
  expect(state.counts).toEqual({ applied: 1, duplicates: 1, rejected: 0 });
});

test('dense fold: a gap is reported and changes nothing, then accepted', () => {
  const state = folded([{ sequence: 5, payload: densePayloadOf() }]);
  const before = bytesOfState(state);
  const message = { sequence: 9, payload: densePayloadOf({ sequence: 3, previous: 2 }) };
  expect(applyDense(state, message, 'report').kind).toBe('gap');
  expect([bytesOfState(state), state.counts.applied]).toEqual([before, 1]);
  expect(applyDense(state, message, 'accept').kind).toBe('applied');
  expect([state.sequence, state.producers.get('u')]).toEqual([9, 3]);
});

test.each([
  { what: 'another model', parts: { model: 'feed' }, code: 'MILL_BLOCK_FOREIGN' },
  { what: 'another model file', parts: { fingerprint: 78 }, code: 'MILL_BLOCK_FOREIGN' },
  { what: 'another length', parts: { gradients: new Float32Array(2) }, code: 'MILL_BLOCK_FOREIGN' },
  {
    what: 'a gradient that is no number',
    parts: { gradients: Float32Array.of(1, Number.NaN, 1) },
    code: 'MILL_BLOCK_INVALID',
  },
  {
    what: 'an infinite gradient',
    parts: { gradients: Float32Array.of(1, 1, Number.NEGATIVE_INFINITY) },
    code: 'MILL_BLOCK_INVALID',
  },
])('dense fold: a block of $what is counted and passed over', ({ parts, code }) => {
  const state = emptyState();
  const before = [state.weights.slice(), state.optimizerState.slice()];
  expect(kindOf(state, 4, densePayloadOf(parts))).toBe(code);
  expect([state.weights, state.optimizerState]).toEqual(before);
  expect([state.sequence, state.producers.size, state.counts.rejected]).toEqual([4, 0, 1]);
});

test('dense fold: a damaged block is counted and passed over, whichever byte it is', () => {
  const payload = densePayloadOf();
  const state = emptyState();
  for (let at = 0; at < payload.length; at += 1) {
    expect(kindOf(state, 1 + at, damaged(payload, at))).toBe('MILL_BLOCK_INVALID');
  }
  expect([...state.weights, state.counts.rejected, state.sequence]).toEqual([
    1,
    2,
    3,
    payload.length,
    payload.length,
  ]);
});

const anyLog: fc.Arbitrary<LogMessage[]> = fc
  .array(
    fc.record({
      producer: fc.nat(2),
      gradients: fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: 3, maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((plans) => {
    const last = [0, 0, 0];
    return plans.map(({ producer, gradients }, i) => {
      const previous = last[producer];
      last[producer] = previous + 2;
      const mark = { producer: `u${producer}`, sequence: previous + 2, previous };
      return {
        sequence: 10 * (i + 1),
        payload: densePayloadOf({ ...mark, gradients: Float32Array.from(gradients) }),
      };
    });
  });

test('dense fold: a log cut anywhere, with repetitions and damage anywhere, ends in the same bytes (property)', () => {
  fc.assert(
    fc.property(
      anyLog,
      fc.array(fc.record({ after: fc.nat(50), which: fc.nat(50), isDamaged: fc.boolean() }), {
        maxLength: 6,
      }),
      fc.nat(50),
      (log, additions, cutAt) => {
        const other = log.flatMap((message, i) => {
          let { sequence } = message;
          const behind = additions.filter(
            ({ after }) => i < log.length - 1 && after % (log.length - 1) === i,
          );
          const extra = behind.map(({ which, isDamaged }) => {
            const { payload } = log[which % (i + 1)];
            sequence += 1;
            return { sequence, payload: isDamaged ? damaged(payload, which) : payload };
          });
          return [message, ...extra, message];
        });
        const plain = folded(log);
        expect(plain.counts.applied).toBe(log.length);
        const cut = cutAt % (other.length + 1);
        const state = folded(other.slice(0, cut));
        const restored: DenseState = {
          ...state,
          weights: state.weights.slice(),
          optimizerState: state.optimizerState.slice(),
          producers: new Map(state.producers),
        };
        folded(other, restored);
        expect(bytesOfState(restored)).toEqual(bytesOfState(plain));
        expect(denseHash(restored)).toBe(denseHash(plain));
      },
    ),
    { numRuns: 60 },
  );
});

test('dense hash: does not depend on the order in which producers came', () => {
  const gradients = new Float32Array(3);
  const [a, b] = ['a', 'b'].map((producer) => densePayloadOf({ producer, gradients }));
  const hashes = [
    [a, b],
    [b, a],
  ].map((payloads) => {
    return denseHash(folded(payloads.map((payload, i) => ({ sequence: i + 1, payload }))));
  });
  expect(hashes[0]).toBe(hashes[1]);
});

/** `state` with one of its numbers changed. */
function bump(state: DenseState, array: Float32Array, at: number): DenseState {
  array[at] += 1;
  return state;
}

test('dense hash: is pinned, and changes with every part of the state', () => {
  const make = () => folded([{ sequence: 5, payload: densePayloadOf() }]);
  // SHA-256 by another program: of the text ["ads",77,0,[]], the float32 1, 2, 3, and Adam's six zeros and two ones.
  expect(denseHash(emptyState())).toBe('a88e8611cb945094446187309d4f0bd505d675b0022f0f54fb76f8e453d5d7ab');
  const changes: ((state: DenseState) => DenseState)[] = [
    (state) => state,
    (state) => ({ ...state, model: 'feed' }),
    (state) => ({ ...state, fingerprint: 78 }),
    (state) => ({ ...state, sequence: 6 }),
    (state) => ({ ...state, producers: new Map([['u', 2]]) }),
    (state) => ({ ...state, producers: new Map([['v', 1]]) }),
    ...[0, 1, 2].map((at) => (state: DenseState) => bump(state, state.weights, at)),
    ...[0, 3, 6, 7].map((at) => (state: DenseState) => bump(state, state.optimizerState, at)),
  ];
  const hashes = changes.map((change) => denseHash(change(make())));
  expect(new Set(hashes).size).toBe(changes.length);
  const counted = make();
  counted.counts.duplicates = 9;
  expect(denseHash(counted)).toBe(hashes[0]);
});

test('dense fold: a put block sets the weights, with their optimizer state or as new ones start', () => {
  const adagrad: OptimizerSpec = { type: 'adagrad', learningRate: 0.5, initialAccumulator: 0.25 };
  const initial = Float32Array.of(1, 2, 3);
  const state = createDenseState({ model: 'ads', fingerprint: 77, initial, optimizer: adagrad });
  const put = (sequence: number, parts: Partial<DensePutBlock>) => {
    const mark = { producer: 'import', sequence, previous: sequence - 1, model: 'ads', fingerprint: 77 };
    const arrays = { weights: Float32Array.of(7, 8, 9), state: new Float32Array() };
    const payload = encodeDensePutBlock({ ...mark, timeMs: 0, ...arrays, ...parts });
    const outcome = applyDense(state, { sequence: state.sequence + 1, payload }, 'report');
    return outcome.kind === 'rejected' ? outcome.error.code : outcome.kind;
  };
  expect(put(1, { state: Float32Array.of(1, 2, 3) })).toBe('applied');
  expect([[...state.weights], [...state.optimizerState]]).toEqual([
    [7, 8, 9],
    [1, 2, 3],
  ]);
  expect(put(2, { weights: Float32Array.of(4, 5, 6) })).toBe('applied');
  expect([[...state.weights], [...state.optimizerState]]).toEqual([
    [4, 5, 6],
    [0.25, 0.25, 0.25],
  ]);
  const hash = denseHash({ ...state, sequence: 0 });
  // The same chain rules, and refused whole where anything is wrong.
  expect(put(2, {})).toBe('duplicate');
  expect(put(9, {})).toBe('gap');
  expect(put(3, { weights: Float32Array.of(1) })).toBe('MILL_BLOCK_FOREIGN');
  expect(put(3, { state: Float32Array.of(1) })).toBe('MILL_BLOCK_FOREIGN');
  expect(put(3, { fingerprint: 78 })).toBe('MILL_BLOCK_FOREIGN');
  expect(put(3, { weights: Float32Array.of(1, Number.NaN, 3) })).toBe('MILL_BLOCK_INVALID');
  expect(put(3, { state: Float32Array.of(1, 2, Number.POSITIVE_INFINITY) })).toBe('MILL_BLOCK_INVALID');
  expect(denseHash({ ...state, sequence: 0 })).toBe(hash);
});
