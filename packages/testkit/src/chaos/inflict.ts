/** Does one harm to a running cluster and ends it again. */
import { pause } from '../eventually.ts';
import type { LocalClusterFixture, ProcessName, ServiceName } from '../local-cluster-fixture.ts';
import type { Harm } from './harms.ts';

export function processOf({ target, place }: Harm): ProcessName {
  if (target === 'shard') return `shard-${place}`;
  if (target === 'inference') return place === 0 ? 'inference' : `inference-${place}`;
  return target;
}

/** Resolves when the harm is over, to a wait until a killed process is up again; more may still be on its way back. */
export async function inflict(
  cluster: LocalClusterFixture,
  harm: Harm,
): Promise<{ readonly back: Promise<unknown> }> {
  const name = processOf(harm);
  switch (harm.kind) {
    case 'kill':
      return cluster.kill(name);
    case 'stop': {
      const { pid } = await cluster.processOf(name);
      if (pid === null) throw new Error(`${name} does not run`);
      process.kill(pid, 'SIGSTOP');
      try {
        await pause(harm.lastsMs);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      return { back: Promise.resolve() };
    }
    case 'cut': {
      const { restore } = cluster.cutOff(name as ServiceName, harm.closing);
      try {
        await pause(harm.lastsMs);
      } finally {
        restore();
      }
      return { back: Promise.resolve() };
    }
  }
}

/** In words, for a screen: `stop shard-1 4.2 s`. */
export function harmText(harm: Harm): string {
  const how = harm.kind === 'cut' ? `cut (${harm.closing})` : harm.kind;
  const lasts = harm.kind === 'kill' ? '' : ` ${(harm.lastsMs / 1_000).toFixed(1)} s`;
  return `${how} ${processOf(harm)}${lasts}`;
}
