/** Outcomes in bulk, one a line. */
import { eventsPerPostMax } from '@millrace/protocol';
import { expect, test } from 'vitest';
import { type Listening, listen } from './stub-service.ts';

async function post(
  server: Listening,
  body: string,
  contentType = 'application/x-ndjson',
  path = '/v1/events',
) {
  const headers = { 'content-type': contentType };
  const response = await fetch(`${server.url}${path}`, { method: 'POST', headers, body });
  const answer = (await response.json()) as {
    accepted?: number;
    error?: { code: string; message: string; details?: { badLines: number; lines: unknown } };
  };
  return { status: response.status, ...answer };
}

test('outcome lines: one outcome a line, of any kind, blank lines and CRLF between', async () => {
  const server = await listen();
  const body =
    '{"requestId":"r1"}\r\n\n{"requestId":"r2","item":"x","outcome":"purchase","value":19.5,"timeMs":1700000000000}';
  for (const type of ['application/x-ndjson', 'application/jsonl; charset=utf-8'])
    expect(await post(server, body, type)).toEqual({ status: 200, accepted: 2 });
  const purchase = {
    requestId: 'r2',
    item: 'x',
    outcome: 'purchase',
    value: 19.5,
    timeMs: 1_700_000_000_000,
  };
  expect(server.service.outcomes).toEqual([{ requestId: 'r1' }, purchase, { requestId: 'r1' }, purchase]);
});

test('outcome lines: bad ones are named by number, and nothing is stored', async () => {
  const server = await listen();
  const lines = [
    '{"requestId":"r1"}',
    '{"requestId":"r 2"}',
    '',
    '{"requestId":"r3",}',
    '{"requestId":"r4","value":-1}',
    '[{"requestId":"r5"}]',
    '{"requestId":"r6","__proto__":{}}',
  ];
  const { status, error } = await post(server, lines.join('\n'));
  expect([status, error?.code, server.service.outcomes]).toEqual([400, 'MILL_BAD_REQUEST', []]);
  expect(error?.message).toBe(
    'line 2: requestId: wanted 1 to 64 letters, digits and _ . : -, found the text "r 2", and 4 more bad lines; nothing was stored',
  );
  expect(error?.details).toMatchObject({
    badLines: 5,
    lines: [
      { line: 2 },
      { line: 4, message: 'column 19: wanted a name in double quotes, found "}"' },
      { line: 5, message: 'value: wanted a number not below 0, found -1' },
      { line: 6, message: 'body: wanted an object, found an array of 1' },
      {
        line: 7,
        message: 'wanted names other than "__proto__" and "constructor.prototype", found one of them',
      },
    ],
  });
});

test('outcome lines: of many bad ones the first twenty are told', async () => {
  const server = await listen();
  const { error } = await post(server, '{}\n'.repeat(300));
  expect(error?.details?.badLines).toBe(300);
  expect(error?.details?.lines).toHaveLength(20);
});

test('outcome lines: as many as one post may carry, and not one more', async () => {
  const server = await listen();
  const body = '{"requestId":"r"}\n'.repeat(eventsPerPostMax);
  expect(await post(server, body)).toEqual({ status: 200, accepted: eventsPerPostMax });
  const { status, error } = await post(server, `${body}{"requestId":"r"}`);
  expect([status, error?.message]).toEqual([
    400,
    `body: wanted at most ${eventsPerPostMax} lines, found more`,
  ]);
});

test('outcome lines: no other route takes them', async () => {
  const server = await listen();
  const { status, error } = await post(server, '{"items":[{}]}', 'application/x-ndjson', '/v1/score');
  expect([status, error?.message]).toEqual([
    400,
    'header content-type: wanted application/json, found "application/x-ndjson"',
  ]);
});
