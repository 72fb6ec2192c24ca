/** Refusals as gRPC statuses: the closed table's code, named in the details and in the metadata. */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { errorTable, type MillraceError } from '@millrace/protocol';
import { textFrom } from '../http/refusals.ts';

/** Metadata of a refusal. */
export const codeKey = 'millrace-code';
export const retryKey = 'millrace-retry';

export type StatusName = keyof typeof status;

export function grpcStatusOf(error: MillraceError): StatusName {
  return errorTable[error.code].grpc;
}

/** What a callback of gRPC takes as a failure. */
export function serviceErrorFrom(error: MillraceError): ServiceError {
  const metadata = new Metadata();
  metadata.set(codeKey, error.code);
  metadata.set(retryKey, error.retry);
  const details = textFrom(error);
  return Object.assign(new Error(details), { code: status[grpcStatusOf(error)], details, metadata });
}
