import { expect, expectTypeOf, test } from 'vitest';
import { type ConfigOf, defineConfig, describeConfig, readConfig, unknownSettings } from '../src/config.ts';
import {
  choiceSetting,
  flagSetting,
  listSetting,
  numberSetting,
  textSetting,
  wholeSetting,
} from '../src/config-parsers.ts';

const table = defineConfig({
  host: {
    env: 'MILL_SHARD_HOST',
    parser: textSetting(),
    default: '127.0.0.1',
    sentence: 'Address to listen on.',
  },
  port: {
    env: 'MILL_SHARD_PORT',
    parser: wholeSetting({ min: 0, max: 65_535 }),
    default: 7_100,
    sentence: 'Port to listen on; 0 takes a free one.',
  },
  share: {
    env: 'MILL_SHARE',
    parser: numberSetting({ min: 0, max: 1 }),
    default: 0.5,
    sentence: 'A share.',
  },
  hedge: { env: 'MILL_HEDGE', parser: flagSetting(), default: true, sentence: 'Whether to hedge.' },
  engine: {
    env: 'MILL_ENGINE',
    parser: choiceSetting(['wasm', 'cpu']),
    default: null,
    sentence: 'Engine by name.',
  },
  servers: { env: 'MILL_NATS_URL', parser: listSetting(textSetting()), sentence: 'Servers.' },
  delayMs: {
    env: 'MILL_DELAY_MS',
    parser: wholeSetting({ min: 1, max: 1_000 }),
    default: 2,
    unit: 'ms',
    sentence: 'How long.',
  },
});
const env = { MILL_NATS_URL: 'nats://a:1' };

test('config: read: values come from overrides, then the environment, then the table', () => {
  const config = readConfig(
    table,
    { ...env, MILL_SHARD_HOST: '0.0.0.0', MILL_SHARD_PORT: '1', MILL_HEDGE: 'false', MILL_SHARE: '.25' },
    { port: 2 },
  );
  expect(config).toEqual({
    host: '0.0.0.0',
    port: 2,
    share: 0.25,
    hedge: false,
    engine: null,
    servers: ['nats://a:1'],
    delayMs: 2,
  });
});

test('config: read: the object and its lists are frozen', () => {
  const config = readConfig(table, env);
  expect(Object.isFrozen(config)).toBe(true);
  expect(Object.isFrozen(config.servers)).toBe(true);
});

test('config: read: the table gives the type', () => {
  expectTypeOf<ConfigOf<typeof table>>().toEqualTypeOf<{
    readonly host: string;
    readonly port: number;
    readonly share: number;
    readonly hedge: boolean;
    readonly engine: 'wasm' | 'cpu' | null;
    readonly servers: readonly string[];
    readonly delayMs: number;
  }>();
});

test('config: read: an empty variable counts as absent', () => {
  expect(readConfig(table, { ...env, MILL_SHARD_PORT: '' }).port).toBe(7_100);
});

test.for([
  [{ MILL_SHARD_PORT: '65536' }, 'MILL_SHARD_PORT must be a whole number from 0 to 65535, got "65536"'],
  [{ MILL_SHARD_PORT: '1e3' }, 'MILL_SHARD_PORT must be a whole number from 0 to 65535, got "1e3"'],
  [{ MILL_SHARE: 'NaN' }, 'MILL_SHARE must be a number from 0 to 1, got "NaN"'],
  [{ MILL_SHARE: '0x1' }, 'MILL_SHARE must be a number from 0 to 1, got "0x1"'],
  [{ MILL_HEDGE: 'yes' }, 'MILL_HEDGE must be true or false, got "yes"'],
  [{ MILL_ENGINE: 'gpu' }, 'MILL_ENGINE must be one of wasm, cpu, got "gpu"'],
  [{ MILL_NATS_URL: 'a,,b' }, 'got "a,,b"'],
  [{ MILL_NATS_URL: undefined }, 'MILL_NATS_URL must be 1 to 64 values with commas between them'],
] as const)('config: read: refuses %j', ([bad, message]) => {
  const reading = () => readConfig(table, { ...env, ...bad });
  expect(reading).toThrow(expect.objectContaining({ code: 'MILL_CONFIG_INVALID' }));
  expect(reading).toThrow(message);
});

test('config: read: an override is checked like a variable', () => {
  expect(() => readConfig(table, env, { delayMs: 1_001 })).toThrow(
    'delayMs must be a whole number from 1 to 1000, got "1001"',
  );
  expect(readConfig(table, {}, { servers: ['a', 'b'] }).servers).toEqual(['a', 'b']);
});

test('config: unknown settings: names those that no table has, and only Millrace’s', () => {
  const other = defineConfig({
    x: { env: 'MILL_X', parser: textSetting(), default: null, sentence: 'X.' },
  });
  const found = unknownSettings([table, other], {
    MILL_X: '1',
    MILL_SHARD_HOST: 'a',
    MILL_SHARD_PROT: '1',
    MILL_A: '1',
    PATH: '/',
  });
  expect(found).toEqual(['MILL_A', 'MILL_SHARD_PROT']);
});

test('config: describe: one row a setting, in the order of the table', () => {
  const rows = describeConfig(table);
  expect(rows.map((row) => row.env)).toEqual(Object.values(table).map((setting) => setting.env));
  expect(rows.at(-1)).toEqual({
    key: 'delayMs',
    env: 'MILL_DELAY_MS',
    wanted: 'a whole number from 1 to 1000',
    default: '2',
    unit: 'ms',
    sentence: 'How long.',
  });
  expect(rows.map((row) => row.default)).toEqual([
    '127.0.0.1',
    '7100',
    '0.5',
    'true',
    'none',
    'required',
    '2',
  ]);
});

test('config: define: a wrong name, a name twice and a default out of range are defects', () => {
  const port = { parser: wholeSetting({ min: 1, max: 9 }), sentence: 'A port.' };
  expect(() => defineConfig({ port: { ...port, env: 'PORT', default: 1 } })).toThrow(/MILL_/);
  expect(() => defineConfig({ port: { ...port, env: 'MILL_PORT', default: 10 } })).toThrow(/got "10"/);
  expect(() =>
    defineConfig({
      a: { ...port, env: 'MILL_PORT', default: 1 },
      b: { ...port, env: 'MILL_PORT', default: 1 },
    }),
  ).toThrow(/twice/);
});

test('config: text: a pattern must match from end to end', () => {
  const name = textSetting({ pattern: /[a-z]+/g, charsMax: 5, wanted: 'a name' });
  expect(['abc', 'abc1', '', 'abcdef'].map((text) => name.parse(text))).toEqual([
    'abc',
    undefined,
    undefined,
    undefined,
  ]);
});
