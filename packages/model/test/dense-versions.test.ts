import { expect, test } from 'vitest';
import { createDenseVersions } from '../src/dense-versions.ts';
import type { LoadedWeights, Program } from '../src/engine.ts';

interface Loaded extends LoadedWeights {
  readonly weights: readonly number[];
  disposed: number;
}

/** A program that remembers what was loaded and what is still held. */
function stubProgram(): { program: Program; loaded: Loaded[]; held: () => number[][] } {
  const loaded: Loaded[] = [];
  const program: Program = {
    load(weights) {
      const copy: Loaded = {
        weights: Array.from(weights),
        disposed: 0,
        dispose() {
          copy.disposed += 1;
        },
      };
      loaded.push(copy);
      return copy;
    },
    forward: () => Promise.reject(new Error('not in this test')),
    gradients: () => Promise.reject(new Error('not in this test')),
    dispose() {},
  };
  const held = () => loaded.filter(({ disposed }) => disposed === 0).map(({ weights }) => [...weights]);
  return { program, loaded, held };
}

const fold = () => ({ weights: Float32Array.of(1, 2), sequence: 0 });

test('dense versions: the first version is what the fold holds at the start', () => {
  const { program, loaded } = stubProgram();
  const versions = createDenseVersions(program, { weights: Float32Array.of(1, 2), sequence: 7 });
  expect(versions.current).toEqual({ version: 7, loaded: loaded[0], scales: new Float64Array(0) });
  expect(loaded[0].weights).toEqual([1, 2]);
});

test('dense versions: refresh: nothing happens while the fold stands where it stood', () => {
  const { program, loaded } = stubProgram();
  const versions = createDenseVersions(program, fold());
  expect([versions.refresh(), versions.refresh(), loaded.length]).toEqual(['same', 'same', 1]);
});

test('dense versions: refresh: a version is a copy of the fold at one sequence', () => {
  const { program, loaded } = stubProgram();
  const source = fold();
  const versions = createDenseVersions(program, source);
  source.weights.set([3, 4]);
  source.sequence = 9;
  expect(versions.refresh()).toBe('swapped');
  source.weights.set([5, 6]);
  expect(versions.current).toMatchObject({ version: 9, loaded: loaded[1] });
  expect(loaded[1].weights).toEqual([3, 4]);
});

test('dense versions: refresh: the version before is kept until the next swap, then given back once', () => {
  const { program, loaded, held } = stubProgram();
  const source = fold();
  const versions = createDenseVersions(program, source);
  for (let sequence = 1; sequence <= 3; sequence += 1) {
    source.sequence = sequence;
    source.weights.fill(10 * sequence);
    versions.refresh();
    expect(held()).toEqual([
      sequence === 1 ? [1, 2] : [10 * (sequence - 1), 10 * (sequence - 1)],
      [10 * sequence, 10 * sequence],
    ]);
  }
  expect(loaded.map(({ disposed }) => disposed)).toEqual([1, 1, 0, 0]);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  'dense versions: refresh: weights with %d in them are refused and the running version stays',
  (bad) => {
    const { program, held } = stubProgram();
    const source = fold();
    const versions = createDenseVersions(program, source);
    const { current } = versions;
    source.sequence = 1;
    source.weights[1] = bad;
    expect([versions.refresh(), versions.refresh()]).toEqual(['refused', 'refused']);
    expect([versions.current, held()]).toEqual([current, [[1, 2]]]);
    source.sequence = 2;
    source.weights[1] = 8;
    expect([versions.refresh(), versions.current.version]).toEqual(['swapped', 2]);
  },
);

test('dense versions: refresh: an engine that cannot load leaves the running version in place', () => {
  const { program } = stubProgram();
  const source = fold();
  const load = program.load.bind(program);
  let broken = false;
  const versions = createDenseVersions(
    {
      ...program,
      load(weights) {
        if (broken) throw new Error('out of memory');
        return load(weights);
      },
    },
    source,
  );
  const { current } = versions;
  source.sequence = 1;
  broken = true;
  expect(() => versions.refresh()).toThrow('out of memory');
  expect(versions.current).toBe(current);
  broken = false;
  expect([versions.refresh(), versions.current.version]).toEqual(['swapped', 1]);
});

test('dense versions: dispose: gives back both versions, each once', () => {
  const { program, loaded, held } = stubProgram();
  const source = fold();
  const versions = createDenseVersions(program, source);
  source.sequence = 1;
  versions.refresh();
  source.sequence = 2;
  versions.refresh();
  versions.dispose();
  expect(held()).toEqual([]);
  expect(loaded.map(({ disposed }) => disposed)).toEqual([1, 1, 1]);
});

const noTurn = async () => {};

/** As stubProgram, and what is loaded can be overwritten; `loads` counts memory that was asked for. */
function reloadingProgram() {
  let loads = 0;
  const program: Program = {
    ...stubProgram().program,
    load(weights) {
      loads += 1;
      return { weights: weights.slice(), dispose() {} } as LoadedWeights;
    },
    reload: (loaded, weights) => (loaded as unknown as { weights: Float32Array }).weights.set(weights),
  };
  const valuesOf = ({ loaded }: { readonly loaded: LoadedWeights }) =>
    Array.from((loaded as unknown as { weights: Float32Array }).weights);
  return { program, loads: () => loads, valuesOf };
}

test('dense versions: prepare: the running version stays until the swap, which loads nothing', async () => {
  const { program, loads, valuesOf } = reloadingProgram();
  const source = fold();
  const versions = createDenseVersions(program, source);
  source.weights.set([3, 4]);
  source.sequence = 1;
  expect(await versions.prepare(noTurn)).toBe('ready');
  expect([versions.current.version, valuesOf(versions.current)]).toEqual([0, [1, 2]]);
  const before = loads();
  versions.swap();
  expect([versions.current.version, valuesOf(versions.current), loads()]).toEqual([1, [3, 4], before]);
  expect(await versions.prepare(noTurn)).toBe('same');
});

test('dense versions: prepare: a fold that goes on between its steps is taken at one sequence', async () => {
  const { program, valuesOf } = reloadingProgram();
  const source = fold();
  const versions = createDenseVersions(program, source);
  source.sequence = 5;
  source.weights.set([5, 5]);
  const prepared = versions.prepare(async () => {
    source.sequence += 1;
    source.weights.fill(source.sequence);
  });
  expect(await prepared).toBe('ready');
  versions.swap();
  expect([versions.current.version, valuesOf(versions.current)]).toEqual([5, [5, 5]]);
});

test('dense versions: prepare: two memories do for any number of swaps, and what is in use is never written', async () => {
  const { program, loads, valuesOf } = reloadingProgram();
  const source = fold();
  const versions = createDenseVersions(program, source);
  for (let sequence = 1; sequence <= 20; sequence += 1) {
    const running = valuesOf(versions.current);
    source.sequence = sequence;
    source.weights.fill(sequence);
    await versions.prepare(async () => expect(valuesOf(versions.current)).toEqual(running));
    // Prepared again before it was swapped in: the newer one counts.
    if (sequence % 3 === 0) {
      source.weights.fill(-sequence);
      source.sequence = sequence + 0.5;
      await versions.prepare(noTurn);
    }
    expect(valuesOf(versions.current)).toEqual(running);
    versions.swap();
    expect(valuesOf(versions.current)).toEqual(Array(2).fill(sequence % 3 === 0 ? -sequence : sequence));
  }
  expect(loads()).toBe(2);
});

test('dense versions: prepare: without overwriting, everything loaded is given back once', async () => {
  const { program, loaded, held } = stubProgram();
  const source = fold();
  const versions = createDenseVersions(program, source);
  for (let sequence = 1; sequence <= 4; sequence += 1) {
    source.sequence = sequence;
    source.weights.fill(sequence);
    await versions.prepare(noTurn);
    if (sequence !== 2) versions.swap();
  }
  source.sequence = 9;
  await versions.prepare(noTurn);
  source.sequence = 10;
  versions.refresh();
  expect(held().length).toBe(2);
  versions.dispose();
  expect(loaded.map(({ disposed }) => disposed)).toEqual(loaded.map(() => 1));
});

test('dense versions: prepare: weights that are not finite are refused', async () => {
  const { program, held } = stubProgram();
  const source = fold();
  const versions = createDenseVersions(program, source);
  source.sequence = 1;
  source.weights[0] = Number.NaN;
  expect(await versions.prepare(noTurn)).toBe('refused');
  versions.swap();
  expect([versions.current.version, held()]).toEqual([0, [[1, 2]]]);
});

test('dense versions: revert: the version before comes back, and weights that were taken back stay so', () => {
  const { program, held } = stubProgram();
  const source = fold();
  const versions = createDenseVersions(program, source);
  expect(versions.revert()).toBeNull();
  source.weights.set([3, 4]);
  source.sequence = 9;
  versions.refresh();
  const end = versions.revert();
  expect(versions.current.version).toBe(0);
  end?.(true);
  expect(held()).toEqual([[1, 2]]);
  expect([versions.refresh(), versions.current.version]).toEqual(['same', 0]);
  source.sequence = 10;
  expect([versions.refresh(), versions.current.version]).toEqual(['swapped', 10]);
});

test('dense versions: revert: a trial that fails leaves everything as it was', () => {
  const { program, held } = stubProgram();
  const source = fold();
  const versions = createDenseVersions(program, source);
  source.weights.set([3, 4]);
  source.sequence = 9;
  versions.refresh();
  versions.revert()?.(false);
  expect(versions.current.version).toBe(9);
  expect(held()).toEqual([
    [1, 2],
    [3, 4],
  ]);
});

test('dense versions: revert: weights that were prepared again during their trial are not swapped in', async () => {
  const { program, loaded, held } = stubProgram();
  const source = fold();
  const versions = createDenseVersions(program, source);
  source.weights.set([3, 4]);
  source.sequence = 9;
  versions.refresh();
  const end = versions.revert();
  expect(await versions.prepare(noTurn)).toBe('ready');
  end?.(true);
  versions.swap();
  expect(versions.current.version).toBe(0);
  source.weights.set([5, 6]);
  source.sequence = 10;
  await versions.prepare(noTurn);
  versions.swap();
  expect([versions.current.version, held()]).toEqual([
    10,
    [
      [1, 2],
      [5, 6],
    ],
  ]);
  versions.dispose();
  expect(loaded.map(({ disposed }) => disposed)).toEqual(loaded.map(() => 1));
});
