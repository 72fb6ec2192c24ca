import { expect, test } from 'vitest';
import { createLogger } from '../src/logger.ts';

test('logger: one JSON line an event, with the service and the level by name', () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const logger = createLogger({ service: 'shard', level: 'info', destination });
  logger.debug('not wanted');
  logger.info({ partition: 3, rows: 7 }, 'snapshot written');
  expect(lines).toHaveLength(1);
  expect(lines[0]!.endsWith('\n')).toBe(true);
  const { time, ...fields } = JSON.parse(lines[0]!);
  expect(fields).toEqual({ level: 'info', service: 'shard', partition: 3, rows: 7, msg: 'snapshot written' });
  expect(Math.abs(time - Date.now())).toBeLessThan(60_000);
});
