/**
 * What serving tells of itself while a request is under way, if anybody listens. No library here: open-tracing.ts brings
 * OpenTelemetry's where it is wanted, and elsewhere there is no span at all, so that nothing is spent.
 *
 *   POST /v1/score ── score ── batch ─┬─ pull
 *                                     └─ forward
 *
 * A batch is the work of several requests: its span is a child of the first one's, and links to those of the others.
 * Names, counts, versions and codes go into attributes; features, texts of refusals and keys never do.
 */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface Span {
  /** Of W3C Trace Context: `00-TRACE-SPAN-01`. */
  readonly traceparent: string;
  /** @param links  spans that it is the work of too. */
  child(name: string, attributes?: Attributes, links?: readonly Span[]): Span;
  note(attributes: Attributes): void;
  /** @param error  why it failed; its code alone is told. */
  end(error?: unknown): void;
}

/** What a caller's own trace says of itself. */
export interface TraceHeaders {
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
}

export interface Tracing {
  /** A span of a request that has arrived; null: this one is not sampled. */
  begin(name: string, attributes: Attributes, from: TraceHeaders): Span | null;
  /** Sends what is left. */
  close(): Promise<void>;
}

/** Runs `work` within a child of `parent`; without a parent there is only the work. */
export async function spanning<T>(
  parent: Span | undefined,
  name: string,
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  if (parent === undefined) return work(undefined);
  const span = parent.child(name);
  try {
    const result = await work(span);
    span.end();
    return result;
  } catch (error) {
    span.end(error);
    throw error;
  }
}

/** The span of a batch; undefined while nobody in it is traced. */
export function batchSpanOf(
  tickets: readonly {
    readonly request: { readonly caller?: { readonly span?: Span | undefined } | undefined };
  }[],
): Span | undefined {
  let spans: Span[] | undefined;
  for (const { request } of tickets) {
    const span = request.caller?.span;
    if (span === undefined) continue;
    spans ??= [];
    spans.push(span);
  }
  if (spans === undefined) return undefined;
  const [first, ...others] = spans;
  return first.child('batch', { 'millrace.requests': tickets.length }, others);
}
