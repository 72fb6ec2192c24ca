/** The whole benchmark: starts both stacks, compares their scores, finds for each the highest rate that holds, in turns. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MillraceError } from '@millrace/protocol';
import { rounded } from '../common/statistics.ts';
import { forkModule } from './fork.ts';
import type { LoadFigures, LoadOrder } from './load-process.ts';
import { openMillraceStack } from './millrace-stack.ts';
import type { ScoreParameters } from './parameters.ts';
import { openReferenceStack } from './reference-stack.ts';
import { type ScoringStack, scoresFrom } from './stack.ts';
import { makeScoreRequests } from './workload.ts';

export type RateFigures = Pick<LoadFigures, 'requestsPerSecond' | 'msP50' | 'msP95' | 'msP99'>;

export interface ScoreResult extends RateFigures {
  /** Millrace's requests a second over the reference's; null without a reference. */
  readonly ratioToReference: number | null;
  readonly reference: (RateFigures & { readonly redisVersion: string }) | null;
  readonly engine: string;
  /** Largest difference of a score between the stacks, over the requests compared. */
  readonly scoreDifferenceMax: number | null;
  /** All rates tried. */
  readonly steps: readonly (RateFigures & {
    readonly stack: string;
    readonly rate: number | null;
    readonly holds: boolean;
  })[];
}

export interface ScoreBenchOptions extends ScoreParameters {
  readonly withReference: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Told before each step. */
  readonly onStep: (done: number, doing: string) => void;
}

const requestsKept = 512;
const comparedRequests = 20;
const scoreDifferenceAllowed = 1e-4;
const closedInFlight = 32;

export function stepsOf({ steps, withReference }: ScoreBenchOptions): number {
  return 3 + (withReference ? 2 : 1) * (steps + 2);
}

export async function runScoreBench(options: ScoreBenchOptions): Promise<ScoreResult> {
  const { onStep } = options;
  onStep(0, 'starting a cluster');
  const millrace = await openMillraceStack(options, options.env);
  try {
    onStep(1, 'starting the reference');
    const reference = options.withReference ? await openReferenceStack(options) : null;
    try {
      const requests = makeScoreRequests(options, requestsKept);
      const difference = reference ? await compare(millrace, reference, requests) : null;
      const stacks = reference ? [millrace, reference] : [millrace];
      const searches = await searchAll(stacks, requests, options);
      const [ours, theirs] = searches.map(({ best }) => figuresOf(best));
      return {
        ...ours,
        ratioToReference: theirs ? rounded(ours.requestsPerSecond / theirs.requestsPerSecond) : null,
        reference: reference && { ...theirs, redisVersion: reference.redisVersion },
        engine: millrace.engine,
        scoreDifferenceMax: difference,
        steps: searches.flatMap(({ tried }) => tried),
      };
    } finally {
      await reference?.close();
    }
  } finally {
    await millrace.close();
  }
}

async function compare(
  ours: ScoringStack,
  theirs: ScoringStack,
  requests: ReturnType<typeof makeScoreRequests>,
): Promise<number> {
  let largest = 0;
  for (const items of requests.slice(0, comparedRequests)) {
    const [a, b] = [await scoresFrom(ours, items), await scoresFrom(theirs, items)];
    for (let i = 0; i < items.length; i += 1) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  }
  if (!(largest <= scoreDifferenceAllowed)) {
    throw new MillraceError(
      'MILL_INTERNAL',
      `the stacks' scores differ by ${largest}, wanted ${scoreDifferenceAllowed} at most`,
    );
  }
  return rounded(largest, 2);
}

interface Search {
  readonly stack: ScoringStack;
  readonly tried: ScoreResult['steps'][number][];
  /** The highest rate known to hold, and the lowest known not to. */
  low: number;
  high: number;
  best: LoadFigures;
}

/** Bisection, the stacks in turns, so that what else the machine does meets both. */
async function searchAll(
  stacks: readonly ScoringStack[],
  requests: ReturnType<typeof makeScoreRequests>,
  options: ScoreBenchOptions,
): Promise<readonly Search[]> {
  const { steps, stepMs, warmMs, msP99Max, seed, onStep } = options;
  const directory = await mkdtemp(join(tmpdir(), 'mill-bench-'));
  const load = forkModule(new URL('./load-process.ts', import.meta.url));
  let done = 2;
  const drive = async (stack: ScoringStack, rate: number | null): Promise<LoadFigures> => {
    onStep(done, `${stack.name}, ${rate === null ? 'as fast as it can' : `${Math.round(rate)} requests/s`}`);
    done += 1;
    const order: LoadOrder = {
      url: stack.url,
      bodies: join(directory, stack.name),
      rate,
      inFlight: closedInFlight,
      runMs: stepMs,
      warmMs,
      seed: seed + done,
    };
    return load.ask<LoadFigures>(order);
  };
  try {
    const searches: Search[] = [];
    for (const stack of stacks) {
      await writeFile(join(directory, stack.name), requests.map((items) => stack.bodyOf(items)).join('\n'));
      await drive(stack, null);
      const closed = await drive(stack, null);
      const search = { stack, tried: [], low: 0, high: 1.25 * closed.requestsPerSecond, best: closed };
      note(search, null, closed, false);
      searches.push(search);
    }
    // One that has held no rate yet goes on, so that there is a figure to tell.
    const isOpen =
      (step: number) =>
      ({ low }: Search) =>
        step < steps || (low === 0 && step < 2 * steps);
    for (let step = 0; searches.some(isOpen(step)); step += 1) {
      for (const search of searches.filter(isOpen(step))) {
        const rate = step === 0 ? 0.7 * search.high : (search.low + search.high) / 2;
        const figures = await drive(search.stack, rate);
        const holds = isHeld(figures, msP99Max);
        note(search, rate, figures, holds);
        if (holds) Object.assign(search, { low: rate, best: figures });
        else search.high = rate;
      }
    }
    const unmet = searches.find(({ low }) => low === 0);
    if (unmet) {
      throw new MillraceError(
        'MILL_OVERLOADED',
        `${unmet.stack.name} held none of the rates tried at a p99 of ${msP99Max} ms, the lowest ${Math.round(unmet.high)}/s`,
      );
    }
    return searches;
  } finally {
    await load.close();
    await rm(directory, { recursive: true, force: true });
  }
}

function isHeld({ msP99, refused, unsent }: LoadFigures, msP99Max: number): boolean {
  return msP99 <= msP99Max && unsent === 0 && Object.keys(refused).length === 0;
}

function note(search: Search, rate: number | null, figures: LoadFigures, holds: boolean): void {
  const entry = { stack: search.stack.name, rate: rate === null ? null : rounded(rate), holds };
  search.tried.push({ ...entry, ...figuresOf(figures) });
}

function figuresOf({ requestsPerSecond, msP50, msP95, msP99 }: LoadFigures): RateFigures {
  return { requestsPerSecond, msP50, msP95, msP99 };
}
