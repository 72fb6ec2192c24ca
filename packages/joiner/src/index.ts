export type { Example, Origin } from './example.ts';
export {
  createJoiner,
  type Joiner,
  type JoinerCounts,
  type JoinerSink,
  type StoredAs,
} from './joiner.ts';
export { type JoinerOptions, joinerOptionsOf } from './joiner-options.ts';
export { positiveWeight } from './positive-weight.ts';
export { isKept } from './sampling.ts';
