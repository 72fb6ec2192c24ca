import { expect, test } from 'vitest';
import { securityWarnings } from '../src/security-warnings.ts';

const tls = { ca: '', cert: '', key: '', expiresMs: Infinity };
const open = { token: null, tls: null, nats: {}, expiresMs: Infinity };
const token = 'a token of the test';

test.each([
  ['0.0.0.0', null, null, 0],
  ['0.0.0.0', token, null, 1],
  ['::', token, null, 1],
  ['10.1.2.3', token, null, 1],
  ['0.0.0.0', token, tls, 0],
  ['127.0.0.1', token, null, 0],
  ['localhost', token, null, 0],
  ['::1', token, null, 0],
  [null, token, null, 0],
] as const)('security warnings: at %s with token %s and TLS %s: %d', (host, shown, identity, count) => {
  const ports = host === null ? {} : { pulls: host };
  const warnings = securityWarnings({ ...open, token: shown, tls: identity }, { ...ports, nowMs: 0 });
  expect(warnings.length).toBe(count);
  expect(JSON.stringify(warnings)).not.toContain(token);
});

test('security warnings: a certificate that ends within 30 days', () => {
  const dayMs = 86_400_000;
  const warn = (days: number) => securityWarnings({ ...open, tls, expiresMs: days * dayMs }, { nowMs: 0 });
  expect(warn(30)).toEqual([]);
  expect(warn(29)).toEqual([
    { what: expect.stringContaining('expires soon'), fields: { expires: '1970-01-30T00:00:00.000Z' } },
  ]);
  const http = { host: '127.0.0.1', asksForKeys: false, expiresMs: 29 * dayMs };
  expect(securityWarnings(open, { http, nowMs: 0 })).toHaveLength(1);
});

test.each([
  ['127.0.0.1', false, false, null],
  ['0.0.0.0', false, false, /may do everything: set MILL_API_KEYS_FILE/],
  ['0.0.0.0', false, true, /may do everything/],
  ['10.1.2.3', true, false, /can be read by .* set MILL_HTTP_TLS_CERT/],
  ['0.0.0.0', true, true, null],
] as const)('security warnings: HTTP at %s, keys %s, TLS %s', (host, asksForKeys, isTls, says) => {
  const warnings = securityWarnings(open, {
    http: { host, asksForKeys, expiresMs: isTls ? Infinity : null },
    nowMs: 0,
  });
  expect(warnings.map(({ what }) => what)).toEqual(says === null ? [] : [expect.stringMatching(says)]);
});
