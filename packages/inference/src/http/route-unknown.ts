import { MillraceError } from '@millrace/protocol';

/** Refusal of a path that leads nowhere; `hint` says which does. */
export function routeUnknown(method: string, path: string, hint: string): MillraceError {
  return new MillraceError('MILL_ROUTE_UNKNOWN', `no route ${method} ${path.slice(0, 200)}; ${hint}`);
}
