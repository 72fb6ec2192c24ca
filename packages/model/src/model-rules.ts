/**
 * Rules of a model file that a schema cannot say: names that must exist, and tables, fields and nets that must have a use
 * for each other. Each rule adds its problems; none throws. The file has passed the schema.
 */
import {
  type CrossSpec,
  type FieldSpec,
  fieldsMax,
  type ModelFile,
  rowFloatsMax,
  type TableSpec,
} from '@millrace/protocol';
import { netPartsFrom, readsEmbeddings, readsNumbers } from './model-net.ts';
import { netProblems } from './net-rules.ts';
import { problemAt } from './schema-problems.ts';

/** Problems of a file that fits the schema; empty when it is sound. */
export function brokenRules(file: ModelFile): string[] {
  return [
    ...nameProblems(file),
    ...tableProblems(file),
    ...fieldProblems(file),
    ...crossProblems(file),
    ...itemProblems(file),
    ...netProblems(file),
    ...learningProblems(file),
  ];
}

function nameProblems(file: ModelFile): string[] {
  const problems: string[] = [];
  const tables = new Map<string, string>();
  file.tables.forEach((table, i) => {
    addOnce(tables, table.name, `tables[${i}]`, problems);
  });
  const inputs = new Map<string, string>();
  file.fields.forEach((field, i) => {
    addOnce(inputs, field.name, `fields[${i}]`, problems);
    if (field.name === file.label) {
      problems.push(problemAt(`fields[${i}].name`, 'a column other than the label', field.name));
    }
  });
  file.crosses?.forEach((cross, i) => {
    addOnce(inputs, cross.name, `crosses[${i}]`, problems);
  });
  if (inputs.size > fieldsMax) {
    problems.push(problemAt('fields', `at most ${fieldsMax} fields and crosses`, inputs.size));
  }
  return problems;
}

function addOnce(seen: Map<string, string>, name: string, path: string, problems: string[]): void {
  const first = seen.get(name);
  if (first === undefined) seen.set(name, path);
  else problems.push(problemAt(`${path}.name`, `a name other than that of ${first}`, name));
}

function tableProblems(file: ModelFile): string[] {
  const problems: string[] = [];
  file.tables.forEach((table, i) => {
    if (table.wide === undefined && table.embedding === undefined) {
      problems.push(problemAt(`tables[${i}]`, 'wide, embedding or both', table));
    }
    const singles = [table.wide, table.precision].filter((part) => part !== undefined).length;
    const floats = singles + (table.embedding?.dim ?? 0);
    if (floats > rowFloatsMax) {
      problems.push(problemAt(`tables[${i}]`, `rows of at most ${rowFloatsMax} floats`, floats));
    }
    const cells = table.admission?.type === 'count' ? (table.admission.cells ?? 64) : 64;
    if (2 ** Math.round(Math.log2(cells)) !== cells) {
      problems.push(problemAt(`tables[${i}].admission.cells`, 'a power of two', cells));
    }
    if (table.precision !== undefined && (table.wide === undefined || !netPartsFrom(file.net).wide)) {
      const wanted = 'a wide weight that the net reads, whose precision it is';
      problems.push(problemAt(`tables[${i}].precision`, wanted, undefined));
    }
  });
  return problems;
}

function fieldProblems(file: ModelFile): string[] {
  const problems: string[] = [];
  const takesNumbers = readsNumbers(netPartsFrom(file.net));
  file.fields.forEach((field, i) => {
    const path = `fields[${i}]`;
    if (field.table !== undefined) problems.push(...tableUseProblems(file, field.table, `${path}.table`));
    if (field.type === 'dense') problems.push(...denseProblems(field, path, takesNumbers));
    else if (field.sharesKeysOf !== undefined) problems.push(...sharingProblems(file, field, path));
  });
  return problems;
}

function tableUseProblems(file: ModelFile, name: string, path: string): string[] {
  const table = file.tables.find((candidate) => candidate.name === name);
  if (table === undefined) return [problemAt(path, `one of ${namesOf(file.tables)}`, name)];
  const parts = netPartsFrom(file.net);
  const isRead =
    (parts.wide && table.wide !== undefined) || (readsEmbeddings(parts) && table.embedding !== undefined);
  // A table without either part is reported once, where it stands.
  if (isRead || (table.wide === undefined && table.embedding === undefined)) return [];
  const wanted = table.wide === undefined ? 'a table with a wide weight' : 'a table with an embedding';
  return [problemAt(path, `${wanted}, since the net reads nothing else`, name)];
}

function denseProblems(field: FieldSpec & { type: 'dense' }, path: string, takesNumbers: boolean): string[] {
  if (field.transform?.type === 'bucket') {
    const problems =
      field.table === undefined ? [problemAt(`${path}.table`, 'a table for the buckets', undefined)] : [];
    const { boundaries } = field.transform;
    const fall = boundaries.findIndex((boundary, j) => j > 0 && !(boundary > boundaries[j - 1]));
    if (fall > 0) {
      const wanted = `a number above ${boundaries[fall - 1]}, for boundaries ascend`;
      problems.push(problemAt(`${path}.transform.boundaries[${fall}]`, wanted, boundaries[fall]));
    }
    return problems;
  }
  const problems = standardizeProblems(field, path);
  if (field.table === undefined && !takesNumbers) {
    const wanted = 'a table, since the net has no layers that could read the number';
    problems.push(problemAt(`${path}.table`, wanted, undefined));
  }
  return problems;
}

function standardizeProblems({ transform }: FieldSpec & { type: 'dense' }, path: string): string[] {
  if (
    transform?.type !== 'standardize' ||
    (transform.mean === undefined) === (transform.deviation === undefined)
  )
    return [];
  const lacking = transform.mean === undefined ? 'mean' : 'deviation';
  return [problemAt(`${path}.transform.${lacking}`, 'mean and deviation, or neither', undefined)];
}

function sharingProblems(
  file: ModelFile,
  field: Exclude<FieldSpec, { type: 'dense' }>,
  path: string,
): string[] {
  const place = `${path}.sharesKeysOf`;
  const other = file.fields.find((candidate) => candidate.name === field.sharesKeysOf);
  if (other === undefined || other.type === 'dense' || other.name === field.name) {
    return [problemAt(place, 'another sparse, multi or sequence field', field.sharesKeysOf)];
  }
  if (other.sharesKeysOf !== undefined) {
    return [problemAt(place, 'a field that does not itself share keys', field.sharesKeysOf)];
  }
  // Keys of two tables never meet, so sharing would do nothing.
  if (other.table !== field.table)
    return [problemAt(place, `a field of table ${field.table}`, field.sharesKeysOf)];
  if (other.buckets !== field.buckets) {
    const wanted = `${other.buckets ?? 'nothing'}, as ${other.name} has it, whose keys it shares`;
    return [problemAt(`${path}.buckets`, wanted, field.buckets)];
  }
  return [];
}

function crossProblems(file: ModelFile): string[] {
  const problems: string[] = [];
  file.crosses?.forEach((cross: CrossSpec, i) => {
    problems.push(...tableUseProblems(file, cross.table, `crosses[${i}].table`));
    cross.fields.forEach((name, j) => {
      const field = file.fields.find((candidate) => candidate.name === name);
      const isKeyed = field !== undefined && (field.type !== 'dense' || field.transform?.type === 'bucket');
      if (isKeyed) return;
      const found = field === undefined ? name : `${name} (a number)`;
      problems.push(
        problemAt(`crosses[${i}].fields[${j}]`, 'a sparse, multi, sequence or bucketed field', found),
      );
    });
  });
  return problems;
}

function itemProblems(file: ModelFile): string[] {
  if (file.item === undefined) return [];
  const field = file.fields.find((candidate) => candidate.name === file.item);
  if (field?.type === 'sparse' && field.scope === 'item') return [];
  return [problemAt('item', 'the name of a sparse field with scope item', file.item)];
}

function namesOf(tables: readonly TableSpec[]): string {
  return tables.length === 0 ? 'the tables (there are none)' : tables.map((table) => table.name).join(', ');
}

function learningProblems({ learning }: ModelFile): string[] {
  const problems: string[] = [];
  const kinds = learning?.outcomes ?? [];
  const names = new Map<string, string>();
  kinds.forEach((kind, i) => {
    addOnce(names, kind.name, `learning.outcomes[${i}]`, problems);
  });
  // What a fake negative weighs stands for the chance of one positive of weight 1 to come.
  const isPlain = kinds.every(
    ({ weight = 1, valueWeight = 'none' }) => weight === 1 && valueWeight === 'none',
  );
  if (learning?.latePositives === 'fake-negative-weighted' && (kinds.length > 1 || !isPlain)) {
    const wanted = 'one kind of weight 1 where late positives are fake-negative-weighted';
    problems.push(problemAt('learning.outcomes', wanted, kinds));
  }
  return problems;
}
