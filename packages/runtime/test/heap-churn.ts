/** Makes what a service makes of requests, at a heap growth of argv[2] %, and tells how many full collections it took. */
import { PerformanceObserver } from 'node:perf_hooks';
import { setHeapGrowth } from '../src/heap-growth.ts';

const fullCollection = 4;
const rounds = 1_000;
const requestsARound = 8;
/** Requests whose objects are kept, so that some come to stay. */
const keptRequests = 500;

setHeapGrowth(Number(process.argv[2]));
let collections = 0;
const observer = new PerformanceObserver((list) => {
  for (const { detail } of list.getEntries() as unknown as { detail: { kind: number } }[])
    if (detail.kind === fullCollection) collections += 1;
});
observer.observe({ entryTypes: ['gc'] });
const kept = Array.from({ length: 200_000 }, (_, i) => ({ i, text: `x${i}` }));
const ring: unknown[] = [];
for (let round = 0; round < rounds; round += 1) {
  for (let n = 0; n < requestsARound; n += 1) {
    const objects = Array.from({ length: 100 }, (_, i) => ({ i, list: [i] }));
    ring[(round * requestsARound + n) % keptRequests] = [new Uint8Array(40_000), objects];
  }
  await new Promise((resolve) => setImmediate(resolve));
}
process.stdout.write(JSON.stringify({ collections, kept: kept.length }));
