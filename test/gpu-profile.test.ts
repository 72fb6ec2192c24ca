/** docker-compose.yml's profile `gpu` and the Dockerfile's target of that name, as far as they can be checked without a GPU. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { engineNames } from '@millrace/model';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { root } from './source-tree.ts';

interface Service {
  readonly profiles?: readonly string[];
  readonly image: string;
  readonly build?: { readonly target: string; readonly args: Readonly<Record<string, string>> };
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly read_only: boolean;
  readonly deploy?: { readonly resources?: { readonly reservations?: { readonly devices?: unknown } } };
}

const run = promisify(execFile);
const text = (file: string) => readFileSync(join(root, file), 'utf8');
const compose = text('docker-compose.yml');
const { services } = parse(compose, { merge: true }) as { services: Readonly<Record<string, Service>> };
const gpu = services['inference-gpu'];
/** The default in `${NAME:-default}`. */
const defaultOf = (value: string) => /^\$\{[A-Z_]+:-(.+)\}$/.exec(value)?.[1];

test('profile gpu: one NVIDIA GPU is reserved, by an inference node that starts only when asked for', () => {
  expect(gpu.profiles).toEqual(['gpu']);
  expect(gpu.command).toEqual(['inference']);
  expect(gpu.deploy?.resources?.reservations?.devices).toEqual([
    { driver: 'nvidia', count: 1, capabilities: ['gpu'] },
  ]);
  const others = Object.entries(services).filter(([name]) => name !== 'inference-gpu');
  for (const [name, service] of others) {
    expect([name, service.profiles, service.deploy?.resources?.reservations]).toEqual([
      name,
      undefined,
      undefined,
    ]);
  }
});

test('profile gpu: its engine is one that uses a GPU, and its port is its own', () => {
  const engine = defaultOf(gpu.environment.MILL_ENGINE);
  expect(engineNames).toContain(engine);
  expect(engine).toBe('onnx-cuda');
  expect(gpu.ports).not.toEqual(services.inference.ports);
  expect(gpu.image).not.toBe(services.inference.image);
  expect(gpu.read_only).toBe(true);
});

test('profile gpu: targets are stages of the Dockerfile, and base images are its defaults', () => {
  const dockerfile = text('Dockerfile');
  const stages = [...dockerfile.matchAll(/^FROM (\S+)(?: AS (\S+))?$/gm)].map(([, from, name]) => ({
    from,
    name,
  }));
  const args = Object.fromEntries([...dockerfile.matchAll(/^ARG (\w+)=(\S+)$/gm)].map(([, k, v]) => [k, v]));
  expect(gpu.build?.target).toBe('gpu');
  for (const { build } of Object.values(services)) {
    if (build === undefined) continue;
    expect(stages.map(({ name }) => name)).toContain(build.target);
    for (const [name, value] of Object.entries(build.args)) expect(defaultOf(value)).toBe(args[name]);
  }
  // Without a target the CPU's image is built, whatever stands between.
  expect(stages.at(-1)).toEqual({ from: 'service', name: undefined });
});

test('profile gpu: what can be set from outside stands at the top of the file', () => {
  const head = compose.slice(0, compose.indexOf('\nx-'));
  for (const [, name] of compose.matchAll(/\$\{([A-Z_]+):-/g)) expect(head).toContain(name);
});

test('profile gpu: docker compose takes the file', async ({ skip }) => {
  await run('docker', ['compose', 'version']).catch(() => skip('docker compose is not here'));
  const config = await run('docker', ['compose', '--profile', 'gpu', 'config', '--services'], { cwd: root });
  expect(config.stdout.trim().split('\n').sort()).toEqual(Object.keys(services).sort());
});
