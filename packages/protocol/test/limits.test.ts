/** Relations between limits: each says which constant cannot be changed without another. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeBatchRecord } from '../src/batch-record.ts';
import { encodeDenseBlock } from '../src/dense-block.ts';
import { encodeGradientBlock } from '../src/gradient-block.ts';
import { encodeHeads, headsIdleMs } from '../src/heads.ts';
import { leaseLapseMs, leaseRenewMs } from '../src/lease.ts';
import * as limits from '../src/limits.ts';
import { encodePartitionMap } from '../src/partition-map.ts';
import {
  frameKinds,
  type PartitionReport,
  packedFrame,
  pullFrameBytes,
  rowsFrameBytes,
} from '../src/pull-frame.ts';
import { exampleDenseBlock, exampleGradientBlock } from './blocks.ts';
import { batchRecord, heads, partitionMap } from './records.ts';

const { frameBytesMax, messageBytesMax, partitionsMax, pullKeysMax, rowFloatsMax } = limits;
const longestName = 'a'.repeat(40);
/** The largest sequence takes the most bytes, in JSON as in MessagePack. */
const largestSequence = Number.MAX_SAFE_INTEGER;

test('limits: are positive integers', () => {
  for (const [name, limit] of Object.entries(limits))
    expect([name, Number.isSafeInteger(limit) && limit > 0]).toEqual([name, true]);
});

test('limits: the defaults are within the limits', () => {
  expect(limits.partitionsDefault).toBeLessThanOrEqual(partitionsMax);
  expect(limits.replicasDefault).toBeGreaterThanOrEqual(2);
  // The pull kernel keeps partitions in 16 bits.
  expect(partitionsMax).toBeLessThanOrEqual(2 ** 16);
});

test('limits: the keys of the largest pull fit a frame', () => {
  expect(pullFrameBytes(pullKeysMax)).toBeLessThanOrEqual(frameBytesMax);
});

test('limits: the rows of the largest pull fit a frame at 60 floats from every partition', () => {
  expect(rowsFrameBytes({ count: pullKeysMax, dim: 60, partitions: partitionsMax })).toBeLessThanOrEqual(
    frameBytesMax,
  );
  // 64 would be a rounder number, and one too many.
  expect(rowsFrameBytes({ count: pullKeysMax, dim: 64, partitions: 1 })).toBeGreaterThan(frameBytesMax);
});

test('limits: a thousand of the longest rows fit a frame', () => {
  expect(rowsFrameBytes({ count: 1_000, dim: rowFloatsMax, partitions: 1_000 })).toBeLessThanOrEqual(
    frameBytesMax,
  );
});

test('limits: the longest report and the largest map in a refusal fit a frame', () => {
  const report: PartitionReport = {
    partition: partitionsMax,
    sequence: largestSequence,
    rows: 2 ** 28,
    ready: true,
    applied: largestSequence,
    duplicates: largestSequence,
    rejected: largestSequence,
    stateHash: 'f'.repeat(64),
  };
  const reports = { partitions: new Array(partitionsMax).fill(report) };
  const options = { requestId: 1, epoch: 1 };
  expect(packedFrame(frameKinds.report, options, reports).length).toBeLessThanOrEqual(frameBytesMax);
  const map = {
    ...partitionMap,
    shards: Array.from({ length: 256 }, (_, i) => `${i}${longestName}`.slice(0, 40)),
    owners: new Array(partitionsMax).fill([255, 254, 253]),
  };
  const refusal = { code: 'MILL_MAP_STALE', message: 'x'.repeat(1_000), map };
  expect(packedFrame(frameKinds.refusal, options, refusal).length).toBeLessThanOrEqual(frameBytesMax);
  expect(encodePartitionMap(map).length).toBeLessThanOrEqual(messageBytesMax);
});

test('limits: the dense gradients of the largest net fit a message', () => {
  const block = {
    ...exampleDenseBlock,
    producer: `updater-${longestName}`,
    model: longestName,
    gradients: new Float32Array(limits.denseParametersMax),
  };
  expect(encodeDenseBlock(block).length).toBeLessThanOrEqual(messageBytesMax);
});

test('limits: a gradient block can hold a row of every table at the longest, with curvature', () => {
  const sections = Array.from({ length: limits.tablesMax }, (_, table) => ({
    table,
    dim: rowFloatsMax,
    count: 1,
    keys: new Uint32Array(2),
    gradients: new Float32Array(rowFloatsMax),
    curvature: new Float32Array(rowFloatsMax),
  }));
  expect(encodeGradientBlock({ ...exampleGradientBlock, sections }).length).toBeLessThanOrEqual(
    messageBytesMax,
  );
});

test('limits: heads and batch record of the most partitions fit a message of NATS, 1 MiB by default', () => {
  const sequences = new Array<number>(partitionsMax).fill(largestSequence);
  const rejections = new Array(20).fill({
    code: 'MILL_IMPRESSION_UNKNOWN',
    requestId: 'x'.repeat(64),
    reason: 'x'.repeat(1_000),
    timeMs: 1,
  });
  const counters = { ...heads.counters, rejections };
  expect(encodeHeads({ ...heads, partitions: sequences, counters }).length).toBeLessThan(2 ** 20);
  expect(encodeBatchRecord({ ...batchRecord, previous: sequences }).length).toBeLessThan(2 ** 20);
});

test('limits: nats-server takes the largest message with its headers', () => {
  const source = join(import.meta.dirname, '../../runtime/src/nats-process.ts');
  const [, megabytes] = /^max_payload: (\d+)MB$/m.exec(readFileSync(source, 'utf8')) ?? [];
  expect(messageBytesMax + 1_024).toBeLessThanOrEqual(Number(megabytes) * 1_000_000);
});

test('limits: a request body is no larger than a message', () => {
  expect(limits.bodyBytesMax).toBeLessThanOrEqual(messageBytesMax);
});

test('limits: a lease outlives three missed renewals', () => {
  expect(leaseLapseMs).toBeGreaterThan(3 * leaseRenewMs);
  // "Disappears within seconds."
  expect(leaseLapseMs).toBeLessThanOrEqual(5_000);
});

test('limits: heads are told several times before a lease lapses', () => {
  expect(headsIdleMs).toBeLessThanOrEqual(leaseRenewMs / 2);
});
