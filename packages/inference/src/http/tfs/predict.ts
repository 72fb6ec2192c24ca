/**
 * Bodies of `:predict`. Row form: `{"instances": [{name: value, …}, …]}`, one object a candidate. Column form:
 * `{"inputs": {name: [value, …], …}}`, where user- and context-scoped inputs may have one value for all. A model of one
 * field also takes bare values in place of objects.
 */
import type { ModelFile } from '@millrace/protocol';
import { refusedPart, shownValue } from '../../refused-part.ts';
import { type Column, inputNamed } from '../../tensors/columns.ts';
import { groupsFrom, type RowGroups } from '../../tensors/score-rows.ts';
import { inputsOf } from '../../tensors/signature.ts';
import {
  columnOf,
  isObject,
  type ObjectJson,
  objectFrom,
  rowsAsColumns,
  rowValueFrom,
  signatureChecked,
} from './tfs-json.ts';

export interface Prediction {
  readonly groups: RowGroups;
  /** Name of the list of scores in the answer: it follows the form of the request. */
  readonly form: 'predictions' | 'outputs';
}

/** @throws MILL_BAD_REQUEST */
export function predictionFrom(file: ModelFile, body: unknown): Prediction {
  const { instances, inputs } = signatureChecked(objectFrom('body', body));
  if ((instances === undefined) === (inputs === undefined))
    throw refusedPart('body', 'instances or inputs', instances === undefined ? 'neither' : 'both');
  if (instances !== undefined)
    return {
      groups: groupsFrom(rowsAsColumns(file, instancesFrom(file, instances), {})),
      form: 'predictions',
    };
  return { groups: groupsFrom(columnsOf(file, inputs)), form: 'outputs' };
}

function instancesFrom(file: ModelFile, instances: unknown): readonly ObjectJson[] {
  if (!Array.isArray(instances)) throw refusedPart('instances', 'an array', shownValue(instances));
  const only = onlyInput(file);
  return instances.map((instance, i) =>
    only !== null && !isPlainObject(instance)
      ? { [only]: instance }
      : objectFrom(`instances[${i}]`, instance),
  );
}

function columnsOf(file: ModelFile, inputs: unknown): readonly Column[] {
  const only = onlyInput(file);
  const named = only !== null && !isPlainObject(inputs) ? { [only]: inputs } : objectFrom('inputs', inputs);
  return Object.entries(named).map(([name, value]) => {
    const input = inputNamed(file, name);
    const path = `inputs.${name}`;
    const column = Array.isArray(value) ? value : [value];
    return columnOf(
      input,
      column.map((entry, i) => rowValueFrom(input, `${path}[${i}]`, entry)),
    );
  });
}

function onlyInput(file: ModelFile): string | null {
  const names = [...inputsOf(file).keys()];
  return names.length === 1 ? names[0] : null;
}

/** False for `{"b64": …}`, which is a value. */
function isPlainObject(value: unknown): boolean {
  return isObject(value) && !('b64' in value);
}
