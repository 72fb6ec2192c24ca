/** Spans by OpenTelemetry's SDK, sent as OTLP over HTTP with JSON. Its packages are optional, and loaded here alone. */

import { isMillraceError, MillraceError, reasonFrom } from '@millrace/protocol';
import type { AttributeValue, Context, SpanKind as Kind, Link, Span as OtelSpan } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Logger } from '../http/refusals.ts';
import type { Attributes, Span, TraceHeaders, Tracing } from './span.ts';

export interface TracingOptions {
  /** Of a collector, for example `http://127.0.0.1:4318`; spans go to `/v1/traces` below it. */
  readonly url: string;
  /** Share of the traces that begin here; those that callers began are kept as they say. */
  readonly ratio: number;
  /** Name of the cluster, which every span has. */
  readonly cluster: string;
  readonly logger: Logger;
}

/** A collector that takes longer is given up on, ms; also how long a drain may wait for it. */
const exportMsMax = 3_000;
/** Spans that wait to be sent, at most; more are dropped. About 2 KB each. */
const waitingMax = 4_096;

const packages = [
  '@opentelemetry/api',
  '@opentelemetry/core',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-trace-base',
  '@opentelemetry/exporter-trace-otlp-http',
];

async function load() {
  try {
    const [api, core, resources, sdk, otlp] = await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/core'),
      import('@opentelemetry/resources'),
      import('@opentelemetry/sdk-trace-base'),
      import('@opentelemetry/exporter-trace-otlp-http'),
    ]);
    return { api, core, resources, sdk, otlp };
  } catch (cause) {
    throw new MillraceError(
      'MILL_CONFIG_INVALID',
      `MILL_OTEL_URL wants OpenTelemetry, which cannot be loaded: npm install ${packages.join(' ')} (${reasonFrom(cause)})`,
      { cause },
    );
  }
}

type Libraries = Awaited<ReturnType<typeof load>>;

/**
 * Opens an exporter. It connects with the first spans; a collector that is away is logged, and its spans are lost.
 * @throws MILL_CONFIG_INVALID when a package is missing.
 */
export async function openTracing(options: TracingOptions): Promise<Tracing> {
  const libraries = await load();
  const { api, core, resources, sdk, otlp } = libraries;
  const url = `${options.url.replace(/\/+$/, '')}/v1/traces`;
  const exporter = new otlp.OTLPTraceExporter({ url, timeoutMillis: exportMsMax });
  const provider = new sdk.BasicTracerProvider({
    resource: resources.resourceFromAttributes({
      'service.name': 'millrace-inference',
      'service.namespace': options.cluster,
    }),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(options.ratio) }),
    spanProcessors: [
      new sdk.BatchSpanProcessor(watched(exporter, options), {
        maxQueueSize: waitingMax,
        exportTimeoutMillis: exportMsMax,
      }),
    ],
  });
  const tracer = provider.getTracer('millrace');
  const propagator = new core.W3CTraceContextPropagator();
  const start = (name: string, parent: Context, kind: Kind, attributes: Attributes, links: Link[]) =>
    tracer.startSpan(name, { kind, attributes: { ...attributes }, links }, parent);

  const spanFrom = (own: OtelSpan): Span => ({
    get traceparent() {
      return traceparentOf(own);
    },
    child(name, attributes = {}, links = []) {
      const kind = name === 'pull' ? api.SpanKind.CLIENT : api.SpanKind.INTERNAL;
      const linked = links.map(({ traceparent }) => linkTo(libraries, traceparent));
      return spanFrom(start(name, api.trace.setSpan(api.ROOT_CONTEXT, own), kind, attributes, linked));
    },
    note: (attributes) => void own.setAttributes({ ...attributes } as Record<string, AttributeValue>),
    end(error) {
      if (error !== undefined) {
        own.setAttribute('error.type', isMillraceError(error) ? error.code : 'MILL_INTERNAL');
        own.setStatus({ code: api.SpanStatusCode.ERROR });
      }
      own.end();
    },
  });

  return {
    begin(name, attributes, from: TraceHeaders) {
      const parent = propagator.extract(api.ROOT_CONTEXT, { ...from }, api.defaultTextMapGetter);
      const own = start(name, parent, api.SpanKind.SERVER, attributes, []);
      return own.isRecording() ? spanFrom(own) : null;
    },
    close: () => provider.shutdown().catch(() => undefined),
  };
}

function traceparentOf(span: OtelSpan): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

function linkTo({ core, api }: Libraries, traceparent: string): Link {
  return { context: core.parseTraceParent(traceparent) ?? api.INVALID_SPAN_CONTEXT };
}

/** Tells once when sending begins to fail, and once when it works again. */
function watched(exporter: SpanExporter, { logger, url }: TracingOptions): SpanExporter {
  let failing = false;
  return {
    export(spans: ReadableSpan[], done) {
      exporter.export(spans, (result) => {
        const failed = result.error !== undefined || result.code !== 0;
        if (failed && !failing)
          logger.warn({ url, spans: spans.length, reason: reasonFrom(result.error) }, 'spans lost');
        if (!failed && failing) logger.info({ url }, 'spans sent again');
        failing = failed;
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush && { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() }),
  };
}
