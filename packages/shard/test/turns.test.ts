import { expect, test } from 'vitest';
import { createTurns } from '../src/turns.ts';

/** Work that ends when it is told to. */
function workOf(started: string[], name: string) {
  let end = (_error?: Error) => {};
  const run = () => {
    started.push(name);
    return new Promise<string>((resolve, reject) => {
      end = (error) => (error ? reject(error) : resolve(name));
    });
  };
  return { run, end: (error?: Error) => end(error) };
}

test('turns: so many at a time, the others in the order they came', async () => {
  const turns = createTurns(2);
  const started: string[] = [];
  const work = ['a', 'b', 'c', 'd'].map((name) => workOf(started, name));
  const results = work.map(({ run }) => turns.run(run));
  const seen = [started.join('')];
  work[1].end();
  await results[1];
  await Promise.resolve();
  seen.push(started.join(''));
  work[0].end();
  work[2].end();
  await Promise.all([results[0], results[2]]);
  await Promise.resolve();
  seen.push(started.join(''));
  work[3].end();
  expect([seen, await Promise.all(results)]).toEqual([
    ['ab', 'abc', 'abcd'],
    ['a', 'b', 'c', 'd'],
  ]);
});

test('turns: work that fails gives its turn on', async () => {
  const turns = createTurns(1);
  const started: string[] = [];
  const [first, second] = [workOf(started, 'a'), workOf(started, 'b')];
  const failed = turns.run(first.run);
  const next = turns.run(second.run);
  first.end(new Error('broken'));
  await expect(failed).rejects.toThrow('broken');
  second.end();
  await expect(next).resolves.toBe('b');
  await expect(turns.run(async () => 'c')).resolves.toBe('c');
});
