/** What a failure of the NATS client means to Millrace. The numbers are the server's; its texts change between releases. */
import { MillraceError, reasonFrom } from '@millrace/protocol';
import { ErrorCode, NatsError } from 'nats';

/** JetStream's own error numbers, as far as they change what Millrace does. */
const jetStreamError = {
  messageNotFound: 10_037,
  storageShort: 10_047,
  streamNameInUse: 10_058,
  streamNotFound: 10_059,
  wrongLastSequence: 10_071,
  replicasNotSupported: 10_074,
} as const;

/** True when the log or bucket is not on the server. */
export function isStreamMissing(error: unknown): boolean {
  return jetStreamErrorOf(error) === jetStreamError.streamNotFound;
}

/** True when a stream of that name is there with another configuration, as after a race between two creators. */
export function isStreamTaken(error: unknown): boolean {
  return jetStreamErrorOf(error) === jetStreamError.streamNameInUse;
}

/** True when the server has less storage left than a stream reserves. */
export function isStorageShort(error: unknown): boolean {
  return jetStreamErrorOf(error) === jetStreamError.storageShort;
}

/** True when several copies are wanted of a server that belongs to no cluster. */
export function isClusterMissing(error: unknown): boolean {
  return jetStreamErrorOf(error) === jetStreamError.replicasNotSupported;
}

/** True when a compare-and-set found another revision, and only then. */
export function isRevisionStale(error: unknown): boolean {
  return jetStreamErrorOf(error) === jetStreamError.wrongLastSequence;
}

/** True when a subject holds no message. */
export function isMessageMissing(error: unknown): boolean {
  if (jetStreamErrorOf(error) === jetStreamError.messageNotFound) return true;
  return error instanceof NatsError && error.code === ErrorCode.JetStream404NoMessages;
}

/** True when the server will refuse this client however often it tries. */
export function isRefused(error: unknown): boolean {
  return error instanceof NatsError && (error.isAuthError() || error.code === ErrorCode.BadCreds);
}

/** True when the server's certificate cannot be believed. The codes are OpenSSL's, which Node passes on. */
export function isCertificateFault(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|ERR_TLS_CERT_)/.test(
    String(error.code),
  );
}

/** True when TLS is wanted and the server has none. */
export function isTlsMissing(error: unknown): boolean {
  return (
    error instanceof NatsError && error.code === ErrorCode.ServerOptionNotAvailable && error.message === 'tls'
  );
}

/** MILL_LOG_UNAVAILABLE with the client's reason as its cause; a MillraceError stays what it is. */
export function logUnavailable(what: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  return new MillraceError('MILL_LOG_UNAVAILABLE', `${what}: ${natsReasonFrom(error)}`, { cause: error });
}

/** The reason in words: the client names some failures by a number alone. */
export function natsReasonFrom(error: unknown): string {
  if (!(error instanceof NatsError)) return reasonFrom(error);
  if (error.api_error !== undefined) return error.api_error.description;
  if (error.code === ErrorCode.Timeout) return 'no answer from the server in time';
  if (error.code === ErrorCode.NoResponders) return 'no such log, or JetStream is not available';
  return error.message;
}

function jetStreamErrorOf(error: unknown): number | undefined {
  return error instanceof NatsError ? error.api_error?.err_code : undefined;
}
