/** Bodies of `:classify` and `:regress`: `{"context": {…}, "examples": [{…}, …]}`; the context is part of every example. */
import type { ModelFile } from '@millrace/protocol';
import { refusedPart, shownValue } from '../../refused-part.ts';
import { groupsFrom, type RowGroups } from '../../tensors/score-rows.ts';
import { objectFrom, rowsAsColumns, signatureChecked } from './tfs-json.ts';

/** @throws MILL_BAD_REQUEST */
export function examplesFrom(file: ModelFile, body: unknown): RowGroups {
  const { examples, context = {} } = signatureChecked(objectFrom('body', body));
  if (!Array.isArray(examples)) throw refusedPart('examples', 'an array', shownValue(examples));
  const rows = examples.map((example, i) => objectFrom(`examples[${i}]`, example));
  return groupsFrom(rowsAsColumns(file, rows, objectFrom('context', context)));
}
