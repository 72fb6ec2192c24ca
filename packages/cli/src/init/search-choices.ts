/**
 * Finds choices by trials: backtests of a few candidate models over a sample of the log, one change at a time, each kept when
 * it lowers the score. Deterministic, and bounded by the number of trials.
 *
 *   score = logloss / entropy of the label − ¼ · AUC
 */
import type { ModelFile } from '@millrace/protocol';
import { buildModel, type Choices, type ModelParts } from './build-model.ts';
import type { ScreenedPair } from './screen-pairs.ts';

export interface TrialFigures {
  readonly auc: number;
  readonly logloss: number;
}

/** Backtests a candidate over the sample. */
export type RunTrial = (file: ModelFile) => Promise<TrialFigures>;

export interface Trial {
  readonly what: string;
  readonly figures: TrialFigures;
  readonly kept: boolean;
}

export interface SearchResult {
  readonly choices: Choices;
  readonly trials: readonly Trial[];
}

export interface SearchOptions {
  readonly run: RunTrial;
  /** Share of ones among the labels. */
  readonly rate: number;
  readonly trialsMax: number;
  readonly onTrial: (trials: number) => void;
}

/** Trials of one search, unless told otherwise: each search that was measured ended by itself before. */
export const trialsMax = 28;

/** Precisions of a weight that are tried, and shares of the evidence. */
const lambdas = [0.1, 0.25, 1, 4, 16, 64, 256];
const shares = [1, 0.7, 0.4, 0.2, 0.1, 0.03, 0.01];
const idsFactors = [0.25, 1, 4, 16];
const factorsRates = [0.1, 0.2, 0.4];
/** A change that adds rows must earn them. */
const gainOfRows = 0.0005;

/** Choices without any trial: what does no great harm on any log, and the pairs that the screening is sure of. */
export function firstChoices(parts: ModelParts, pairs: readonly ScreenedPair[]): Choices {
  const fields = parts.columns.filter(({ use }) => use.kind !== 'left-out').length;
  return {
    // All weights of an event step at once, so many fields overshoot together.
    lambda: fields > 15 ? 16 : 4,
    idsFactor: 1,
    c: 0.4,
    numbers: 'best',
    crosses: pairs.slice(0, crossesFirst).map(({ columns }) => columns),
    factors: [],
    factorsRate: 0.2,
  };
}

const crossesFirst = 6;
const crossesMore = 15;

export async function searchChoices(
  parts: ModelParts,
  pairs: readonly ScreenedPair[],
  options: SearchOptions,
): Promise<SearchResult> {
  const search = new Search(parts, options);
  await search.start({ ...firstChoices(parts, pairs), crosses: [] });
  await search.climb('lambda', lambdas);
  await search.climb('c', shares);
  await tryNumbers(search, parts);
  await tryCrosses(search, pairs);
  await tryFactors(search, parts);
  await search.climb('idsFactor', idsFactors);
  await search.climb('lambda', lambdas);
  await search.climb('c', shares);
  const { lambda } = search.best;
  (await search.change({ lambda: 2 * lambda })) || (await search.change({ lambda: lambda / 2 }));
  return { choices: search.best, trials: search.trials };
}

async function tryNumbers(search: Search, parts: ModelParts): Promise<void> {
  const isChoice = parts.columns.some(
    ({ forms }) => new Set(forms.map(({ form }) => form.kind === 'weighted')).size > 1,
  );
  if (!isChoice) return;
  await search.change({ numbers: 'weighted' });
  await search.change({ numbers: 'keys' });
}

async function tryCrosses(search: Search, pairs: readonly ScreenedPair[]): Promise<void> {
  const columns = pairs.map((pair) => pair.columns);
  if (columns.length === 0) return;
  let kept = await search.change({ crosses: columns.slice(0, crossesFirst) }, gainOfRows);
  if (!kept && columns.length > 1) kept = await search.change({ crosses: columns.slice(0, 1) }, gainOfRows);
  else if (columns.length > crossesFirst)
    await search.change({ crosses: columns.slice(0, crossesMore) }, gainOfRows);
}

/** Values that must be met often enough for factors to be learned, and be many enough to need them. */
const factorsValuesMin = 10;
const factorColumnsMax = 8;

async function tryFactors(search: Search, parts: ModelParts): Promise<void> {
  const columns = parts.columns
    .flatMap(({ use }) => (use.kind === 'value' && use.distinct >= factorsValuesMin ? [use] : []))
    .sort((a, b) => b.distinct - a.distinct)
    .slice(0, factorColumnsMax)
    .map(({ column }) => column);
  if (columns.length < 2) return;
  const kept =
    (await search.change({ factors: columns }, gainOfRows)) ||
    (columns.length > 2 && (await search.change({ factors: columns.slice(0, 2) }, gainOfRows)));
  if (kept) await search.climb('factorsRate', factorsRates);
}

class Search {
  readonly trials: Trial[] = [];
  readonly #parts: ModelParts;
  readonly #options: SearchOptions;
  readonly #entropy: number;
  readonly #seen = new Set<string>();
  #best: Choices | undefined;
  #bestScore = Number.POSITIVE_INFINITY;

  constructor(parts: ModelParts, options: SearchOptions) {
    const { rate } = options;
    this.#parts = parts;
    this.#options = options;
    this.#entropy = -rate * Math.log(rate) - (1 - rate) * Math.log(1 - rate);
  }

  get best(): Choices {
    return this.#best as Choices;
  }

  async start(choices: Choices): Promise<void> {
    await this.#judge('the first candidate', choices, 0);
  }

  /** Tries a change; true when it is kept. @param worth by how much it must lower the score. */
  async change(change: Partial<Choices>, worth = 0): Promise<boolean> {
    return this.#judge(textOf(change), { ...this.best, ...change }, worth);
  }

  /** Goes up or down the ladder while that helps. */
  async climb(key: 'lambda' | 'c' | 'idsFactor' | 'factorsRate', ladder: readonly number[]): Promise<void> {
    for (const direction of [1, -1]) {
      let moved = false;
      for (;;) {
        const next = nextOf(ladder, this.best[key], direction);
        if (next === undefined || !(await this.change({ [key]: next }))) break;
        moved = true;
      }
      if (moved) return;
    }
  }

  async #judge(what: string, choices: Choices, worth: number): Promise<boolean> {
    const file = buildModel(this.#parts, choices);
    const key = JSON.stringify(file);
    if (this.#seen.has(key) || this.trials.length >= this.#options.trialsMax) return false;
    this.#seen.add(key);
    const figures = await this.#options.run(file);
    const auc = Number.isNaN(figures.auc) ? 0.5 : figures.auc;
    const score = figures.logloss / this.#entropy - auc / 4;
    // The first one is kept whatever it gives; a model that diverged is NaN and never kept after it.
    const kept = this.#best === undefined || score < this.#bestScore - worth;
    if (kept) {
      this.#best = choices;
      this.#bestScore = Number.isNaN(score) ? Number.POSITIVE_INFINITY : score;
    }
    this.trials.push({ what, figures, kept });
    this.#options.onTrial(this.trials.length);
    return kept;
  }
}

/** The next number of the ladder beyond `from` in that direction. */
function nextOf(ladder: readonly number[], from: number, direction: number): number | undefined {
  const ascending = [...ladder].sort((a, b) => a - b);
  return direction > 0 ? ascending.find((x) => x > from) : ascending.reverse().find((x) => x < from);
}

function textOf(change: Partial<Choices>): string {
  return Object.entries(change)
    .map(([name, value]) => {
      if (name === 'crosses')
        return `crosses ${(value as Choices['crosses']).map((pair) => pair.join(' × ')).join(', ')}`;
      if (name === 'factors') return `factors of ${(value as Choices['factors']).join(', ')}`;
      return `${name} ${value}`;
    })
    .join(', ');
}
