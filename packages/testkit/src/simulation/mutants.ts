/**
 * Bugs planted on purpose, each a patch of one source file, put in while a worker loads it. A simulation that does not find
 * them would prove nothing.
 */
import { readFileSync } from 'node:fs';

export interface Mutant {
  readonly name: string;
  /** The invariant that a report of it must name: I1 to I9, or `session`. */
  readonly invariant: string;
  /** One that found it before, which is tried first. One that does not any more costs time only. */
  readonly seed: number;
  /** From the root of the repository. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** @throws when the text to be replaced does not stand there exactly once. */
export function assertPatches({ name, file, find }: Mutant): void {
  const text = readFileSync(new URL(`../../../../${file}`, import.meta.url), 'utf8');
  const places = text.split(find).length - 1;
  if (places !== 1)
    throw new Error(`mutant ${name}: its text stands ${places} times in ${file}, wanted once`);
}

export const mutants: readonly Mutant[] = [
  // I1: nothing changes a row but applying a message of its log.
  {
    name: 'foreign-block-applied',
    invariant: 'I1',
    seed: 5,
    file: 'packages/core/src/fold/partition-fold.ts',
    find: '    block.partition !== state.partition ||\n',
    replace: '',
  },
  {
    name: 'later-sections-dropped',
    invariant: 'I1',
    seed: 4,
    file: 'packages/core/src/fold/partition-fold.ts',
    find: 'for (const section of block.sections) applySection(state, section);',
    replace: 'for (const section of block.sections.slice(0, 1)) applySection(state, section);',
  },
  // I2: what applying does depends on the log alone.
  {
    name: 'admission-by-dice',
    invariant: 'I2',
    seed: 2,
    file: 'packages/core/src/fold/step-row.ts',
    find: 'if (!areFinite(gradients, at, at + dim) ||',
    replace: 'if (Math.random() < 0.02 || !areFinite(gradients, at, at + dim) ||',
  },
  {
    name: 'expiry-by-another-clock',
    invariant: 'I1',
    seed: 3,
    file: 'packages/core/src/fold/partition-fold.ts',
    find: 'if (block.eventTimeMs) noteEventTime(state, block.eventTimeMs);',
    // Two shards in this process read one clock at nearly one time; on two machines they differ.
    replace: 'if (block.eventTimeMs) noteEventTime(state, Date.now() + 20_000 * Math.random());',
  },
  {
    name: 'load-shed-when-behind',
    invariant: 'I2',
    seed: 10,
    file: 'packages/shard/src/partition-follower.ts',
    find: "    const outcome = applyGradients(state, message, 'report');\n",
    replace:
      "    if (message.pending > 4) {\n      state.sequence = message.sequence;\n      return;\n    }\n    const outcome = applyGradients(state, message, 'report');\n",
  },
  // I3: each block once, and whatever was acknowledged.
  {
    name: 'duplicate-off-by-one',
    invariant: 'I3',
    seed: 11,
    file: 'packages/core/src/fold/producers.ts',
    find: 'mark.sequence <= last',
    replace: 'mark.sequence < last',
  },
  {
    name: 'hole-without-second-look',
    invariant: 'I3',
    seed: 2,
    file: 'packages/shard/src/partition-follower.ts',
    find: 'if (message.sequence !== this.#suspect) {',
    replace: 'if (this.#suspect < 0) {',
  },
  {
    name: 'record-after-blocks',
    invariant: 'I3',
    seed: 5,
    file: 'packages/updater/src/batch-turns.ts',
    find: '    await publisher.record(written);\n    if (next.length > 0) {\n      const { examples, current, trained } = await trainCut(next, written);\n      await publisher.publish(current, trained);\n',
    replace:
      '    if (next.length > 0) {\n      const { examples, current, trained } = await trainCut(next, written);\n      await publisher.publish(current, trained);\n      await publisher.record(current);\n',
  },
  {
    name: 'unfinished-batch-forgotten',
    invariant: 'I3',
    seed: 10,
    file: 'packages/updater/src/batch-turns.ts',
    find: 'let unfinished: BatchRecord | null = found;',
    replace: 'let unfinished: BatchRecord | null = null;',
  },
  {
    name: 'outcome-acknowledged-unstored',
    invariant: 'I3',
    seed: 4,
    file: 'packages/inference/src/accept-outcomes.ts',
    find: '      await Promise.all(appends);\n',
    replace: '      void Promise.allSettled(appends);\n',
  },
  {
    name: 'trimmed-behind-the-state',
    invariant: 'I3',
    seed: 1,
    file: 'packages/shard/src/snapshot-writer.ts',
    find: 'oldest + 1, clock.now()',
    replace: 'target.state.sequence + 1, clock.now()',
  },
  {
    name: 'trimmed-behind-the-newest',
    invariant: 'I3',
    seed: 10,
    file: 'packages/snapshot/src/whole-snapshots.ts',
    find: '        if (whole < fulls) continue;\n',
    replace: '',
  },
  // I4: a snapshot is one partition at one sequence, whole, or it is not served.
  {
    name: 'producers-not-saved',
    invariant: 'I4',
    seed: 1,
    file: 'packages/snapshot/src/capture.ts',
    find: '    base,\n    producers: [...state.producers].sort(byName),',
    replace: '    base,\n    producers: [],',
  },
  {
    name: 'checksum-ignored',
    invariant: 'I4',
    seed: 2,
    file: 'packages/protocol/src/envelope.ts',
    find: 'if (checksum !== view.getUint32(4, true))',
    replace: "if (checksum !== view.getUint32(4, true) && !magic.startsWith('MS'))",
  },
  {
    name: 'captured-while-applying',
    invariant: 'I4',
    seed: 3,
    file: 'packages/shard/src/snapshot-writer.ts',
    find: '    await follower.hold();\n',
    replace: '',
  },
  {
    name: 'steps-not-marked',
    invariant: 'I4',
    seed: 1,
    file: 'packages/core/src/fold/step-row.ts',
    find: '  markChanged(table, index);\n',
    replace: '',
  },
  {
    name: 'admission-not-saved',
    invariant: 'I4',
    seed: 3,
    file: 'packages/snapshot/src/restore.ts',
    find: '    life.admission?.restore(words);\n',
    replace: '',
  },
  {
    name: 'sweep-not-saved',
    invariant: 'I4',
    seed: 4,
    file: 'packages/snapshot/src/restore.ts',
    find: '  Object.assign(life.sweep, sweep);\n',
    replace: '',
  },
  // I5: a score comes of one dense version, the one that it tells.
  {
    name: 'version-of-the-fold',
    invariant: 'I5',
    seed: 4,
    file: 'packages/inference/src/served-model.ts',
    find: '    dense: () => net.versions.current,\n',
    replace:
      '    dense: () => ({ ...net.versions.current, version: Math.max(net.versions.current.version, net.dense.sequence) }),\n',
  },
  {
    name: 'weights-not-copied',
    invariant: 'I5',
    seed: 4,
    file: 'packages/model/src/plain-engine.ts',
    find: 'weights.slice(0, this.#shape.parameters)',
    replace: 'weights.subarray(0, this.#shape.parameters)',
  },
  {
    name: 'dense-hole-accepted',
    invariant: 'I5',
    seed: 29,
    file: 'packages/client/src/dense-follower.ts',
    find: "    if (!apply(message, 'report')) return mend(message);\n",
    replace: "    apply(message, 'accept');\n",
  },
  // I6: the map rules, and every partition has somebody who answers for it.
  {
    name: 'former-owner-dropped-early',
    invariant: 'I6',
    seed: 3,
    file: 'packages/core/src/placement.ts',
    find: 'if (target.filter(answers).length >= Math.min(minReplicas, target.length)) return [];',
    replace: 'if (target.length >= Math.min(minReplicas, target.length)) return [];',
  },
  {
    name: 'drained-at-once',
    invariant: 'I6',
    seed: 39,
    file: 'packages/shard/src/start-shard.ts',
    find: '        waitMsMax: options.drainMsMax,\n',
    replace: '        waitMsMax: 0,\n',
  },
  {
    name: 'alone-and-gone',
    invariant: 'I6',
    seed: 46,
    file: 'packages/shard/src/handover.ts',
    find: 'export const aloneMsMax = 1_000;',
    replace: 'export const aloneMsMax = 0;',
  },
  {
    name: 'answers-after-letting-go',
    invariant: 'I6',
    seed: 5,
    file: 'packages/shard/src/model-shard.ts',
    find: '  shard.held[partition] = false;\n  forgetState(shard, partition);\n',
    replace: '  shard.held[partition] = false;\n',
  },
  // I7: everything has a limit.
  {
    name: 'queue-without-limit',
    invariant: 'I7',
    seed: 3,
    file: 'packages/inference/src/batcher.ts',
    find: 'queueRows + rows > limits.queueRowsMax',
    replace: 'queueRows + rows > 100 * limits.queueRowsMax',
  },
  {
    name: 'readers-left-open',
    invariant: 'I7',
    seed: 11,
    file: 'packages/shard/src/partition-follower.ts',
    find: '        await old?.close();\n',
    replace: '        void old;\n',
  },
  // I8: reads wait for nothing but the network.
  {
    name: 'answers-collected',
    invariant: 'I8',
    seed: 1,
    file: 'packages/shard/src/tcp-server.ts',
    find: '    wire.write(answer, () => pool.give(answer));\n',
    replace: '    clock.setTimer(20, () => wire.write(answer, () => pool.give(answer)));\n',
  },
  {
    name: 'score-waits-for-the-log',
    invariant: 'I8',
    seed: 2,
    file: 'packages/inference/src/scoring-core.ts',
    find: '      logWithShadow(scored, { ...request, requestId }, input, { items: featuresOf(items), scores: bytes });\n',
    replace:
      "      logWithShadow(scored, { ...request, requestId }, input, { items, scores: bytes });\n      await bus.headOf('events', 'mill.events.' + asked.net.file.name);\n",
  },
  // I9: an impression tells what explains its score.
  {
    name: 'degraded-not-logged',
    invariant: 'I9',
    seed: 3,
    file: 'packages/inference/src/impression-of.ts',
    find: '    ...(degraded && { degraded }),\n',
    replace: '',
  },
  {
    name: 'newest-version-logged',
    invariant: 'I9',
    seed: 3,
    file: 'packages/inference/src/impression-of.ts',
    find: '    version,\n    ...(line.number',
    replace: '    version: model.net.dense.sequence,\n    ...(line.number',
  },
  {
    name: 'cache-gap-not-noticed',
    invariant: 'I9',
    seed: 4,
    file: 'packages/client/src/cached-partitions.ts',
    find: '  if (previous > told && told !== unknown) {\n',
    replace: '  if (previous > sequence) {\n',
  },
  {
    name: 'cache-puts-what-was-overtaken',
    invariant: 'I9',
    seed: 13,
    file: 'packages/client/src/cached-partitions.ts',
    find: '  if (sequence < told) return false;\n',
    replace: '',
  },
  // A client never sees a shard go back.
  {
    name: 'stale-left-to-the-chain',
    invariant: 'session',
    seed: 4,
    file: 'packages/core/src/fold/partition-fold.ts',
    find: "  if (message.sequence <= state.sequence) return { kind: 'stale' };\n",
    replace: '',
  },
  {
    name: 'taken-on-again',
    invariant: 'session',
    seed: 1,
    file: 'packages/shard/src/holdings.ts',
    find: 'if (!model.holdings.has(partition)) model.holdings.set(',
    replace: 'if (partition >= 0) model.holdings.set(',
  },
];
