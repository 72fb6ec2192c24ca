/**
 * Scores of requests per second with what their items share computed once, against the same net whole: the path of a scoring
 * node without its sockets, features → keys → rows → pooled inputs → logits. `again`: items drawn by a Zipf law, weights stay,
 * so most items are known from requests before; `fresh`: the weights are others at every turn, so each item is new in it. Seconds
 * are processor time, which what else the machine does counts little in; programs take turns, and the fastest turn of each counts.
 */
import {
  createPartitionState,
  findOrAddRow,
  partitionOf,
  pullRows,
  type RowTable,
  tableLayouts,
} from '@millrace/core';
import {
  type BatchSpace,
  createBatchSpace,
  createFeatureEncoder,
  type Engine,
  type EngineName,
  type FeatureEncoder,
  type FeaturePlan,
  gatherSpace,
  initialParameters,
  type OpenNet,
  openNet,
  type Program,
  resetSpace,
  tablesToPull,
} from '@millrace/model';
import { type Features, partitionsMax } from '@millrace/protocol';
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
  readonly again: number;
  readonly fresh: number;
  /** again / whole and fresh / whole. */
  readonly againRatio: number;
  readonly freshRatio: number;
  /** Largest difference of a logit from the whole net's. */
  readonly difference: number;
}

interface Request {
  readonly user: Features;
  readonly context: Features;
  readonly items: readonly Features[];
}

/** Requests between two looks at the clock, which costs as much as a few items. */
const lookEvery = 10;
const touched = new Uint16Array(partitionsMax);

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
  const { shape, engine, file } = net;
  // A net whose inputs are all of both sides has nothing to split.
  const whole = engine.compile({ ...shape, sides: shape.sides.map(() => 'mixed' as const) });
  const stage = openStage(net, parameters);
  const programs = { whole, again: net.program, fresh: engine.compile(shape) };
  const weights = initialParameters(shape, file.seed);
  const kept = { whole: whole.load(weights), again: net.program.load(weights) };
  const best = { whole: 0, again: 0, fresh: 0 };
  let difference = 0;
  for (let turn = 0; turn <= parameters.turns; turn += 1) {
    for (const kind of ['whole', 'again', 'fresh'] as const) {
      const program: Program = programs[kind];
      const score = kind === 'whole' ? stage.scoreWhole : stage.score;
      const loaded = kind === 'fresh' ? program.load(weights) : kept[kind];
      // A version is warmed up before it takes traffic: code, sessions and memory are there.
      await score(program, loaded, stage.requests[stage.requests.length - 1]);
      const start = process.cpuUsage();
      let seconds = 0;
      let scored = 0;
      // A slow net is measured by fewer requests, or this takes minutes.
      while (scored < stage.requests.length && seconds < parameters.turnSeconds) {
        await score(program, loaded, stage.requests[scored]);
        scored += 1;
        if (scored % lookEvery !== 0 && scored < stage.requests.length) continue;
        const { user, system } = process.cpuUsage(start);
        seconds = (user + system) / 1e6;
      }
      const items = scored * parameters.candidates;
      // The first turn warms up.
      if (turn > 0) best[kind] = Math.max(best[kind], items / seconds);
      if (kind === 'fresh') loaded.dispose();
    }
  }
  for (const request of stage.requests) {
    const wanted = (await stage.scoreWhole(whole, kept.whole, request)).slice();
    const logits = await stage.score(net.program, kept.again, request);
    for (const [i, logit] of wanted.entries()) difference = Math.max(difference, Math.abs(logits[i] - logit));
  }
  for (const loaded of Object.values(kept)) loaded.dispose();
  whole.dispose();
  programs.fresh.dispose();
  return {
    net: file.name,
    engine: engine.name as Engine['name'],
    whole: Math.round(best.whole),
    again: Math.round(best.again),
    fresh: Math.round(best.fresh),
    againRatio: rounded(best.again / best.whole, 3),
    freshRatio: rounded(best.fresh / best.whole, 3),
    difference: rounded(difference, 2),
  };
}

/** @returns float32[items], the stage's. */
type Score = (
  program: Program,
  loaded: ReturnType<Program['load']>,
  request: Request,
) => Promise<Float32Array>;

interface Stage {
  readonly requests: readonly Request[];
  readonly score: Score;
  /** The same with every feature gathered for every item. */
  readonly scoreWhole: Score;
}

function openStage(net: OpenNet, parameters: SplitParameters): Stage {
  const { file, fingerprint, plan, versions } = net;
  const requests = requestsOf(parameters);
  const space = createBatchSpace(plan);
  const encoder = createFeatureEncoder(plan);
  const layouts = tableLayouts(file);
  const partitions = file.partitions as number;
  const tables = Array.from({ length: partitions }, (_, partition) =>
    createPartitionState({ model: file.name, fingerprint, partition, layouts }),
  ).map((state) => state.tables[0]);
  for (const request of requests) {
    encode(encoder, space, request);
    addRows(space, tables);
  }
  const scoreBy = (by: FeaturePlan): Score => {
    const own = { space: createBatchSpace(by), encoder: createFeatureEncoder(by) };
    return async (program, loaded, request) => {
      encode(own.encoder, own.space, request);
      const [{ keys, count, out }] = tablesToPull(own.space);
      pullRows(tables, keys, count, out, 0, touched);
      await program.forward(loaded, gatherSpace(own.space, versions.current.scales), own.space.logits);
      return own.space.logits.subarray(0, request.items.length);
    };
  };
  const keyFields = plan.keyFields.map((field) => ({ ...field, shared: false }));
  return {
    requests,
    score: scoreBy(plan),
    scoreWhole: scoreBy({ ...plan, keyFields }),
  };
}

function encode(encoder: FeatureEncoder, space: BatchSpace, { user, context, items }: Request): void {
  resetSpace(space);
  encoder.beginRequest(user, context);
  for (let i = 0; i < items.length; i += 1) encoder.addItem(space.batch, items[i], i);
}

function addRows({ batch }: BatchSpace, tables: readonly RowTable[]): void {
  const [{ keys, unique }] = batch.tables;
  for (let i = 0; i < unique; i += 1) {
    const [low, high] = [keys[2 * i], keys[2 * i + 1]];
    findOrAddRow(tables[partitionOf(low, high, tables.length)], low, high);
  }
}

function requestsOf({ seed, candidates, items, users, requests }: SplitParameters): readonly Request[] {
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
      items: Array.from({ length: candidates }, () => featuresOf(Math.floor(items ** draw()))),
    };
  });
}
