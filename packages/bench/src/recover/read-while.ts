/** Pulls and updates at the same time, as a cluster at work has them. */
import { createPullClient, createReadMarks } from '@millrace/client';
import { fmix, tableLayouts } from '@millrace/core';
import type { ModelFile } from '@millrace/protocol';
import { type Bus, createTcpNetwork, systemClock, watchCluster } from '@millrace/runtime';
import { quantile } from '../common/statistics.ts';
import { makeRequests, rowFloats } from '../pull/workload.ts';
import type { LogWriter } from './fill-log.ts';
import { type RecoverParameters, readSetting, updateSetting } from './parameters.ts';

export interface ReadRound {
  readonly p99Ms: number;
  readonly pulls: number;
}

/** Reads the shard of the moment for `roundMs` while rows are updated. */
export async function readWhileLearning(
  bus: Bus,
  file: ModelFile,
  writer: LogWriter,
  options: RecoverParameters,
): Promise<ReadRound> {
  const view = await watchCluster(bus, systemClock);
  const client = createPullClient({
    network: createTcpNetwork(),
    view,
    clock: systemClock,
    cluster: 'bench',
    role: 'bench',
    requestTimeoutMs: 10_000,
  });
  const [layout] = tableLayouts(file);
  const { count, callers, pauseMs } = readSetting;
  const requests = makeRequests({ ...options, count });
  const latenciesMs: number[] = [];
  const startMs = performance.now();
  const goesOn = () => performance.now() - startMs < options.roundMs;
  let next = 0;
  const read = async () => {
    const out = new Float32Array(count * rowFloats);
    const marks = createReadMarks();
    while (goesOn()) {
      const { keys } = requests[next % requests.length];
      next += 1;
      marks.count = 0;
      const askedMs = performance.now();
      await client.pull({ model: file.name, layout, keys, count, out, marks, onAbsent: 'fail' });
      latenciesMs.push(performance.now() - askedMs);
      await pause(pauseMs);
    }
  };
  const update = async () => {
    for (let round = 0; goesOn(); round += 1) {
      const from = fmix(round) % Math.max(1, options.rows - updateSetting.rows);
      await writer.touch(from, from + updateSetting.rows);
      await pause(updateSetting.pauseMs);
    }
  };
  try {
    await Promise.all([update(), ...Array.from({ length: callers }, read)]);
  } finally {
    client.close();
    await view.close();
  }
  return { p99Ms: quantile(latenciesMs, 0.99), pulls: latenciesMs.length };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
