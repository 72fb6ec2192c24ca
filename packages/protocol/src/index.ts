export { answeredScore, answeredScores } from './answered-score.ts';
export * from './arm-notice.ts';
export {
  type BatchRecord,
  comparePlaces,
  decodeBatchRecord,
  type ExamplePlace,
  encodeBatchRecord,
} from './batch-record.ts';
export { alignedBytes, bytesOf, floatsAt, highWordOf, lowWordOf, sequenceFrom, wordsAt } from './bytes.ts';
export { type DenseBlock, decodeDenseBlock, encodeDenseBlock } from './dense-block.ts';
export { type DensePutBlock, decodeDensePutBlock, encodeDensePutBlock } from './dense-put-block.ts';
export { openEnvelope, sealEnvelope } from './envelope.ts';
export * from './errors.ts';
export {
  decodeEvent,
  type Event,
  encodeEvent,
  type FirstChoice,
  type Impression,
  type Outcome,
  type RoundedFormat,
  roundedFormats,
  type Shadow,
  type Tick,
} from './event.ts';
export * from './experiment.ts';
export * from './experiment-report.ts';
export * from './experiment-sums.ts';
export { createFrameReader, type Frame, type FrameReader } from './frame-reader.ts';
export {
  decodeGradientBlock,
  encodeGradientBlock,
  type GradientBlock,
  type GradientSection,
  type ProducerMark,
} from './gradient-block.ts';
export {
  decodeHeads,
  encodeHeads,
  headsIdleMs,
  type LearningCounters,
  type LogHeads,
  type Rejection,
} from './heads.ts';
export * from './ids.ts';
export {
  decodeShardLease,
  encodeShardLease,
  leaseLapseMs,
  leaseRenewMs,
  type ModelLease,
  type ShardLease,
} from './lease.ts';
export * from './limits.ts';
export {
  decodeAnyDenseBlock,
  decodePartitionBlock,
  isDensePutBlock,
  isPutBlock,
  type PartitionBlock,
} from './log-block.ts';
export * from './measures.ts';
export * from './model-file.ts';
export * from './model-version.ts';
export {
  outcomeKindNumber,
  outcomeKindsOf,
  outcomeKindUnknown,
  outcomeNameDefault,
} from './outcome-kinds.ts';
export { jsonBytes, jsonFrom, packed, unpacked } from './packing.ts';
export { decodePartitionMap, encodePartitionMap, type PartitionMap } from './partition-map.ts';
export { partitionSetFrom, partitionSetSize, partitionSetText } from './partition-set.ts';
export { protoFolder } from './proto-folder.ts';
export * from './pull-frame.ts';
export { decodePutBlock, encodePutBlock, type PutBlock, type PutSection } from './put-block.ts';
export { decodeReadLog, encodePlacedReads, encodeReadLog, type LoggedRead, readPlaceOf } from './read-log.ts';
export { isMap } from './record-checks.ts';
export {
  decodeRowUpdate,
  encodeRowUpdate,
  type PartitionUpdate,
  type RowUpdate,
  type RowUpdateSection,
} from './row-update.ts';
export * from './score-api.ts';
export * from './subjects.ts';
export { decodeTrimMark, encodeTrimMark, type TrimMark } from './trim-mark.ts';
export type { Weighting } from './weighting.ts';
