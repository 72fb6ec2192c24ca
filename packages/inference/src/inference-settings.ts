import { packedFormats } from '@millrace/core';
import { engineNames } from '@millrace/model';
import {
  choiceSetting,
  defineConfig,
  listSetting,
  numberSetting,
  textSetting,
  wholeSetting,
} from '@millrace/runtime';

/** Settings of an inference process. */
export const inferenceSettings = defineConfig({
  host: {
    env: 'MILL_HTTP_HOST',
    parser: textSetting(),
    default: '127.0.0.1',
    sentence: 'Address that the HTTP port listens on.',
  },
  port: {
    env: 'MILL_HTTP_PORT',
    parser: wholeSetting({ min: 0, max: 65_535 }),
    default: 8_080,
    sentence: 'HTTP port; 0 takes a free one.',
  },
  httpTlsCert: {
    env: 'MILL_HTTP_TLS_CERT',
    parser: textSetting({ charsMax: 4_096, wanted: 'the path of a file' }),
    default: null,
    sentence:
      'Certificate of the HTTP, gRPC and Thrift ports, PEM, with those between it and the authority; with it they speak TLS alone.',
  },
  httpTlsKey: {
    env: 'MILL_HTTP_TLS_KEY',
    parser: textSetting({ charsMax: 4_096, wanted: 'the path of a file' }),
    default: null,
    sentence: 'Key of MILL_HTTP_TLS_CERT, PEM, without a pass phrase.',
  },
  corsOrigins: {
    env: 'MILL_HTTP_CORS_ORIGINS',
    parser: listSetting(
      textSetting({ pattern: /^(\*|https?:\/\/[^\s/,]+)$/, wanted: '`*` or `https://host`' }),
    ),
    default: null,
    sentence:
      'Origins whose pages may call the HTTP API from a browser, or `*`; none: no page of another origin may.',
  },
  grpcPort: {
    env: 'MILL_GRPC_PORT',
    parser: wholeSetting({ min: 0, max: 65_535 }),
    default: 0,
    sentence: 'gRPC port, at the address of the HTTP port; 0: none.',
  },
  thriftPort: {
    env: 'MILL_THRIFT_PORT',
    parser: wholeSetting({ min: 0, max: 65_535 }),
    default: 0,
    sentence: 'Apache Thrift port, at the address of the HTTP port; 0: none. Wants the package thrift.',
  },
  connectionsMax: {
    env: 'MILL_HTTP_CONNECTIONS_MAX',
    parser: wholeSetting({ min: 1, max: 100_000 }),
    default: 1_024,
    unit: 'connections',
    sentence: 'HTTP connections served at once; more get MILL_OVERLOADED.',
  },
  requestTimeoutMs: {
    env: 'MILL_HTTP_TIMEOUT_MS',
    parser: wholeSetting({ min: 100, max: 600_000 }),
    default: 10_000,
    unit: 'ms',
    sentence: 'Time for a request to arrive, and again for its answer.',
  },
  accessLog: {
    env: 'MILL_ACCESS_LOG',
    parser: choiceSetting(['on', 'off']),
    default: 'off',
    sentence: 'on: one line in the log for each HTTP request, without features, queries or keys.',
  },
  otelUrl: {
    env: 'MILL_OTEL_URL',
    parser: textSetting({ pattern: /^https?:\/\/[^\s/?#]+[^\s?#]*$/, wanted: '`http://host:port`' }),
    default: null,
    sentence:
      'OpenTelemetry collector that gets spans of requests, OTLP over HTTP with JSON; none: nothing is traced.',
  },
  otelRatio: {
    env: 'MILL_OTEL_RATIO',
    parser: numberSetting({ min: 0, max: 1 }),
    default: 1,
    sentence: 'Share of the traces begun here that are kept; those that callers began are kept as they say.',
  },
  engine: {
    env: 'MILL_ENGINE',
    parser: choiceSetting(['auto', ...engineNames]),
    default: 'auto',
    sentence: 'What runs the dense part; auto measures those that load, and takes the fastest.',
  },
  asideFrom: {
    env: 'MILL_ASIDE_FROM',
    parser: numberSetting({ min: 0, max: 1 }),
    default: 0.8,
    sentence:
      'Share of its time that the node’s thread is busy from which on ONNX Runtime scores in a thread beside it; 1: never.',
  },
  netsDirectory: {
    env: 'MILL_NETS_DIR',
    parser: textSetting(),
    default: null,
    sentence: 'Directory with the files of imported nets.',
  },
  batchRowsMax: {
    env: 'MILL_BATCH_ROWS_MAX',
    parser: wholeSetting({ min: 1, max: 65_536 }),
    default: 1_024,
    unit: 'rows',
    sentence: 'A batch leaves once it has this many items.',
  },
  batchDelayUs: {
    env: 'MILL_BATCH_DELAY_US',
    parser: numberSetting({ min: 0, max: 1_000_000 }),
    default: 0,
    unit: 'µs',
    sentence: 'How long a request waits for others; 0: until the current turn of the event loop ends.',
  },
  queueRowsMax: {
    env: 'MILL_QUEUE_ROWS_MAX',
    parser: wholeSetting({ min: 1, max: 10_000_000 }),
    default: 20_000,
    unit: 'rows',
    sentence: 'Items that may wait for a batch; a request that would exceed it gets MILL_OVERLOADED.',
  },
  queueDelayMsMax: {
    env: 'MILL_QUEUE_DELAY_MS_MAX',
    parser: numberSetting({ min: 1, max: 600_000 }),
    default: 50,
    unit: 'ms',
    sentence:
      'Once requests have waited for a batch for so long, or would, new ones get MILL_OVERLOADED; those of priority low after half, high after twice of it.',
  },
  queueDelayMsTarget: {
    env: 'MILL_QUEUE_DELAY_MS_TARGET',
    parser: numberSetting({ min: 0.1, max: 600_000 }),
    default: 15,
    unit: 'ms',
    sentence:
      'The same once waits have been over this for 100 ms without a break: a queue that stands is kept short, a burst may be long.',
  },
  lanes: {
    env: 'MILL_BATCH_LANES',
    parser: wholeSetting({ min: 1, max: 64 }),
    default: 4,
    unit: 'batches',
    sentence: 'Batches on their way at the same time: one computes while others wait for rows.',
  },
  swapEveryMs: {
    env: 'MILL_SWAP_EVERY_MS',
    parser: wholeSetting({ min: 1, max: 3_600_000 }),
    default: 100,
    unit: 'ms',
    sentence: 'How often newer dense weights are swapped in.',
  },
  pullTimeoutMs: {
    env: 'MILL_PULL_TIMEOUT_MS',
    parser: wholeSetting({ min: 1, max: 60_000 }),
    default: 500,
    unit: 'ms',
    sentence: 'A shard that has not answered a pull by then is passed over for another owner.',
  },
  cacheRows: {
    env: 'MILL_CACHE_ROWS',
    parser: wholeSetting({ min: 0, max: 100_000_000 }),
    default: 262_144,
    unit: 'rows',
    sentence: 'Rows of each table that are kept and read without asking a shard; 0 keeps none.',
  },
  cacheStalenessMsMax: {
    env: 'MILL_CACHE_STALENESS_MS_MAX',
    parser: wholeSetting({ min: 1, max: 86_400_000 }),
    default: 1_000,
    unit: 'ms',
    sentence: 'Kept rows that are older are pulled instead; shards tell of changes within milliseconds.',
  },
  cacheRowFormat: {
    env: 'MILL_CACHE_ROW_FORMAT',
    parser: choiceSetting(['float32', ...packedFormats]),
    default: 'float32',
    sentence:
      'How kept rows lie in memory; float16 and int8 take less of it and round scores a little, so they cannot be computed again to the bit.',
  },
});
