/** What is not wrong, but most likely not meant. */
import type { Security } from '@millrace/runtime';

export interface SecurityWarning {
  readonly what: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** Time to make new certificates in, and to notice that it is time. */
const expiresSoonMs = 30 * 86_400_000;

/** What a process listens on. */
export interface OpenPorts {
  /** Address of a shard's pull port. */
  readonly pulls?: string;
  readonly http?: HttpPort;
}

export interface HttpPort {
  readonly host: string;
  readonly asksForKeys: boolean;
  /** When its certificate expires, Unix ms; null: it speaks plain HTTP. */
  readonly expiresMs: number | null;
}

export function securityWarnings(
  { token, tls, expiresMs }: Security,
  { pulls: host, http, nowMs }: OpenPorts & { readonly nowMs: number },
): readonly SecurityWarning[] {
  const warnings: SecurityWarning[] = [];
  if (http !== undefined && !isLoopback(http.host)) warnings.push(...httpWarnings(http));
  if (host !== undefined && token !== null && tls === null && !isLoopback(host)) {
    const what =
      'the cluster token can be read by whoever sees the network: set MILL_TLS_CA, MILL_TLS_CERT, MILL_TLS_KEY';
    warnings.push({ what, fields: { host } });
  }
  const firstMs = Math.min(expiresMs, http?.expiresMs ?? Infinity);
  if (firstMs - nowMs < expiresSoonMs) {
    const what = 'a certificate expires soon; millrace certs --renew makes a new one';
    warnings.push({ what, fields: { expires: new Date(firstMs).toISOString() } });
  }
  return warnings;
}

function httpWarnings({ host, asksForKeys, expiresMs }: HttpPort): readonly SecurityWarning[] {
  const fields = { host };
  if (!asksForKeys)
    return [{ what: 'whoever reaches the HTTP port may do everything: set MILL_API_KEYS_FILE', fields }];
  if (expiresMs !== null) return [];
  const what =
    'keys of the HTTP API can be read by whoever sees the network: set MILL_HTTP_TLS_CERT, MILL_HTTP_TLS_KEY';
  return [{ what, fields }];
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}
