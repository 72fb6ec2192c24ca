export {
  createModelShard,
  dropPartition,
  type ModelShard,
  openPartition,
  reportPartitions,
  takePartition,
} from './model-shard.ts';
export { followPartition, type PartitionFollower } from './partition-follower.ts';
export { answerFrame, type Holdings } from './pull-handler.ts';
export { createRowUpdates, type RowUpdates } from './row-updates.ts';
export { shardSettings } from './shard-settings.ts';
export { type RunningShard, type ShardOptions, startShard } from './start-shard.ts';
export { listenForPulls, type TcpServer } from './tcp-server.ts';
