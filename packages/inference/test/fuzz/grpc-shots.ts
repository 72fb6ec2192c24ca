/** Calls over gRPC that are right, and what fuzzing makes of them. */
import { inferenceServiceName, nativeServiceName } from '../../src/grpc/protos.ts';
import { protos } from '../grpc/grpc-clients.ts';
import { mutatedBytes, mutatedJson, pick, type Random } from './mutations.ts';

const featureMessage = { values: { user: { text: 'u' }, hour: { number: 3 }, item: { integer: '7' } } };
const scoreMessage = {
  model: 'demo',
  user: featureMessage,
  items: [featureMessage, featureMessage],
  log: false,
};

/** Right calls by service: method and message. */
const rightCalls: Readonly<Record<string, readonly (readonly [string, object])[]>> = {
  [nativeServiceName]: [
    ['Score', scoreMessage],
    ['Rank', { ...scoreMessage, exploration: { type: 'softmax', temperature: 1 }, count: 1 }],
    ['SendOutcomes', { outcomes: [{ model: 'demo', requestId: 'r', index: 1 }] }],
  ],
  [inferenceServiceName]: [
    [
      'ModelInfer',
      {
        model_name: 'demo',
        parameters: {
          log: { bool_param: false },
          priority: { uint64_param: 1 },
          timeout: { int64_param: 5_000_000 },
        },
        inputs: [
          { name: 'user', datatype: 'BYTES', shape: [1], contents: { bytes_contents: [Buffer.from('u')] } },
          { name: 'item', datatype: 'INT64', shape: [2], contents: { int64_contents: [1, 2] } },
          { name: 'price', datatype: 'FP32', shape: [2], contents: { fp32_contents: [1, 2] } },
        ],
      },
    ],
    [
      'ModelInfer',
      {
        model_name: 'demo',
        inputs: [{ name: 'item', datatype: 'INT64', shape: [2] }],
        raw_input_contents: [Buffer.alloc(16, 1)],
      },
    ],
    // A stream of one request: what is wrong with it stands in a message, so it ends well.
    [
      'ModelStreamInfer',
      {
        model_name: 'demo',
        inputs: [{ name: 'item', datatype: 'INT64', shape: [2, 1], contents: { int64_contents: [1, 2] } }],
      },
    ],
    ['ModelMetadata', { name: 'demo', version: '0' }],
  ],
};

export interface GrpcShot {
  readonly method: string;
  readonly bytes: Buffer;
}

export function grpcShotOf(random: Random, service: string): GrpcShot {
  const [method, right] = pick(random, rightCalls[service]);
  const serialize = protos.service(service)[method].requestSerialize;
  let bytes = serialize(right);
  if (random() < 0.5) {
    // A changed message is a message still where the changed value has a place in it.
    try {
      bytes = serialize(mutatedJson(random, right));
    } catch {}
    if (random() < 0.7) return { method, bytes };
  }
  return { method, bytes: mutatedBytes(random, bytes) };
}
