import {
  decodeExperimentCatalog,
  type ExperimentCatalog,
  encodeExperimentCatalog,
  experimentsMax,
} from '@millrace/protocol';
import { describe, expect, test } from 'vitest';
import {
  experimentIn,
  sharesOf,
  withArmOut,
  withExperiment,
  withShares,
  withStopped,
} from '../src/catalog.ts';
import { experimentFrom } from '../src/experiment-file.ts';
import { takenOutOf } from '../src/report.ts';
import { buttonSpec, catalogWith, change } from './specs.ts';

describe('experiments: file', () => {
  test('experiments: file: what is left out has its default', () => {
    expect(experimentFrom(buttonSpec)).toMatchObject({
      layer: 'main',
      salt: 'main',
      control: 'a',
      confidence: 0.95,
      guards: { logloss: 0.1, nan: 0 },
      arms: [
        { name: 'a', buckets: 5_000, learn: 'shared', shadow: false, target: { type: 'default' } },
        { name: 'b' },
      ],
    });
  });

  const arm = { name: 'a', share: 0.1 };
  test.each([
    ['no object', 'text', /experiment: wanted an object/],
    ['an unknown property', { ...buttonSpec, weight: 1 }, /weight: wanted one of/],
    ['a key of nothing', { ...buttonSpec, key: 'item.id' }, /key: wanted user\.FIELD/],
    ['no arms', { ...buttonSpec, arms: [] }, /arms: wanted 1 to 8/],
    ['an arm twice', { ...buttonSpec, arms: [arm, arm] }, /arms: wanted each name once/],
    [
      'half a bucket',
      { ...buttonSpec, arms: [{ name: 'a', share: 0.00005 }] },
      /arms\[0\]\.share: wanted 0 to 1/,
    ],
    ['a foreign control', { ...buttonSpec, control: 'c' }, /control: wanted one of a, b/],
    [
      'a bad target',
      { ...buttonSpec, arms: [{ ...arm, target: { type: 'best' } }] },
      /target\.type: wanted default/,
    ],
    [
      'its own model',
      { ...buttonSpec, arms: [{ ...arm, target: { type: 'model', model: 'shop' } }] },
      /another model/,
    ],
    [
      'shared rows of a model of its own',
      { ...buttonSpec, arms: [{ ...arm, learn: 'apart' }] },
      /learn: wanted shared/,
    ],
    [
      'an unknown policy',
      { ...buttonSpec, arms: [{ ...arm, exploration: { type: 'ucb' } }] },
      /exploration\.type/,
    ],
    [
      'a policy out of range',
      { ...buttonSpec, arms: [{ ...arm, exploration: { type: 'softmax', temperature: 0 } }] },
      /temperature/,
    ],
    [
      'a bound below 0',
      { ...buttonSpec, guards: { logloss: -1 } },
      /guards\.logloss: wanted a number from 0/,
    ],
  ])('experiments: file: refuses %s', (_, value, message) => {
    expect(() => experimentFrom(value)).toThrow(message);
  });
});

describe('experiments: catalog', () => {
  test('experiments: catalog: is the same once it was written and read', () => {
    const catalog = withStopped(catalogWith(buttonSpec), 'button', 'b', change);
    expect(decodeExperimentCatalog(encodeExperimentCatalog(catalog))).toEqual(catalog);
  });

  test('experiments: catalog: a layer has no more than all of its units, nor two ways of dealing them', () => {
    const third = { name: 'third', model: 'shop', key: 'user.user', arms: [{ name: 'c', share: 0.1 }] };
    expect(() => catalogWith(buttonSpec, third)).toThrow(/share: wanted at most 0 together/);
    const half = { ...buttonSpec, arms: [{ name: 'a', share: 0.5 }] };
    expect(() => catalogWith(half, { ...third, key: 'context.page' })).toThrow(
      /layer: wanted key user\.user/,
    );
    expect(() => catalogWith(half, half)).toThrow(/name: wanted one that no experiment here had/);
    const other = {
      ...third,
      layer: 'other',
      arms: [{ name: 'c', share: 1, target: { type: 'label', label: 'next' } }],
    };
    expect(() => catalogWith(buttonSpec, other)).toThrow(/decides what scores there/);
  });

  test('experiments: catalog: no more arms run than results are kept of', () => {
    const arms = Array.from({ length: 8 }, (_, i) => ({ name: `a${i}`, share: 0.01 }));
    const many = Array.from({ length: 4 }, (_, i) => ({ ...buttonSpec, name: `many${i}`, arms }));
    const full = catalogWith(...many);
    const one = experimentFrom({ ...buttonSpec, arms: [{ name: 'one', share: 0.01 }] });
    expect(() => withExperiment(full, one, change)).toThrow(/at most 32 arms .* and 32 run, found 1 more/);
    const freed = withStopped(full, 'many0', null, change);
    expect(withExperiment(freed, one, change).experiments).toHaveLength(5);
  });

  test('experiments: catalog: shares change within what is free, and every change is remembered', () => {
    const catalog = catalogWith(buttonSpec);
    expect(() => withShares(catalog, 'button', { b: 0.6 }, change)).toThrow(/at most 1 together/);
    expect(() => withShares(catalog, 'button', { c: 0.1 }, change)).toThrow(/no arm "c"; there are a, b/);
    expect(() => withShares(catalog, 'knob', { b: 0.1 }, change)).toThrow(
      /no experiment "knob"; there are button/,
    );
    const next = experimentIn(
      withShares(catalog, 'button', { b: 0.25 }, { ...change, reason: 'less' }),
      'button',
    );
    expect(sharesOf(next)).toEqual({ a: 0.5, b: 0.25 });
    expect(next.changes.map(({ reason, shares }) => [reason, shares.b])).toEqual([
      ['started', 0.5],
      ['less', 0.25],
    ]);
  });

  test('experiments: catalog: a guard takes an arm out once, and who gives it units again has the last word', () => {
    const outOf = (catalog: ExperimentCatalog) => {
      const experiment = experimentIn(catalog, 'button');
      return takenOutOf(experiment, experiment.arms[1]);
    };
    const catalog = catalogWith(buttonSpec);
    const out = withArmOut(catalog, 'button', 'b', { timeMs: 2_000, reason: 'worse' });
    expect(sharesOf(experimentIn(out, 'button'))).toEqual({ a: 0.5, b: 0 });
    expect(outOf(out)).toBe('worse');
    expect(withArmOut(out, 'button', 'b', { timeMs: 2_001, reason: 'worse' })).toBe(out);
    expect(outOf(withShares(out, 'button', { b: 0.1 }, change))).toBeNull();
    const ended = withStopped(catalog, 'button', null, change);
    expect(withArmOut(ended, 'button', 'b', { timeMs: 2_000, reason: 'worse' })).toBe(ended);
  });

  test('experiments: catalog: units of an ended experiment are free, and what it kept goes when it is stopped again', () => {
    const kept = withStopped(catalogWith(buttonSpec), 'button', 'b', change);
    expect(kept.kept).toMatchObject({ experiment: 'button', arm: 'b' });
    expect(withStopped(kept, 'button', null, change).kept).toBeNull();
    expect(() => withShares(kept, 'button', { b: 0.1 }, change)).toThrow(/which has ended/);
  });

  test('experiments: catalog: ended ones are forgotten oldest first, but not one that is in charge', () => {
    let catalog = withStopped(catalogWith(buttonSpec), 'button', 'b', change);
    for (let i = 1; i <= experimentsMax; i += 1) {
      const spec = { ...buttonSpec, name: `button-${i}` };
      catalog = withExperiment(catalog, experimentFrom(spec), change);
      catalog = withStopped(catalog, spec.name, null, change);
    }
    const names = catalog.experiments.map(({ name }) => name);
    expect([names.length, names[0], names[1]]).toEqual([experimentsMax, 'button', 'button-2']);
    expect(withStopped(catalog, 'button', null, change).kept).toBeNull();
  });
});
