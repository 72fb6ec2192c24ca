/** What a reader may rely on anywhere in the source text: who imports whom, where the clock is read, how long a file is. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { filesUnder, importsOf, jsonAt, packageOf, root, type SourceFile } from './source-tree.ts';

/**
 * Which package may import which: protocol ← core ← runtime ← snapshot ← client ← {shard (without client), inference, updater} ← cli;
 * model and joiner stand on protocol and core, learner on model, registry on runtime and model, experiments on runtime, sdk on protocol alone; traffic, testkit and bench are private, and
 * the last two import what they test.
 */
const edges: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  core: ['protocol'],
  runtime: ['protocol', 'core'],
  snapshot: ['protocol', 'core', 'runtime'],
  client: ['protocol', 'core', 'runtime', 'snapshot'],
  model: ['protocol', 'core'],
  joiner: ['protocol', 'core'],
  registry: ['protocol', 'core', 'runtime', 'model'],
  experiments: ['protocol', 'core', 'runtime'],
  learner: ['protocol', 'core', 'model'],
  traffic: [],
  sdk: ['protocol'],
  shard: ['protocol', 'core', 'runtime', 'snapshot'],
  inference: ['protocol', 'core', 'runtime', 'snapshot', 'client', 'model', 'registry', 'experiments'],
  updater: [
    'protocol',
    'core',
    'runtime',
    'snapshot',
    'client',
    'model',
    'joiner',
    'registry',
    'experiments',
  ],
  cli: [
    'protocol',
    'core',
    'runtime',
    'snapshot',
    'client',
    'model',
    'joiner',
    'learner',
    'registry',
    'experiments',
    'traffic',
    'sdk',
    'shard',
    'inference',
    'updater',
  ],
  testkit: [
    'protocol',
    'core',
    'runtime',
    'snapshot',
    'client',
    'model',
    'joiner',
    'learner',
    'registry',
    'experiments',
    'sdk',
    'shard',
    'inference',
    'updater',
  ],
  bench: [
    'protocol',
    'core',
    'runtime',
    'snapshot',
    'client',
    'model',
    'joiner',
    'learner',
    'registry',
    'experiments',
    'traffic',
    'sdk',
    'shard',
    'inference',
    'updater',
    'testkit',
  ],
};

/** What tests of a package import beyond that: the real other side of a wire. */
const testEdges: Readonly<Record<string, readonly string[]>> = {
  client: ['shard'],
  inference: ['sdk'],
  traffic: ['core'],
};

/** Libraries that stand behind one door each. */
const doors: Readonly<Record<string, RegExp>> = {
  nats: /^packages\/runtime\/src\/nats-[a-z-]+\.ts$/,
  msgpackr: /^packages\/protocol\/src\/packing\.ts$/,
  hashring: /^packages\/core\/src\/placement\.ts$/,
  pino: /^packages\/runtime\/src\/logger\.ts$/,
  '@grpc/grpc-js': /^packages\/inference\/src\/grpc\//,
  fastify: /^packages\/(inference\/src\/http|bench\/src\/score)\//,
  '@peculiar/x509': /^packages\/cli\/src\/certificates\//,
  picocolors: /^packages\/cli\/src\/screen\/colours\.ts$/,
  '@opentelemetry/*': /^packages\/inference\/src\/tracing\/open-tracing\.ts$/,
  thrift: /^packages\/inference\/src\/thrift\/library\.ts$/,
  '@tensorflow/*': /^packages\/model\/src\//,
  // The benchmark runs a graph on it bare, beside the engine.
  'onnxruntime-node': /^packages\/(model\/src|bench\/src\/(dense|score))\//,
};

/** What makes two runs differ, or is seen outside the process. */
const effects: Readonly<Record<string, RegExp>> = {
  'wall clock': /\bDate\.now\b|\bnew Date\(\)/,
  'monotonic clock': /\bperformance\.now\b|\bprocess\.hrtime\b/,
  timers: /(?<![.\w])(?:set|clear)(?:Timeout|Interval|Immediate)\b/,
  randomness: /\bMath\.random\b|\brandomUUID\b|\brandomBytes\b|\bgetRandomValues\b/,
  environment: /\bprocess\.env\b/,
  console: /(?<![.\w])console\./,
};

/** The shell: the only sources with effects. A path that ends in `/` is a folder. Everything else is handed what it needs. */
const shell: Readonly<Record<string, readonly (keyof typeof effects)[]>> = {
  'packages/runtime/src/clock.ts': ['wall clock', 'monotonic clock', 'timers'],
  'packages/runtime/src/gate.ts': ['timers'],
  'packages/runtime/src/signal.ts': ['timers'],
  'packages/runtime/src/run-service.ts': ['timers'],
  'packages/runtime/src/nats-bus.ts': ['monotonic clock', 'timers'],
  'packages/runtime/src/nats-connection.ts': ['monotonic clock', 'timers'],
  'packages/runtime/src/nats-consumer.ts': ['timers'],
  'packages/runtime/src/nats-process.ts': ['monotonic clock', 'timers', 'randomness'],
  // Hands a batch over once the events of this turn of the loop are in.
  'packages/inference/src/batcher.ts': ['timers'],
  'packages/inference/src/next-turn.ts': ['timers'],
  'packages/inference/src/unread-wait.ts': ['timers'],
  'packages/inference/src/http/start-http.ts': ['timers'],
  'packages/inference/src/time-limit.ts': ['timers'],
  // Ids of requests that brought none.
  'packages/inference/src/start-inference.ts': ['randomness'],
  // Runs in other people's processes: defaults of what its options take.
  'packages/sdk/src/client.ts': ['monotonic clock', 'randomness'],
  'packages/sdk/src/failover.ts': ['timers'],
  'packages/sdk/src/exchange.ts': ['monotonic clock', 'timers', 'randomness'],
  'packages/sdk/src/transport.ts': ['timers'],
  // Keys, tokens, serial numbers.
  // The identity of logs, made once.
  'packages/snapshot/src/log-identity.ts': ['randomness'],
  'packages/cli/src/certificates/': ['randomness'],
  'packages/cli/src/api-keys/key-list.ts': ['randomness'],
  'packages/cli/src/cluster-client.ts': ['environment'],
  'packages/cli/src/cluster-url.ts': ['environment'],
  'packages/cli/src/screen/colours.ts': ['environment'],
  'packages/cli/src/commands/': ['monotonic clock', 'timers', 'environment'],
  // A producer that puts rows has a name that none had before it.
  'packages/cli/src/commands/compress.ts': ['randomness'],
  'packages/cli/src/commands/import.ts': ['randomness'],
  'packages/cli/src/commands/services.ts': ['randomness'],
  'packages/cli/src/supervisor/': ['timers', 'randomness', 'environment'],
  'packages/testkit/src/': ['monotonic clock', 'timers', 'randomness', 'environment'],
  'packages/bench/src/': ['monotonic clock', 'timers'],
  // Which engine is fastest here is measured, on the machine's own clock.
  'packages/model/src/choose-engine.ts': ['monotonic clock', 'timers'],
};

const packages = readdirSync(join(root, 'packages')).filter((name) =>
  existsSync(join(root, 'packages', name, 'package.json')),
);
const sources = packages.flatMap((name) => filesUnder(`packages/${name}/src`, ['.ts']));
const tests = [
  ...packages
    .filter((name) => existsSync(join(root, 'packages', name, 'test')))
    .flatMap((name) => filesUnder(`packages/${name}/test`, ['.ts'])),
  ...filesUnder('test', ['.ts']),
];
const scripts = filesUnder('scripts', ['.mjs', '.mts']);
const everything = [...sources, ...tests, ...scripts];

function packageNameOf({ path }: SourceFile): string {
  return path.split('/')[1];
}

/** Names of the workspace's own packages in a dependency list, without the scope. */
function ownNames(dependencies: unknown): string[] {
  return Object.keys((dependencies ?? {}) as object)
    .filter((name) => name.startsWith('@millrace/'))
    .map((name) => name.slice('@millrace/'.length))
    .sort();
}

test('tidy: the table of edges names every package, and its arrows never turn back', () => {
  expect(Object.keys(edges).sort()).toEqual([...packages].sort());
  const names = Object.keys(edges);
  for (const [name, allowed] of Object.entries(edges)) {
    for (const other of allowed)
      expect([name, other, names.indexOf(other) < names.indexOf(name)]).toEqual([name, other, true]);
  }
});

test.each(packages)('tidy: %s depends along the edges, and its references say the same', (name) => {
  const { dependencies, devDependencies } = jsonAt(`packages/${name}/package.json`);
  const own = ownNames(dependencies);
  expect(own.filter((other) => !edges[name].includes(other))).toEqual([]);
  const ownDev = ownNames(devDependencies);
  expect(ownDev.filter((other) => !(testEdges[name] ?? []).includes(other))).toEqual([]);
  const { references = [] } = jsonAt(`packages/${name}/tsconfig.json`) as { references?: { path: string }[] };
  expect(references.map(({ path }) => path.replace('../', '')).sort()).toEqual(own);
});

test('tidy: sources import what their package.json lists, tests what is listed for development too', () => {
  const rootDependencies = Object.keys(jsonAt('package.json').devDependencies as object);
  const found: string[] = [];
  for (const file of [...sources, ...tests]) {
    if (!file.path.startsWith('packages/')) continue;
    const name = packageNameOf(file);
    const manifest = jsonAt(`packages/${name}/package.json`);
    const listed = [manifest.dependencies, manifest.optionalDependencies, manifest.peerDependencies];
    const isTest = file.path.startsWith(`packages/${name}/test/`);
    const allowed = new Set(listed.flatMap((list) => Object.keys(list ?? {})));
    if (isTest)
      for (const other of [...rootDependencies, ...Object.keys(manifest.devDependencies ?? {})])
        allowed.add(other);
    for (const imported of importsOf(file)) {
      const wanted = packageOf(imported);
      if (wanted === null || wanted.startsWith('node:') || allowed.has(wanted)) continue;
      found.push(`${file.path} imports ${imported}`);
    }
  }
  expect(found).toEqual([]);
});

test('tidy: sources import other packages by name, and files of their own with the ending', () => {
  const found: string[] = [];
  for (const file of sources) {
    const depth = file.path.split('/').length - 4;
    for (const imported of importsOf(file)) {
      const climbs = imported.split('/').filter((part) => part === '..').length;
      if (imported.startsWith('.') && (climbs > depth || !imported.endsWith('.ts')))
        found.push(`${file.path} imports ${imported}`);
      if (imported.startsWith('@millrace/') && imported.split('/').length > 2)
        found.push(`${file.path} imports ${imported}`);
    }
  }
  expect(found).toEqual([]);
});

test('tidy: each library is imported behind its own door', () => {
  const found: string[] = [];
  const used = new Set<string>();
  for (const file of sources) {
    for (const imported of importsOf(file)) {
      const name = packageOf(imported)?.replace(/^(@tensorflow|@opentelemetry)\/.*/, '$1/*');
      if (name === undefined || !Object.hasOwn(doors, name)) continue;
      used.add(name);
      if (!doors[name].test(file.path)) found.push(`${file.path} imports ${imported}`);
    }
  }
  expect(found).toEqual([]);
  expect([...used].sort()).toEqual(Object.keys(doors).sort());
});

test('tidy: protocol, core and joiner do no input or output', () => {
  const pure = sources.filter((file) => ['protocol', 'core', 'joiner'].includes(packageNameOf(file)));
  const nodeModules = pure.flatMap(importsOf).filter((name) => name.startsWith('node:'));
  // Checksums and hashes are functions of their bytes.
  expect(nodeModules.filter((name) => !['node:zlib', 'node:crypto'].includes(name))).toEqual([]);
  for (const { path, code } of pure)
    expect([path, /\basync\b|\bawait\b|\bPromise\b/.test(code)]).toEqual([path, false]);
});

/** Entries of the shell's table that cover a file. */
function entriesFor(path: string): string[] {
  return Object.keys(shell).filter((entry) =>
    entry.endsWith('/') ? path.startsWith(entry) : path === entry,
  );
}

test('tidy: only the shell reads clocks, randomness and environment, sets timers and prints', () => {
  const found: string[] = [];
  const used = new Set<string>();
  for (const { path, code, text } of sources) {
    for (const [effect, pattern] of Object.entries(effects)) {
      const isTimers = effect === 'timers' && /from 'node:timers/.test(text);
      if (!pattern.test(code) && !isTimers) continue;
      const entries = entriesFor(path).filter((entry) => shell[entry].includes(effect));
      for (const entry of entries) used.add(`${entry}: ${effect}`);
      if (entries.length === 0) found.push(`${path}: ${effect}`);
    }
  }
  expect(found).toEqual([]);
  // An entry that no source needs any more would hide the next one that should not.
  const listed = Object.entries(shell).flatMap(([entry, list]) =>
    list.map((effect) => `${entry}: ${effect}`),
  );
  expect(listed.filter((entry) => !used.has(entry))).toEqual([]);
});

test('tidy: packages export by name', () => {
  const pattern = /\bexport\s+default\b|\bas\s+default\b/;
  const files = everything.filter(({ path }) => path.startsWith('packages/'));
  expect(files.filter(({ code }) => pattern.test(code)).map(({ path }) => path)).toEqual([]);
});

test('tidy: no source file is longer than 400 lines', () => {
  const long = [...sources, ...scripts].filter(({ lines }) => lines > 400);
  expect(long.map(({ path, lines }) => `${path}: ${lines}`)).toEqual([]);
});

test('tidy: no file and no export is a manager, a helper or a utility', () => {
  const vague = /managers?|helpers?|utils?|utility|utilities/i;
  const files = everything.map(({ path }) => path.split('/').at(-1) ?? '').filter((name) => vague.test(name));
  expect(files).toEqual([]);
  const names = sources.flatMap(({ path, code }) =>
    [
      ...code.matchAll(
        /\bexport\s+(?:declare\s+|async\s+|abstract\s+)*(?:function\*?|const|let|class|interface|type)\s+(\w+)/g,
      ),
    ]
      .filter(([, name]) => /Manager|Helper|Util/i.test(name))
      .map(([, name]) => `${path}: ${name}`),
  );
  expect(names).toEqual([]);
});

test('tidy: file names are in kebab case', () => {
  const names = everything.map(({ path }) => path.split('/').at(-1) ?? '');
  expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)+$/.test(name))).toEqual([]);
});

test('tidy: what is left to do stands in issues, not in the text', () => {
  const pattern = new RegExp(`\\b(?:${['TO', 'FIX'].map((word, i) => word + ['DO', 'ME'][i]).join('|')})\\b`);
  const pages = [
    ...filesUnder('docs', ['.md']),
    ...packages.flatMap((name) => filesUnder(`packages/${name}`, ['.md'])),
  ];
  const found = [...everything, ...pages].filter(({ text }) => pattern.test(text));
  expect(found.map(({ path }) => path)).toEqual([]);
});

test('tidy: no test is left out, or says why', () => {
  const found: string[] = [];
  for (const { path, text, code } of tests) {
    const lines = text.split('\n');
    for (const [i, line] of code.split('\n').entries()) {
      const place = `${path}:${i + 1}: ${line.trim()}`;
      if (/\b(?:test|it|describe|suite)\.(?:only|skip|todo)\b/.test(line)) found.push(place);
      // A skip in the course of a test takes the reason, which the report shows.
      if (/\bskip\(\s*\)/.test(line)) found.push(place);
      if (!/\.(?:skipIf|runIf)\(/.test(line)) continue;
      // Just above it a comment gives the reason, or a line prints it.
      const above = lines.slice(Math.max(0, i - 2), i).join('\n');
      if (!/^\s*\/\/|\bskipped\b/im.test(above)) found.push(`${place} and nothing above says why`);
    }
  }
  expect(found).toEqual([]);
});

test('tidy: all packages have one version, one license and one form', () => {
  const { version, license, engines } = jsonAt('package.json');
  expect(engines).toEqual({ node: '>=20.19' });
  for (const name of packages) {
    const manifest = jsonAt(`packages/${name}/package.json`);
    expect(manifest).toMatchObject({ name: `@millrace/${name}`, version, license, type: 'module' });
    expect(manifest.exports).toEqual({
      '.': { source: './src/index.ts', types: './dist/index.d.ts', default: './dist/index.js' },
    });
    const pinned = { ...(manifest.dependencies as object), ...(manifest.devDependencies as object) };
    for (const [other, wanted] of Object.entries(pinned))
      expect([other, wanted]).toEqual([other, expect.stringMatching(/^\d+\.\d+\.\d+$/)]);
  }
});
