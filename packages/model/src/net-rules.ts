/** Rules between a net and the fields and tables that it reads. Each rule adds its problems; none throws. */
import { denseParametersMax, type ModelFile } from '@millrace/protocol';
import { compileNet } from './compile-model.ts';
import {
  denseInputs,
  type EmbeddingSource,
  embeddingSources,
  hasDeep,
  momentFields,
  netPartsFrom,
  readsAllEmbeddings,
  readsEmbeddings,
  type TowerSide,
  towerSide,
} from './model-net.ts';
import { problemAt } from './schema-problems.ts';

export function netProblems(file: ModelFile): string[] {
  const sources = embeddingSources(file);
  return [
    ...wideProblems(file),
    ...interactionProblems(file, sources),
    ...deepProblems(file, sources),
    ...attentionProblems(file, sources),
    ...towerProblems(file),
    ...importProblems(file, sources),
    ...denseWeightProblems(file),
  ];
}

function wideProblems(file: ModelFile): string[] {
  const problems: string[] = [];
  const parts = netPartsFrom(file.net);
  if (!parts.wide && !readsEmbeddings(parts)) {
    problems.push(problemAt('net', 'wide, fm, fwfm, layers, dots, cross, towers or import', file.net));
  }
  const hasWideTable = file.tables.some((table) => table.wide !== undefined);
  if (parts.wide && !hasWideTable)
    problems.push(problemAt('net', 'a table with a wide weight for it', undefined));
  if (file.bias === true && !(parts.wide && hasWideTable)) {
    problems.push(problemAt('bias', 'false, since the net has no wide weights', true));
  }
  return problems;
}

/** What pairs slots needs two of them, and one dim. */
function interactionProblems(file: ModelFile, sources: readonly EmbeddingSource[]): string[] {
  const parts = netPartsFrom(file.net);
  const problems: string[] = [];
  for (const name of ['fm', 'fwfm', 'dots'] as const) {
    if (!parts[name]) continue;
    if (sources.length < 2) {
      problems.push(problemAt('net', `two or more fields with embeddings for ${name}`, sources.length));
    }
    const other = sources.find((source) => source.dim !== sources[0].dim);
    if (other === undefined) continue;
    const path = `tables[${file.tables.indexOf(other.table)}].embedding.dim`;
    problems.push(problemAt(path, `${sources[0].dim}, since ${name} needs one dim`, other.dim));
  }
  return problems;
}

function deepProblems(file: ModelFile, sources: readonly EmbeddingSource[]): string[] {
  const parts = netPartsFrom(file.net);
  if (!hasDeep(parts)) return [];
  const pairs = parts.dots ? (sources.length * (sources.length - 1)) / 2 : 0;
  const inputs = sources.reduce((sum, { dim }) => sum + dim, 0) + denseInputs(file).length + pairs;
  if (inputs === 0) {
    const path = parts.layers.length > 0 ? 'net.layers' : 'net';
    return [problemAt(path, 'fields with embeddings or dense fields to read', undefined)];
  }
  const problems: string[] = [];
  const { cross } = parts;
  if (cross?.rank !== undefined && cross.rank > inputs) {
    problems.push(problemAt('net.cross.rank', `at most ${inputs}, the inputs of the layers`, cross.rank));
  }
  if (cross?.structure === 'parallel' && parts.layers.length === 0) {
    problems.push(problemAt('net.cross.structure', 'stacked, since no layers stand beside it', 'parallel'));
  }
  return problems;
}

function attentionProblems(file: ModelFile, sources: readonly EmbeddingSource[]): string[] {
  const parts = netPartsFrom(file.net);
  if (parts.attention === undefined) return [];
  if (!readsEmbeddings(parts)) {
    return [problemAt('net.attention', 'fm, fwfm, layers or towers to read what it pools', undefined)];
  }
  const problems: string[] = [];
  const attended = new Set<string>();
  parts.attention.forEach(({ sequence, target }, i) => {
    const path = `net.attention[${i}]`;
    const place = file.fields.findIndex(({ name }) => name === sequence);
    const field = file.fields[place];
    const dim = sources.find(({ name }) => name === sequence)?.dim;
    if (field?.type !== 'sequence' || !hasEmbedding(file, sequence)) {
      problems.push(problemAt(`${path}.sequence`, 'a sequence field with an embedding', sequence));
      return;
    }
    if (attended.has(sequence)) {
      problems.push(problemAt(`${path}.sequence`, 'a sequence that nothing else attends', sequence));
    }
    attended.add(sequence);
    if (field.pooling !== undefined) {
      const wanted = 'no pooling, since attention does it';
      problems.push(problemAt(`fields[${place}].pooling`, wanted, field.pooling));
    }
    const asks = file.fields.find(({ name }) => name === target);
    if (asks?.type !== 'sparse' || !hasEmbedding(file, target)) {
      problems.push(problemAt(`${path}.target`, 'a sparse field with an embedding', target));
    } else if (dim === undefined) {
      problems.push(problemAt(`${path}.target`, `a field of the tower that reads ${sequence}`, target));
    } else if (sources.find(({ name }) => name === target)?.dim !== dim) {
      problems.push(problemAt(`${path}.target`, `a field of dim ${dim}, as ${sequence} has`, target));
    }
  });
  return problems;
}

function hasEmbedding(file: ModelFile, field: string): boolean {
  const table = file.fields.find(({ name }) => name === field)?.table;
  return file.tables.some(({ name, embedding }) => name === table && embedding !== undefined);
}

const sideFields: Readonly<Record<TowerSide, string>> = {
  shared: 'a user or context field',
  item: 'an item field',
};

function towerProblems(file: ModelFile): string[] {
  const parts = netPartsFrom(file.net);
  if (parts.towers === undefined) return [];
  const problems: string[] = [];
  const read = [...embeddingSources(file), ...denseInputs(file)].map(({ name }) => towerSide(file, name));
  for (const side of ['shared', 'item'] as const) {
    if (!read.includes(side)) {
      problems.push(problemAt('net.towers', `${sideFields[side]} that a tower can read`, undefined));
    }
  }
  file.crosses?.forEach(({ name, table: of }, i) => {
    if (readsAllEmbeddings(parts) || towerSide(file, name) !== null) return;
    const table = file.tables.find((candidate) => candidate.name === of);
    if (table === undefined || (parts.wide && table.wide !== undefined)) return;
    const wanted = 'a table with a wide weight, since towers read no cross of both sides';
    problems.push(problemAt(`crosses[${i}].table`, wanted, of));
  });
  return problems;
}

/** An imported net reads each field that there is, since nothing else does, and has nothing that would have to be learned. */
function importProblems(file: ModelFile, sources: readonly EmbeddingSource[]): string[] {
  const { imported } = netPartsFrom(file.net);
  if (imported === undefined) return [];
  const problems: string[] = [];
  const known = [...sources, ...denseInputs(file)].map(({ name }) => name);
  const names = new Set<string>();
  const read = new Set<string>();
  imported.inputs.forEach(({ name, fields }, i) => {
    const path = `net.import.inputs[${i}]`;
    if (names.has(name)) problems.push(problemAt(`${path}.name`, 'a name of its own', name));
    names.add(name);
    fields.forEach((field, f) => {
      read.add(field);
      if (known.includes(field)) return;
      problems.push(problemAt(`${path}.fields[${f}]`, 'a field with an embedding or a number', field));
    });
  });
  for (const name of known) {
    if (!read.has(name)) problems.push(problemAt('net.import.inputs', `one that reads "${name}"`, undefined));
  }
  for (const { name } of momentFields(file)) {
    const place = file.fields.findIndex((field) => field.name === name);
    const wanted = 'a mean and a deviation, since nothing is learned beside an imported net';
    problems.push(problemAt(`fields[${place}].transform`, wanted, undefined));
  }
  return problems;
}

function denseWeightProblems(file: ModelFile): string[] {
  const problems: string[] = [];
  const { parameters, denseParameters } = compileNet(file);
  if (denseParameters > denseParametersMax) {
    problems.push(problemAt('net', `at most ${denseParametersMax} parameters`, denseParameters));
  }
  if (parameters > 0 && netPartsFrom(file.net).optimizer?.type === 'newton') {
    // Curvature is known for rows alone: the gradient of a dense weight comes without it.
    problems.push(problemAt('net.optimizer.type', 'an optimizer that needs no curvature', 'newton'));
  }
  return problems;
}
