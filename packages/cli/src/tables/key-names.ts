/** Keys of field values, as a model's feature encoder makes them: key spaces, shared ones too, and whatever else a field asks. */
import {
  compileFeatures,
  compileNet,
  createFeatureEncoder,
  createSparseBatch,
  resetBatch,
} from '@millrace/model';
import { type Features, featureValuesMax, MillraceError, type ModelFile } from '@millrace/protocol';

export interface FieldKeys {
  /** Place of the field's table in the model file. */
  readonly table: number;
  /** Words of the keys of one value: one, or several for a list; none for an empty value. */
  keysOf(value: string): readonly (readonly [low: number, high: number])[];
}

/** @throws MILL_BAD_REQUEST when there is no such field, or it has no values that could be hashed. */
export function createFieldKeys(file: ModelFile, name: string): FieldKeys {
  const field = file.fields.find((each) => each.name === name);
  if (!field || field.type === 'dense' || field.table === undefined) {
    const known = file.fields.filter(({ type }) => type !== 'dense').map((each) => each.name);
    throw new MillraceError(
      'MILL_BAD_REQUEST',
      `model "${file.name}" has no field "${name}" of hashed values; it has ${known.join(', ') || 'none'}`,
    );
  }
  const plan = compileFeatures(file, compileNet(file), featureValuesMax);
  const batch = createSparseBatch(plan);
  const encoder = createFeatureEncoder(plan);
  const table = plan.tables.findIndex((layout) => layout.name === field.table);
  const scope = field.scope ?? 'context';
  return {
    table,
    keysOf(value) {
      const features: Features = { [name]: value };
      resetBatch(batch);
      encoder.beginRequest(scope === 'user' ? features : {}, scope === 'context' ? features : {});
      encoder.addItem(batch, scope === 'item' ? features : {}, 0);
      const { keys, unique } = batch.tables[table];
      const found: [number, number][] = [];
      for (let i = 0; i < unique; i += 1) {
        const [low, high] = [keys[2 * i], keys[2 * i + 1]];
        if (plan.bias?.table === table && plan.bias.low === low && plan.bias.high === high) continue;
        found.push([low, high]);
      }
      return found;
    },
  };
}

/** Values by key, for each table. */
export type KeyNames = (table: number) => (low: number, high: number) => string | null;

/**
 * Remembers the values of columns by their keys. Several fields may share a table; of values that share a key the first stays.
 * @param values pairs of column, which is the name of a field, and value.
 */
export async function nameKeys(
  file: ModelFile,
  values: AsyncIterable<readonly [column: string, value: string]>,
): Promise<KeyNames> {
  const fields = new Map<string, FieldKeys>();
  const names = file.tables.map(() => new Map<string, string>());
  for await (const [column, value] of values) {
    const field = fields.get(column) ?? createFieldKeys(file, column);
    fields.set(column, field);
    for (const [low, high] of field.keysOf(value)) {
      const known = names[field.table];
      if (!known.has(`${low} ${high}`)) known.set(`${low} ${high}`, value);
    }
  }
  return (table) => (low, high) => names[table].get(`${low} ${high}`) ?? null;
}
