/** A model's fields as named inputs, and its scores as an output: what the tensor protocols say a model takes and gives. */
import type { FieldScope, ModelFile } from '@millrace/protocol';
import { type Datatype, fixedDatatypes, isFixed } from './datatypes.ts';

export interface InputSignature {
  readonly name: string;
  readonly scope: FieldScope;
  /** `id`: one value that is hashed; `list`: several of them; `number`: a number. */
  readonly kind: 'id' | 'list' | 'number';
  /** What metadata names; others are taken too, see takes(). */
  readonly datatype: Datatype;
  /** −1: any size. The first is the number of candidates. */
  readonly shape: readonly number[];
}

export const scoreOutput = { name: 'score', datatype: 'FP32', shape: [-1] } as const;

const known = new WeakMap<ModelFile, ReadonlyMap<string, InputSignature>>();

/** The inputs of a model by name, in the order of its file. */
export function inputsOf(file: ModelFile): ReadonlyMap<string, InputSignature> {
  const found = known.get(file);
  if (found) return found;
  const inputs = new Map(file.fields.map((field) => [field.name, inputFrom(field)]));
  known.set(file, inputs);
  return inputs;
}

function inputFrom({ name, type, scope = 'context' }: ModelFile['fields'][number]): InputSignature {
  switch (type) {
    case 'sparse':
      return { name, scope, kind: 'id', datatype: 'BYTES', shape: [-1] };
    case 'multi':
    case 'sequence':
      return { name, scope, kind: 'list', datatype: 'BYTES', shape: [-1, -1] };
    case 'dense':
      return { name, scope, kind: 'number', datatype: 'FP32', shape: [-1] };
  }
}

/** What an input of a kind is taken as; floats are no ids, since their text depends on how they were rounded. */
export const takenDatatypes = {
  id: 'BYTES, BOOL or an integer type',
  list: 'BYTES or an integer type',
  number: 'a float or an integer type or BOOL',
} as const satisfies Record<InputSignature['kind'], string>;

/** True when an input of that kind may come as `datatype`. */
export function takes(kind: InputSignature['kind'], datatype: Datatype): boolean {
  if (!isFixed(datatype)) return kind !== 'number';
  const type = fixedDatatypes[datatype].kind;
  return type === 'integer' || (type === 'bool' ? kind !== 'list' : kind === 'number');
}
