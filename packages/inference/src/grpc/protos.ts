/** The services as gRPC loads them from packages/protocol/proto. */
import { fileURLToPath } from 'node:url';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type Options, type PackageDefinition } from '@grpc/proto-loader';
import { protoFolder } from '@millrace/protocol';
import { protoPath as healthProto } from 'grpc-health-check';

export const inferenceServiceName = 'inference.GRPCInferenceService';
export const nativeServiceName = 'millrace.v1.Millrace';
export const healthServiceName = 'grpc.health.v1.Health';

/** 64-bit integers are text, so that none loses digits; what is absent in a `oneof` stays absent. */
const options: Options = { longs: String, enums: String, defaults: true, oneofs: true };

export interface Protos {
  /** All of them, for reflection. */
  readonly all: PackageDefinition;
  service(name: string): ServiceDefinition;
}

export function loadProtos(): Protos {
  const pathOf = (file: string) => fileURLToPath(new URL(file, protoFolder));
  const all = {
    // The native messages have the names of the HTTP API.
    ...loadSync(pathOf('millrace.proto'), { ...options, keepCase: false }),
    ...loadSync(pathOf('open_inference_grpc.proto'), { ...options, keepCase: true }),
    ...loadSync(healthProto, { ...options, keepCase: true }),
  };
  return { all, service: (name) => all[name] as ServiceDefinition };
}
