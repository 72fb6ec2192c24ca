/** The process that sends requests, and the files that it reads them from. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forkModule } from '../common/fork.ts';
import type { LoadFigures, LoadOrder } from './load-process.ts';
import type { ScoringStack } from './stack.ts';
import type { Values } from './workload.ts';

export interface LoadDriver {
  /** One run against a stack; runs do not overlap. */
  drive(stack: ScoringStack, order: Omit<LoadOrder, 'url' | 'bodies'>): Promise<LoadFigures>;
  close(): Promise<void>;
}

/** @param requests  sent in turn, in the form that each stack takes. */
export async function openLoadDriver(requests: readonly (readonly Values[])[]): Promise<LoadDriver> {
  const directory = await mkdtemp(join(tmpdir(), 'mill-bench-'));
  const load = forkModule('./load-process', import.meta.url);
  const written = new Set<string>();
  return {
    async drive(stack, order) {
      const bodies = join(directory, stack.name);
      if (!written.has(stack.name)) {
        await writeFile(bodies, requests.map((items) => stack.bodyOf(items)).join('\n'));
        written.add(stack.name);
      }
      return load.ask<LoadFigures>({ ...order, url: stack.url, bodies });
    },
    async close() {
      await load.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
