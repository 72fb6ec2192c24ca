/** Creates what Millrace stores in NATS, where it is missing. What is there already is left as it is. */
import { buckets, type LogName, MillraceError, streams } from '@millrace/protocol';
import {
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  nanos,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from 'nats';
import {
  isClusterMissing,
  isStorageShort,
  isStreamMissing,
  isStreamTaken,
  logUnavailable,
} from './nats-errors.ts';

export interface StreamLimits {
  /** Copies of each log and bucket: 1 on a single server, 3 on a cluster. */
  readonly replicas: number;
  /** Bytes each log may hold. A full log refuses messages rather than forget any; that of measures forgets the oldest. */
  readonly logBytesMax: Readonly<Record<LogName, number>>;
}

const gibibyte = 1024 ** 3;

/** The gradient log holds days of learning; the others are small beside it. */
export const logBytesMaxDefault: Readonly<Record<LogName, number>> = {
  gradients: 16 * gibibyte,
  dense: 4 * gibibyte,
  events: 4 * gibibyte,
  measures: gibibyte / 4,
};

/** Events are joined within seconds and learned within minutes; a week lets a stopped updater catch up. */
const eventsAgeMsMax = 7 * 24 * 60 * 60 * 1_000;
/** Records of measures kept of each model: a day of one every ten seconds. */
const measuresKept = 8_640;
/** How long a repeated message id is recognised. */
const duplicateWindowMs = 120_000;

/**
 * Creates the logs and buckets that do not exist yet; several processes may do so at once.
 * @throws MILL_LOG_UNAVAILABLE when the server does not answer, MILL_CONFIG_INVALID when it has too little storage.
 */
export async function ensureStreams(
  jetStream: JetStreamManager,
  client: JetStreamClient,
  limits: StreamLimits,
): Promise<void> {
  for (const log of Object.keys(streams) as LogName[]) await ensureLog(jetStream, log, limits);
  for (const bucket of Object.values(buckets)) {
    await client.views.kv(bucket, bucketOptionsFrom(limits)).catch((error: unknown) => {
      if (!isStreamTaken(error)) throw logUnavailable(`cannot create bucket "${bucket}"`, error);
    });
  }
}

/** File storage, the newest value of a key only. On a cluster reads go to the leader, so that a write is read back. */
export function bucketOptionsFrom(limits: StreamLimits) {
  return {
    history: 1,
    storage: StorageType.File,
    replicas: limits.replicas,
    allow_direct: limits.replicas === 1,
  };
}

async function ensureLog(jetStream: JetStreamManager, log: LogName, limits: StreamLimits): Promise<void> {
  const { name } = streams[log];
  try {
    await jetStream.streams.info(name);
    return;
  } catch (error) {
    if (!isStreamMissing(error)) throw logUnavailable(`cannot look up log "${name}"`, error);
  }
  try {
    await jetStream.streams.add(streamConfigFrom(log, limits));
  } catch (error) {
    // Another process was faster, with other limits: its choice stands.
    if (isStreamTaken(error)) return;
    if (isStorageShort(error)) {
      throw new MillraceError(
        'MILL_CONFIG_INVALID',
        `cannot create log "${name}": it reserves ${limits.logBytesMax[log]} bytes, more than nats-server has left; ` +
          'raise max_file_store there or lower the log’s limit here',
        { cause: error },
      );
    }
    if (isClusterMissing(error)) {
      throw new MillraceError(
        'MILL_CONFIG_INVALID',
        `cannot create log "${name}": MILL_NATS_REPLICAS wants ${limits.replicas} copies, but this nats-server belongs to no cluster`,
        { cause: error },
      );
    }
    throw logUnavailable(`cannot create log "${name}"`, error);
  }
}

function streamConfigFrom(log: LogName, limits: StreamLimits): Partial<StreamConfig> & { name: string } {
  const { name, subjects } = streams[log];
  return {
    name,
    subjects: [...subjects],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: log === 'measures' ? DiscardPolicy.Old : DiscardPolicy.New,
    ...(log === 'measures' && { max_msgs_per_subject: measuresKept }),
    max_bytes: limits.logBytesMax[log],
    max_age: log === 'events' ? nanos(eventsAgeMsMax) : 0,
    duplicate_window: nanos(duplicateWindowMs),
    num_replicas: limits.replicas,
    allow_direct: true,
  };
}
