/**
 * Both faces of the Open Inference Protocol, heard through PyPI's tritonclient. It is installed into a virtual environment of
 * its own below node_modules, once; where there is no Python, or nothing to install from, the test is skipped, and says so.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ModelFile } from '@millrace/protocol';
import { systemClock } from '@millrace/runtime';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { startGrpc } from '../../src/grpc/start-grpc.ts';
import { startHttp } from '../../src/http/start-http.ts';
import { linear, openStage, quietLogger, sigmoid } from '../small-serving.ts';

const run = promisify(execFile);
const venv = fileURLToPath(
  new URL('../../../../node_modules/.cache/millrace-tritonclient-2.73.0', import.meta.url),
);
const python = `${venv}/bin/python`;
const installMsMax = 240_000;
/** Seconds; importing numpy and grpc takes most of them. */
const talkMsMax = 100_000;

/** With a field of several values a row; its ads have the weights of those of `linear`, its tags none. */
const lists: ModelFile = {
  ...linear,
  name: 'lists',
  tables: [{ ...linear.tables[0], name: 'others' }],
  fields: [
    { ...linear.fields[0], table: 'others' },
    { name: 'tags', type: 'multi', scope: 'item', table: 'others' },
  ],
};

const whyNot = await reasonToSkip();
if (whyNot !== null) process.stderr.write(`packages/inference/test/tritonclient: skipped, ${whyNot}\n`);

test.skipIf(whyNot !== null)(
  'tritonclient: hears over HTTP and gRPC what the core says',
  { timeout: 2 * talkMsMax },
  async () => {
    const { core, rows, events } = await openStage([linear, lists]);
    rows.weights.set('a', 1).set('b', -2).set('9007199254740993', 3);
    const given = { service: core, logger: quietLogger, port: 0 };
    const http = await startHttp({
      ...given,
      registry: new Registry(),
      connectionsMax: 16,
      requestTimeoutMs: 5_000,
    });
    const grpc = await startGrpc({
      ...given,
      registry: new Registry(),
      clock: systemClock,
      newIncidentId: () => 'incident-1',
      requestTimeoutMs: 5_000,
    });
    const script = fileURLToPath(new URL('conversation.py', import.meta.url));
    const { stdout } = await run(python, [script, new URL(http.url).host, grpc.address], {
      timeout: talkMsMax,
    });
    await Promise.all([http.close(), grpc.close()]);
    const heard = JSON.parse(stdout);
    const scores = [1, -2, 0].map((z) => Math.fround(sigmoid(z)));
    const wide = scores.map((score) => [score]);
    for (const face of ['http', 'grpc'] as const) {
      expect(heard[face]).toMatchObject({
        live: true,
        ready: false,
        modelReady: false,
        otherReady: false,
        versionReady: false,
        wide: [wide, wide],
        lists: wide.slice(0, 2),
        'config refused': [
          expect.anything(),
          'MILL_BAD_REQUEST: parameters: wanted only version, found config',
        ],
        parameters: scores,
        async: ['0', '1', '2'].map((id) => [id, scores]),
        compressed: scores,
        server: {
          name: 'millrace',
          extensions: ['binary_tensor_data', 'model_repository', 'model_configuration', 'statistics'],
        },
        model: { name: 'ads', platform: 'millrace-plain', versions: ['0'] },
        id: [Math.fround(sigmoid(3))],
        unload: [expect.anything(), expect.stringMatching(/^MILL_UNSUPPORTED: cannot unload model "ads"/)],
        wrong: [
          expect.anything(),
          expect.stringMatching(/^MILL_BAD_REQUEST: inputs\.ad\.datatype: wanted BYTES/),
        ],
        version: [expect.anything(), expect.stringMatching(/^MILL_VERSION_UNKNOWN: .* not at "99"$/)],
      });
      expect(heard[face].scores.length).toBe(face === 'http' ? 4 : 2);
      for (const told of heard[face].scores) expect(told).toEqual(scores);
      const config = face === 'http' ? heard.http.config : heard.grpc.config.config;
      expect([config.name, config.input[0].name, config.input[0].data_type]).toEqual([
        'ads',
        'ad',
        'TYPE_STRING',
      ]);
      const counts = ['stats', 'statsBefore'].map((when) => heard[face][when].model_stats[0].inference_count);
      // Four or two answers of three rows, and one of one row. Where a count is 0, gRPC leaves it out.
      expect(Number(counts[0]) - Number(counts[1] ?? 0)).toBe(3 * heard[face].scores.length + 1);
      const { success, queue, compute_infer } = heard[face].stats.model_stats[0].inference_stats;
      expect([queue.count, compute_infer.count]).toEqual([success.count, success.count]);
      expect(Number(success.count)).toBeGreaterThanOrEqual(heard[face].scores.length + 1);
      expect(heard[face].model.inputs.map(({ name }: { name: string }) => name)).toEqual([
        'ad',
        'who',
        'price',
      ]);
    }
    expect(heard.http.deflated).toEqual(scores);
    expect(heard.grpc.stream).toEqual([
      ['s0', scores],
      'MILL_MODEL_UNKNOWN: there is no model "other"',
      ['s2', wide],
      expect.stringMatching(/^MILL_TIMEOUT: /),
      ['s4', scores],
    ]);
    expect(heard.grpc.late).toEqual([
      'StatusCode.DEADLINE_EXCEEDED',
      expect.stringMatching(/^MILL_TIMEOUT: /),
    ]);
    expect(heard.http.late).toEqual(['504', expect.stringMatching(/^MILL_TIMEOUT: /)]);
    expect(heard.grpc.typed).toEqual([[2, 1], scores.slice(0, 2)]);
    expect(heard.grpc.wrong[0]).toBe('StatusCode.INVALID_ARGUMENT');
    expect(heard.grpc.version[0]).toBe('StatusCode.NOT_FOUND');
    expect(heard.http.version[0]).toBe('404');
    // Nothing was asked to be logged.
    expect(await events()).toEqual([]);
  },
);

/** Null once the client can be run. */
async function reasonToSkip(): Promise<string | null> {
  if (existsSync(python)) return null;
  const made = `${venv}.${process.pid}`;
  try {
    await run('python3', ['-m', 'venv', made]);
    const wanted = ['tritonclient[http,grpc]==2.73.0'];
    await run(`${made}/bin/python`, ['-m', 'pip', 'install', '--quiet', ...wanted], {
      timeout: installMsMax,
    });
    // Paths inside a virtual environment's scripts are fixed; its interpreter finds its packages wherever it is.
    await rename(made, venv);
    return null;
  } catch (error) {
    await rm(made, { recursive: true, force: true });
    const text = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return `tritonclient cannot be installed: ${text}`;
  }
}
