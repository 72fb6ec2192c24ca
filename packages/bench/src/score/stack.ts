/** One of the two stacks that are measured: it runs in processes of its own and is asked over HTTP. */
import type { Values } from './workload.ts';

export interface ScoringStack {
  readonly name: 'millrace' | 'reference';
  /** Where requests are posted to. */
  readonly url: string;
  /** What a request looks like there, JSON. */
  bodyOf(items: readonly Values[]): string;
  close(): Promise<void>;
}

/** Scores that a stack gives a request. @throws Error with what it answered instead. */
export async function scoresFrom(stack: ScoringStack, items: readonly Values[]): Promise<readonly number[]> {
  const response = await fetch(stack.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: stack.bodyOf(items),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${stack.name} answered ${response.status}: ${text.slice(0, 300)}`);
  return (JSON.parse(text) as { readonly scores: readonly number[] }).scores;
}
