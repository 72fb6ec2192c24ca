/**
 * `npm run test:gpu`: engines that use a GPU, each held to what all engines are: formulas, the plain engine, and learning. It
 * says for each on which device it ran, or why it did not. What they need is installed into node_modules first, and nothing of
 * it is saved; with --no-install only what is there is tried.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gpuReport } from './gpu-report.mjs';
import { installPackages, requireNode, run } from './packages.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const say = (line) => process.stderr.write(`› ${line}\n`);
const engines = ['tfjs-node-gpu', 'webgpu', 'onnx-cuda', 'onnx-tensorrt'];
const { peerDependencies } = JSON.parse(readFileSync(join(root, 'packages/model/package.json'), 'utf8'));

/** The first GPU that NVIDIA's driver lists, null without one. */
function nvidiaGpu() {
  const found = spawnSync('nvidia-smi', ['--query-gpu=name', '--format=csv,noheader'], { encoding: 'utf8' });
  return found.status === 0 ? (found.stdout.trim().split('\n')[0] ?? null) : null;
}

const isInstalled = (name) => existsSync(join(root, 'node_modules', name));

/** Tries; what cannot be installed is told, and its engine then says itself what it misses. */
async function attempt(what, command, args) {
  say(`installing ${what}`);
  await run(command, args).catch((error) => say(error.message));
}

/** CUDA's libraries are large and of no use elsewhere: they are fetched where NVIDIA's driver is. */
async function installEngines(gpu) {
  const cuda = gpu !== null && process.platform === 'linux' && process.arch === 'x64';
  const wanted = [
    'webgpu',
    '@tensorflow/tfjs-backend-webgpu',
    ...(cuda ? ['@tensorflow/tfjs-node-gpu'] : []),
  ];
  if (!wanted.every(isInstalled)) {
    // All in one go, those that are there too: npm takes away what was not saved when it installs the next.
    const names = Object.keys(peerDependencies).filter((name) => wanted.includes(name) || isInstalled(name));
    const packages = names.map((name) => `${name}@${peerDependencies[name]}`);
    await attempt(packages.join(' '), 'npm', [
      'install',
      '--no-save',
      '--no-audit',
      '--no-fund',
      ...packages,
    ]);
  }
  if (!cuda) return;
  const tfjs = 'node_modules/@tensorflow/tfjs-node-gpu';
  if (isInstalled('@tensorflow/tfjs-node-gpu') && !existsSync(join(root, tfjs, 'deps/lib'))) {
    const rebuild = ['rebuild', '--ignore-scripts=false', '@tensorflow/tfjs-node-gpu'];
    await attempt('libtensorflow for CUDA', 'npm', rebuild);
  }
  if (isInstalled('onnxruntime-node') && !hasOnnxCuda()) {
    const script = 'node_modules/onnxruntime-node/script/install';
    await attempt("ONNX Runtime's CUDA part", process.execPath, [
      script,
      '--onnxruntime-node-install=cuda12',
    ]);
  }
}

function hasOnnxCuda() {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node');
  const bin = join(dirname(entry), '../bin');
  return readdirSync(bin, { recursive: true }).some((file) => file.endsWith('providers_cuda.so'));
}

/** chromium's own Vulkan loader is used where the system has none. */
function childEnv() {
  const folder = process.env.MILL_TEST_SWIFTSHADER ?? '/usr/lib/chromium';
  const libraries = [process.env.LD_LIBRARY_PATH, existsSync(join(folder, 'libvulkan.so.1')) ? folder : ''];
  return { ...process.env, LD_LIBRARY_PATH: libraries.filter(Boolean).join(delimiter) };
}

/** What the probe prints; its other output goes to standard error. */
function probe(name, env) {
  const args = ['--conditions=source', '--import', 'tsx/esm', 'scripts/gpu-probe.mjs', name];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 2] });
    let said = '';
    child.stdout.on('data', (bytes) => {
      said += bytes;
    });
    child.on('close', (code, signal) => {
      const line = said.trim().split('\n').at(-1);
      if (line?.startsWith('{')) resolve(JSON.parse(line));
      else resolve({ reason: `the process that opened it ended with ${signal ?? `exit code ${code}`}` });
    });
  });
}

async function outcomeOf(name, gpu) {
  const env = { ...childEnv(), MILL_TEST_ENGINE: name };
  const found = await probe(name, env);
  if (found.reason !== undefined) return { name, reason: found.reason };
  const device = found.device ?? gpu ?? 'a device that it does not name';
  say(`${name} on ${device}`);
  const file = 'packages/model/test/engine-optional.test.ts';
  const args = ['--no-install', 'vitest', 'run', '--project', 'unit', file];
  const passed = await run('npx', args, { env }).then(
    () => true,
    () => false,
  );
  return { name, device, isSoftware: found.isSoftware, passed };
}

try {
  requireNode();
  await installPackages(say);
  const gpu = nvidiaGpu();
  if (!process.argv.includes('--no-install')) await installEngines(gpu);
  const outcomes = [];
  for (const name of engines) outcomes.push(await outcomeOf(name, gpu));
  const { lines, exitCode } = gpuReport(outcomes);
  for (const line of lines) say(line);
  process.exitCode = exitCode;
} catch (error) {
  say(error.message);
  process.exitCode = 1;
}
