import { Counter, Histogram, type Registry } from 'prom-client';

export interface HttpMetrics {
  /** @param route  the route's pattern, never a path that a caller made up: labels must stay few. */
  observe(route: string, status: number, seconds: number): void;
}

/** Bounds in seconds, from a small request answered from memory to the usual time limit. */
const buckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** Registers the request counter and duration histogram, by route and status. */
export function httpMetricsIn(registry: Registry): HttpMetrics {
  const common = { labelNames: ['route', 'status'] as const, registers: [registry] };
  const requests = new Counter({
    ...common,
    name: 'millrace_http_requests_total',
    help: 'HTTP requests answered.',
  });
  const durations = new Histogram({
    ...common,
    name: 'millrace_http_request_duration_seconds',
    help: 'Time from the last byte of a request’s headers to the last byte of its answer.',
    buckets,
  });
  return {
    observe(route, status, seconds) {
      const labels = { route, status };
      requests.inc(labels);
      durations.observe(labels, seconds);
    },
  };
}
