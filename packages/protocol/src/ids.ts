/** Names and numbers that identify things across processes. Names are branded, so that one cannot stand for another. */

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Name of a model: a lower-case letter, then lower-case letters, digits and dashes, 40 characters at most. */
export type ModelName = Brand<string, 'ModelName'>;
/** Name of a shard process, unique in a cluster; same characters as a model name. */
export type ShardId = Brand<string, 'ShardId'>;
/** Index of a partition, 0 … partitions − 1. */
export type Partition = number;
/** Position in a log, 1 is the first; 0 means "nothing yet". An integer below 2^53. */
export type Sequence = number;
/** Generation of a partition map, 1 is the first. */
export type Epoch = number;

const namePattern = /^[a-z][a-z0-9-]{0,39}$/;
const requestIdPattern = /^[A-Za-z0-9_.:-]{1,64}$/;

/** True when `text` can name a model or a shard; such a name is also one token of a NATS subject and a key-value key. */
export function isName(text: string): boolean {
  return namePattern.test(text);
}

/** Brands a checked model name. The caller has checked it with {@link isName}. */
export function modelNameFrom(text: string): ModelName {
  return text as ModelName;
}

/** Brands a checked shard id. The caller has checked it with {@link isName}. */
export function shardIdFrom(text: string): ShardId {
  return text as ShardId;
}

/** True when `text` can be a request id: 1 to 64 letters, digits and `_ . : -`. */
export function isRequestId(text: string): boolean {
  return requestIdPattern.test(text);
}
