/**
 * Scores of requests per second with what their items share computed once, against the same net whole, over made-up requests:
 * items drawn by a Zipf law. How it is measured is said in measure-split.ts of learner; seconds are processor time, which what
 * else the machine does counts little in.
 */
import {
  createPartitionState,
  findOrAddRow,
  type PartitionState,
  partitionOf,
  tableLayouts,
} from '@millrace/core';
import { jsonText, scanItems } from '@millrace/inference';
import { measureSplit, type RequestFeatures } from '@millrace/learner';
import {
  createBatchSpace,
  createFeatureEncoder,
  type EngineName,
  type Items,
  type OpenNet,
  openNet,
} from '@millrace/model';
import type { Features } from '@millrace/protocol';
import { uniformAt } from '@millrace/traffic';
import { scoringWork } from '../common/scoring-work.ts';
import { rounded } from '../common/statistics.ts';
import { nets } from './nets.ts';
import type { SplitParameters } from './parameters.ts';

export interface SplitFigures {
  readonly net: string;
  readonly engine: EngineName;
  /** It is what `auto` takes for scores of this net here. */
  readonly isDefault: boolean;
  /** Items a second. */
  readonly whole: number;
  readonly fresh: number;
  readonly known: number;
  /** fresh / whole and known / whole. */
  readonly freshRatio: number;
  readonly knownRatio: number;
  /** Largest difference of a logit from the whole net's. */
  readonly difference: number;
}

export async function runSplitBench(
  parameters: SplitParameters,
  engines: readonly EngineName[],
  onNet: (done: number, doing: string) => void,
): Promise<readonly SplitFigures[]> {
  const found: SplitFigures[] = [];
  for (const file of nets) {
    const chosen = await openNet(file, { wanted: 'auto', work: scoringWork, onSkip: () => {} });
    const taken = chosen.engine.name;
    chosen.dispose();
    for (const wanted of new Set([...engines, taken])) {
      onNet(found.length, `${file.name} on ${wanted}`);
      const net = await openNet(file, { wanted, onSkip: () => {} });
      found.push({ ...(await measure(net, parameters)), isDefault: wanted === taken });
      net.dispose();
    }
  }
  return found;
}

async function measure(net: OpenNet, parameters: SplitParameters): Promise<Omit<SplitFigures, 'isDefault'>> {
  const requests = requestsOf(parameters);
  const { turns, turnSeconds } = parameters;
  const { whole, fresh, known, logitDifference } = await measureSplit(
    net,
    statesFor(net, requests),
    requests,
    { turns, turnSeconds, seconds: processorSeconds },
  );
  return {
    net: net.file.name,
    engine: net.engine.name,
    whole: Math.round(whole),
    fresh: Math.round(fresh),
    known: Math.round(known),
    freshRatio: rounded(fresh / whole, 3),
    knownRatio: rounded(known / whole, 3),
    difference: rounded(logitDifference, 2),
  };
}

function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Partitions with a row for every key of the requests. */
function statesFor(
  { file, fingerprint, plan }: OpenNet,
  requests: readonly RequestFeatures[],
): readonly PartitionState[] {
  const layouts = tableLayouts(file);
  const states = Array.from({ length: file.partitions as number }, (_, partition) =>
    createPartitionState({ model: file.name, fingerprint, partition, layouts }),
  );
  const { batch } = createBatchSpace(plan);
  const encoder = createFeatureEncoder(plan);
  for (const { user, context, items } of requests) {
    encoder.beginRequest(user, context);
    encoder.addItems(batch, items);
  }
  for (const [t, { keys, unique }] of batch.tables.entries()) {
    for (let i = 0; i < unique; i += 1) {
      const [low, high] = [keys[2 * i], keys[2 * i + 1]];
      findOrAddRow(states[partitionOf(low, high, states.length)].tables[t], low, high);
    }
  }
  return states;
}

function requestsOf({
  seed,
  candidates,
  items,
  users,
  requests,
}: SplitParameters): readonly RequestFeatures[] {
  let drawn = 0;
  const draw = () => uniformAt(seed, 0, drawn++);
  const featuresOf = (item: number): Features => ({
    ...{ item: `i${item}`, category: `c${item % 40}`, brand: `b${item % 300}`, shop: `s${item % 90}` },
  });
  return Array.from({ length: requests }, () => {
    const user = Math.floor(draw() * users);
    return {
      user: { user: `u${user}`, segment: `s${user % 12}`, country: `c${user % 30}` },
      context: { hour: String(Math.floor(draw() * 24)), device: `d${user % 4}`, placement: `p${user % 6}` },
      // Rank by a Zipf law of exponent 1: items^u is log-uniform.
      items: asSent(Array.from({ length: candidates }, () => featuresOf(Math.floor(items ** draw())))),
    };
  });
}

/** Items as they come to a service, in JSON. */
function asSent(items: readonly Features[]): Items {
  return scanItems(jsonText(Buffer.from(JSON.stringify(items))), 0)?.items ?? items;
}
