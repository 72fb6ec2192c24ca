import { MillraceError } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { createRefusals } from '../src/refusals.ts';
import {
  allPartitions,
  both,
  firstRows,
  keysOf,
  openStage,
  requestOf,
  serve,
  steppedRows,
} from './pull-stage.ts';

const token = 'a token of the test';
const keys = keysOf(200);

/** Two shards that want a token, and a client that shows `shown`. */
async function openGuarded({ shown, second }: { shown: string | null; second: string }) {
  const told: MillraceError[] = [];
  const stage = await openStage({ token: shown, hedge: false, onRefused: (error) => told.push(error) });
  const a = await serve({ shard: 'a', held: allPartitions, learned: keys, token });
  const b = await serve({ shard: 'b', held: allPartitions, learned: keys, token: second });
  await stage.lease('a', a.port);
  await stage.lease('b', b.port);
  await stage.map(1, ['a', 'b'], both);
  return { ...stage, told, a, b };
}

test('refusals: the token is shown to every shard', async () => {
  const { client, told, a, b } = await openGuarded({ shown: token, second: token });
  const request = requestOf(keys);
  expect(await client.pull(request)).toEqual({ degraded: false });
  expect(Array.from(request.out)).toEqual(steppedRows(request));
  expect([told.length, a.pulled() > 0, b.pulled() > 0]).toEqual([0, true, true]);
});

test('refusals: another owner answers for one that refuses, which is told once a try', async () => {
  const { client, clock, told, a, b } = await openGuarded({ shown: token, second: 'a token of another' });
  for (let i = 0; i < 10; i += 1) {
    const request = requestOf(keys);
    expect(await client.pull(request)).toEqual({ degraded: false });
    expect(Array.from(request.out)).toEqual(steppedRows(request));
    // Half a second each: it is asked anew, and says so without a connection.
    clock.advanceBy(499);
  }
  expect([a.pulled(), b.pulled()]).toEqual([2_000, 0]);
  expect(told.map(({ code, message }) => [code, message])).toEqual([
    [
      'MILL_UNAUTHENTICATED',
      expect.stringMatching(/^shard b at 127\.0\.0\.1:\d+ refuses this client: .* shows another$/),
    ],
  ]);
  clock.advanceBy(499);
  await client.pull(requestOf(keys));
  expect(told.length).toBe(2);
});

test('refusals: all owners refuse: first values and degraded, or the reason with its code', async () => {
  const { client } = await openGuarded({ shown: null, second: token });
  const request = requestOf(keys, { onAbsent: 'default' });
  expect(await client.pull(request)).toEqual({ degraded: true });
  expect(Array.from(request.out)).toEqual(firstRows(request));
  await expect(client.pull(requestOf(keys))).rejects.toMatchObject({
    code: 'MILL_SHARD_UNAVAILABLE',
    message: expect.stringMatching(
      /^no owner answered for 200 of 200 keys of ads; MILL_UNAUTHENTICATED: shard [ab] at .* shows none$/,
    ),
  });
});

test('refusals: the text is of shards asked for alone', () => {
  const told: string[] = [];
  const refusals = createRefusals(({ message }) => told.push(message));
  const [first, second] = ['one', 'two'].map((text) => new MillraceError('MILL_UNAUTHENTICATED', text));
  refusals.note('a', first);
  refusals.note('a', first);
  refusals.note('b', second);
  refusals.note('a', first);
  expect(told).toEqual(['one', 'two']);
  expect(refusals.textOf(new Set(['b']))).toBe('; MILL_UNAUTHENTICATED: two');
  expect(refusals.textOf(new Set(['c']))).toBe('');
});
