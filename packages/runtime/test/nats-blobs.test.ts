/** What an hour would have to pass for on a real server; the rest is in test/integration/nats-blobs.test.ts. */
import { expect, test } from 'vitest';
import { encodeBlobEntry } from '../src/nats-blob-entry.ts';
import { openNatsBlobs } from '../src/nats-blobs.ts';
import type { NatsReaderOptions, ReaderHost } from '../src/nats-reader.ts';

const nowMs = Date.UTC(2026, 10, 23, 12);
const minuteMs = 60_000;
const warnings: object[] = [];

/** A server whose store has one named value and chunks of the ages given, in minutes by id; `listing` fails where it is said. */
async function purgedAtOpening(
  ages: Readonly<Record<string, number>>,
  listing: { readonly fails?: Error } = {},
): Promise<string[]> {
  const purged: string[] = [];
  const subjects = Object.fromEntries(Object.keys(ages).map((id) => [`$O.b.C.${id}`, 1]));
  const streams = {
    info: async () => ({ state: { subjects, last_ts: new Date(nowMs).toISOString() } }),
    getMessage: async (_: string, { last_by_subj: subject }: { last_by_subj: string }) => ({
      time: new Date(nowMs - ages[subject.slice('$O.b.C.'.length)] * minuteMs),
    }),
    purge: async (_: string, { filter }: { filter: string }) => void purged.push(filter),
  };
  const host = {
    jetStream: { streams },
    logger: { warn: (told: object) => void warnings.push(told) },
    ask: (_: string, question: () => Promise<unknown>) => question(),
  } as unknown as ReaderHost;
  const chunks = { chunks: 1, size: 1, digest: 'SHA-256=', first: 1 };
  const payload = encodeBlobEntry('b', 1, { name: 'a', id: 'named', ...chunks });
  const openReader = async (options: NatsReaderOptions) => {
    if (listing.fails) throw listing.fails;
    options.onOpen?.(1);
    void options.onMessage({ subject: '', sequence: 1, payload, pending: 0 } as Parameters<
      typeof options.onMessage
    >[0]);
    return { close: async () => undefined };
  };
  await openNatsBlobs(host, { bucket: 'b', replicas: 1, openReader });
  return purged;
}

test('nats blobs: chunks without a name go once they are an hour old, named ones never', async () => {
  expect(await purgedAtOpening({ named: 600, old: 60, older: 6_000, young: 59 })).toEqual([
    '$O.b.C.old',
    '$O.b.C.older',
  ]);
  expect(await purgedAtOpening({ named: 600 })).toEqual([]);
});

test('nats blobs: so many are removed at one opening, the rest at the next', async () => {
  const ages = Object.fromEntries(Array.from({ length: 130 }, (_, i) => [`left${i}`, 90]));
  expect((await purgedAtOpening(ages)).length).toBe(100);
});

test('nats blobs: a store opens though nothing of what was left can be removed now', async () => {
  warnings.length = 0;
  expect(await purgedAtOpening({ left: 600 }, { fails: new Error('no leader') })).toEqual([]);
  expect(warnings).toEqual([{ store: 'b', reason: 'no leader' }]);
});
