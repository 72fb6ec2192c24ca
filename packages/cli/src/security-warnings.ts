/** What is not wrong, but most likely not meant. */
import type { Security } from '@millrace/runtime';

export interface SecurityWarning {
  readonly what: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** Time to make new certificates in, and to notice that it is time. */
const expiresSoonMs = 30 * 86_400_000;

/** @param host address that a shard listens on; null: the process listens for no pulls. */
export function securityWarnings(
  { token, tls, expiresMs }: Security,
  { host, nowMs }: { readonly host: string | null; readonly nowMs: number },
): readonly SecurityWarning[] {
  const warnings: SecurityWarning[] = [];
  if (host !== null && token !== null && tls === null && !isLoopback(host)) {
    const what =
      'the cluster token can be read by whoever sees the network: set MILL_TLS_CA, MILL_TLS_CERT, MILL_TLS_KEY';
    warnings.push({ what, fields: { host } });
  }
  if (expiresMs - nowMs < expiresSoonMs) {
    const what = 'a certificate expires soon; millrace certs --renew makes a new one';
    warnings.push({ what, fields: { expires: new Date(expiresMs).toISOString() } });
  }
  return warnings;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}
