/** What a net reads, from its short name or its object. */
import type {
  DenseField,
  FieldScope,
  FieldSpec,
  ImportedNet,
  ImportSpec,
  LayerSpec,
  LayersNet,
  ModelFile,
  NetSpec,
  TableSpec,
} from '@millrace/protocol';

/** A net with its short names written out; what is absent is not part of it. */
export interface NetParts extends LayersNet {
  readonly wide: boolean;
  readonly fm: boolean;
  readonly fwfm: boolean;
  readonly dots: boolean;
  /** Alone, if at all. */
  readonly imported?: ImportSpec;
}

const deepLayers: readonly LayerSpec[] = [{ units: 64 }, { units: 32 }];
const towerLayers: readonly LayerSpec[] = [{ units: 32 }, { units: 16, activation: 'linear' }];

const shortNames: Readonly<Record<Exclude<NetSpec, LayersNet | ImportedNet>, LayersNet>> = {
  linear: { wide: true, layers: [] },
  fm: { wide: true, fm: true, layers: [] },
  fwfm: { wide: true, fwfm: true, layers: [] },
  deepfm: { wide: true, fm: true, layers: deepLayers },
  dcn: { wide: true, cross: { layers: 2 }, layers: deepLayers },
  dlrm: { wide: true, dots: true, layers: deepLayers },
  'two-tower': { wide: true, towers: { layers: towerLayers }, layers: [] },
};

export function netPartsFrom(net: NetSpec): NetParts {
  const without = { wide: false, fm: false, fwfm: false, dots: false };
  if (typeof net === 'string') return { ...without, ...shortNames[net] };
  return 'import' in net ? { ...without, layers: [], imported: net.import } : { ...without, ...net };
}

/** True when the net was trained elsewhere: nothing of the model is learned then. */
export function importsNet(file: ModelFile): boolean {
  return netPartsFrom(file.net).imported !== undefined;
}

/** True when the net has layers, be it only the linear unit behind a cross network or dots. */
export function hasDeep({ layers, cross, dots }: NetParts): boolean {
  return layers.length > 0 || cross !== undefined || dots;
}

/** True when the net reads embeddings at all: a linear one leaves those of its tables alone. */
export function readsEmbeddings(parts: NetParts): boolean {
  return readsAllEmbeddings(parts) || parts.towers !== undefined;
}

/** True when a part reads every slot; towers read those of their side alone. */
export function readsAllEmbeddings(parts: NetParts): boolean {
  return parts.fm || parts.fwfm || hasDeep(parts) || parts.imported !== undefined;
}

/** True when the net reads numbers as they are. */
export function readsNumbers(parts: NetParts): boolean {
  return hasDeep(parts) || parts.towers !== undefined || parts.imported !== undefined;
}

/** One embedding input: a field or a cross, and the table it reads. */
export interface EmbeddingSource {
  readonly name: string;
  readonly table: TableSpec;
  readonly dim: number;
}

/**
 * The fields with an embedding in file order, then the crosses; empty when the net reads none. Unknown tables are left out,
 * and so is what is of neither side when towers are all that reads embeddings.
 */
export function embeddingSources(file: ModelFile): EmbeddingSource[] {
  const parts = netPartsFrom(file.net);
  if (!readsEmbeddings(parts)) return [];
  const sources: EmbeddingSource[] = [];
  for (const { name, table: wanted } of [...file.fields, ...(file.crosses ?? [])]) {
    const table = file.tables.find((candidate) => candidate.name === wanted);
    if (table?.embedding === undefined) continue;
    if (readsAllEmbeddings(parts) || towerSide(file, name) !== null)
      sources.push({ name, table, dim: table.embedding.dim });
  }
  return sources;
}

/** A dense field whose number the net reads: one that is not cut into buckets. */
export function isNumber(field: FieldSpec): field is DenseField {
  return field.type === 'dense' && field.transform?.type !== 'bucket';
}

/** Dense fields that layers or towers read; none when the net has neither. */
export function denseInputs(file: ModelFile): DenseField[] {
  return readsNumbers(netPartsFrom(file.net)) ? file.fields.filter(isNumber) : [];
}

/** Dense fields that are standardised by running moments. */
export function momentFields(file: ModelFile): DenseField[] {
  return file.fields
    .filter(isNumber)
    .filter(({ transform }) => transform?.type === 'standardize' && transform.mean === undefined);
}

export type TowerSide = 'shared' | 'item';

/**
 * The tower that may read a field or cross. Null: neither, since it mixes both sides; that is a cross of fields of both, and a
 * sequence attended by a target of the other side.
 */
export function towerSide(file: ModelFile, name: string): TowerSide | null {
  const field = file.fields.find((candidate) => candidate.name === name);
  if (field === undefined) {
    const cross = file.crosses?.find((candidate) => candidate.name === name);
    return onlySide((cross?.fields ?? []).map((crossed) => scopeSide(file, crossed)));
  }
  const attended = netPartsFrom(file.net).attention?.filter(({ sequence }) => sequence === name) ?? [];
  return onlySide([name, ...attended.map(({ target }) => target)].map((part) => scopeSide(file, part)));
}

function scopeSide(file: ModelFile, name: string): TowerSide {
  const scope: FieldScope = file.fields.find((field) => field.name === name)?.scope ?? 'context';
  return scope === 'item' ? 'item' : 'shared';
}

function onlySide(sides: readonly TowerSide[]): TowerSide | null {
  return sides.length > 0 && sides.every((side) => side === sides[0]) ? sides[0] : null;
}
