/** Prometheus metrics of one process, in a registry of their own: two services in one test do not share figures. */
import { invariant } from '@millrace/protocol';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export type { Counter, Gauge, Histogram } from 'prom-client';

export interface MetricOptions<Label extends string> {
  /** Starts with `mill_` and ends with its unit, or `_total` for a counter. */
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly Label[];
}

export interface HistogramOptions<Label extends string> extends MetricOptions<Label> {
  /** Upper bounds, ascending, in the unit of the name. */
  readonly buckets: readonly number[];
}

export interface Metrics {
  counter<Label extends string = never>(options: MetricOptions<Label>): Counter<Label>;
  /** With `read`, the value is asked for whenever the metrics are. */
  gauge<Label extends string = never>(options: MetricOptions<Label>, read?: () => number): Gauge<Label>;
  histogram<Label extends string = never>(options: HistogramOptions<Label>): Histogram<Label>;
  /** Everything in Prometheus' text format, to be sent with `contentType`. */
  text(): Promise<string>;
  readonly contentType: string;
  /** The registry itself, for a server that adds its own. */
  readonly registry: Registry;
}

export interface MetricsOptions {
  /** Label `service` of every metric. */
  readonly service: string;
  /** Also memory, CPU, event loop and garbage collection of the process; once a process. Default false. */
  readonly withProcess?: boolean;
}

/** Creates an empty registry. A name that is used twice, or is not one of Millrace's, is a defect. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service: options.service });
  if (options.withProcess === true) collectDefaultMetrics({ register: registry });
  return {
    counter: (metric) => new Counter(configurationOf(metric, registry)),
    gauge: (metric, read) => {
      const configuration = configurationOf(metric, registry);
      if (read === undefined) return new Gauge(configuration);
      return new Gauge({
        ...configuration,
        collect() {
          this.set(read());
        },
      });
    },
    histogram: (metric) =>
      new Histogram({ ...configurationOf(metric, registry), buckets: [...metric.buckets] }),
    text: () => registry.metrics(),
    contentType: registry.contentType,
    registry,
  };
}

function configurationOf<Label extends string>(metric: MetricOptions<Label>, registry: Registry) {
  invariant(/^mill_[a-z0-9_]+$/.test(metric.name), `a metric is named mill_…, got "${metric.name}"`);
  return {
    name: metric.name,
    help: metric.help,
    labelNames: [...(metric.labels ?? [])],
    registers: [registry],
  };
}
