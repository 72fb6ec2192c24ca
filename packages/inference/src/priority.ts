/** How much a request matters beside others: who goes first where requests wait, and who is refused last. */
import { MillraceError } from '@millrace/protocol';

/** Most urgent first. */
export const priorities = ['high', 'normal', 'low'] as const;
export type Priority = (typeof priorities)[number];

/** Header, and key of gRPC metadata, that says it. */
export const priorityHeader = 'x-request-priority';

/** Of what a caller said, and where; `normal` when nothing. @throws MILL_BAD_REQUEST */
export function priorityFrom(said: unknown, place = `header ${priorityHeader}`): Priority {
  if (said === undefined) return 'normal';
  const known = priorities.find((priority) => priority === said);
  if (known !== undefined) return known;
  const found = JSON.stringify(String(said).slice(0, 40));
  const wanted = priorities.join(', ');
  throw new MillraceError('MILL_BAD_REQUEST', `${place}: wanted one of ${wanted}, found ${found}`, {
    details: { path: place.replace('header ', 'headers.'), wanted, found },
  });
}
