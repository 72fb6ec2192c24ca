/**
 * Whether answers are those of exactly one version: what each version gives for each request is asked before, and every score
 * of an answer must have the bits that the version which the answer names gave. Versions differ in every score, so a batch
 * that mixed two, or named another than it used, is seen.
 */
import type { ScoreResponse } from '@millrace/protocol';

/** By version, then by request, its scores. */
export type References = readonly (readonly (readonly number[])[])[];

export interface SwapJudge {
  /** @param version place in the references that the answer says it is of; undefined: it names none that there is. */
  judge(request: number, version: number | undefined, answer: Pick<ScoreResponse, 'scores'>): void;
  readonly judged: number;
  /** Answers with a score that is not the named version's. */
  readonly mixed: number;
  /** Versions that answered. */
  readonly seen: ReadonlySet<number>;
}

export function createSwapJudge(references: References): SwapJudge {
  const seen = new Set<number>();
  const judge = {
    judged: 0,
    mixed: 0,
    seen,
    judge(request: number, version: number | undefined, { scores }: Pick<ScoreResponse, 'scores'>) {
      judge.judged += 1;
      const wanted = version === undefined ? undefined : references[version]?.[request];
      if (version === undefined || !areEqual(wanted, scores)) judge.mixed += 1;
      else seen.add(version);
    },
  };
  return judge;
}

function areEqual(wanted: readonly number[] | undefined, found: readonly number[]): boolean {
  return wanted?.length === found.length && wanted.every((score, i) => Object.is(score, found[i]));
}

/** Pairs of versions that give some request's item the same score: there must be none, or nothing could be told from it. */
export function likeVersions(references: References): number {
  let alike = 0;
  for (const [a, first] of references.entries()) {
    for (const second of references.slice(a + 1)) {
      const same = first.some((scores, r) => scores.some((score, i) => Object.is(score, second[r][i])));
      if (same) alike += 1;
    }
  }
  return alike;
}
