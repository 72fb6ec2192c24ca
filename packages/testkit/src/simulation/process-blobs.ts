/**
 * What one process sees of a store of blobs: slow, now and then failing or full, with listings that lag behind. A write that
 * its process does not live to end leaves what was written of it, as a torn one, where there was nothing before.
 */
import { MillraceError } from '@millrace/protocol';
import type { BlobStore } from '@millrace/runtime';
import type { NatsLink } from './nats-link.ts';
import type { SimulatedProcess } from './simulated-process.ts';
import { listingOf, putBlob, type SimulatedStore } from './simulated-store.ts';
import { delayOf, type Weather } from './weather.ts';

export interface ProcessBlobsOptions {
  readonly process: SimulatedProcess;
  readonly weather: Weather;
  readonly store: SimulatedStore;
  /** The connection that the store is reached over; null for a disk of the process's own machine. */
  readonly link: NatsLink | null;
  /** Told of each blob that is read. */
  readonly onRead: (name: string) => void;
}

export function createProcessBlobs({
  process,
  weather,
  store,
  link,
  onRead,
}: ProcessBlobsOptions): BlobStore {
  const { world, name: processName } = process;
  const { random } = world;

  const unavailable = (what: string, reason: string) =>
    new MillraceError('MILL_STORE_UNAVAILABLE', `cannot ${what} in ${store.name}: ${reason}`);
  /** One access; every access may fail, and none gets through a lost connection. */
  const access = async (what: string) => {
    const usualMs = link === null ? weather.diskDelayMs : weather.diskDelayMs + weather.natsDelayMs;
    await process.sleep(delayOf(random, weather, usualMs));
    if (link !== null && (!link.up || !link.connected)) {
      await process.sleep(1_000 * random.uniform());
      throw unavailable(what, 'NATS is out of reach');
    }
    if (weather.storeFails > 0 && random.chance(weather.storeFails))
      throw unavailable(what, 'an error of the simulated disk');
  };

  return {
    async put(name, chunks) {
      const parts: Uint8Array[] = [];
      let ended = false;
      const tear = () => {
        if (ended || parts.length === 0) return;
        const written = Buffer.concat(parts);
        const torn = written.subarray(0, 1 + random.whole(written.length));
        // What was there before stays (blob-store.ts).
        if (store.blobs.has(name)) return;
        world.note(`${store.name}: ${name} torn at ${torn.length}`);
        putBlob(store, name, new Uint8Array(torn), true);
      };
      // Half of all stores leave what was written when the writer dies; the others put a whole one in place at once.
      if (random.chance(0.5)) process.onKill(tear);
      try {
        for await (const chunk of chunks) {
          parts.push(chunk.slice());
          await access(`write ${name}`);
        }
        await access(`write ${name}`);
        if (store.writesLeft <= 0) throw unavailable(`write ${name}`, 'no space left');
        store.writesLeft -= 1;
      } catch (error) {
        if (random.chance(0.2)) tear();
        throw error;
      } finally {
        ended = true;
      }
      world.note(`${processName} stored ${store.name}/${name}`);
      putBlob(store, name, new Uint8Array(Buffer.concat(parts)), false);
    },
    async get(name) {
      await access(`read ${name}`);
      const blob = store.blobs.get(name);
      if (blob === undefined) return null;
      onRead(name);
      return chunksOf(blob.bytes, random.pick([100, 1_000, 100_000]), () => access(`read ${name}`));
    },
    async delete(name) {
      await access(`delete ${name}`);
      store.earlierNames = listingOf(store);
      store.blobs.delete(name);
    },
    async list(prefix) {
      await access(`list ${prefix}`);
      const isStale = weather.staleListing > 0 && random.chance(weather.staleListing);
      const listing = isStale ? store.earlierNames : listingOf(store);
      return listing.filter(({ name }) => name.startsWith(prefix));
    },
  };
}

async function* chunksOf(
  bytes: Uint8Array,
  chunkBytes: number,
  access: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    await access();
    yield bytes.slice(at, at + chunkBytes);
  }
}
