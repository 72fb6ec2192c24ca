/** How much a request matters beside others: who goes first where requests wait, and who is refused last. */
import { MillraceError } from '@millrace/protocol';

/** Most urgent first. */
export const priorities = ['high', 'normal', 'low'] as const;
export type Priority = (typeof priorities)[number];

/** Header, and key of gRPC metadata, that says it. */
export const priorityHeader = 'x-request-priority';

/** Of what a caller said; `normal` when nothing. @throws MILL_BAD_REQUEST */
export function priorityFrom(said: unknown): Priority {
  if (said === undefined) return 'normal';
  const known = priorities.find((priority) => priority === said);
  if (known !== undefined) return known;
  const found = JSON.stringify(String(said).slice(0, 40));
  const wanted = priorities.join(', ');
  throw new MillraceError(
    'MILL_BAD_REQUEST',
    `header ${priorityHeader}: wanted one of ${wanted}, found ${found}`,
    { details: { path: `headers.${priorityHeader}`, wanted, found } },
  );
}
