import { isMillraceError } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { openEngine } from '../src/choose-engine.ts';
import { type EngineName, engineNames } from '../src/engine.ts';
import { createPlainEngine } from '../src/plain-engine.ts';
import { shapeOf } from './net-cases.ts';

const linear = shapeOf({ wide: true, layers: [] }, { slots: 0, dense: 0 });
const layered = shapeOf({ wide: true, layers: [{ units: 4 }] }, { slots: 0, dense: 2 });

/** Stands for a machine where only these engines load. */
function machineWith(...names: EngineName[]) {
  const asked: EngineName[] = [];
  const skipped: string[] = [];
  return {
    asked,
    skipped,
    load: async (name: EngineName) => {
      asked.push(name);
      if (!names.includes(name)) throw new Error(`no ${name} here`);
      return { ...createPlainEngine(), name };
    },
    onSkip: (name: EngineName, reason: string) => {
      skipped.push(`${name}: ${reason}`);
    },
  };
}

test('engine choice: auto takes the best that loads and tells each skip once', async () => {
  const machine = machineWith('wasm', 'cpu', 'plain');
  const engine = await openEngine({ wanted: 'auto', shape: layered, ...machine });
  expect(engine.name).toBe('wasm');
  expect(machine.skipped).toEqual(
    ['onnx-cuda', 'tfjs-node-gpu', 'onnx', 'tfjs-node'].map((name) => `${name}: no ${name} here`),
  );
});

test('engine choice: auto takes the GPU when it is there', async () => {
  const machine = machineWith(...engineNames);
  const engine = await openEngine({ wanted: 'auto', shape: layered, ...machine });
  expect(engine.name).toBe('onnx-cuda');
  expect(machine.skipped).toEqual([]);
});

test('engine choice: auto takes plain for a net without layers and tries nothing else', async () => {
  const machine = machineWith(...engineNames);
  const engine = await openEngine({ wanted: 'auto', shape: linear, ...machine });
  expect(engine.name).toBe('plain');
  expect(machine.asked).toEqual(['plain']);
});

test('engine choice: an engine asked for by name that does not load is an error, not a substitute', async () => {
  const machine = machineWith('wasm', 'plain');
  const wanted = openEngine({ wanted: 'tfjs-node', shape: layered, ...machine });
  await expect(wanted).rejects.toSatisfy((error) => isMillraceError(error, 'MILL_ENGINE_UNAVAILABLE'));
  await expect(wanted).rejects.toThrow('engine "tfjs-node" cannot be loaded here: no tfjs-node here');
  expect(machine.asked).toEqual(['tfjs-node']);
  expect(machine.skipped).toEqual([]);
});

test('engine choice: auto finds a real engine for layers here, and says why it is not a better one', async () => {
  const skipped: EngineName[] = [];
  const engine = await openEngine({
    wanted: 'auto',
    shape: layered,
    onSkip: (name) => {
      skipped.push(name);
    },
  });
  expect(skipped).toEqual(engineNames.slice(1, engineNames.indexOf(engine.name)));
  expect(engineNames.indexOf(engine.name)).toBeLessThanOrEqual(engineNames.indexOf('wasm'));
  engine.dispose();
});
