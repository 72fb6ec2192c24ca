/** What a net reads, from its short name or its object. */
import type { LayerSpec, LayersNet, ModelFile, NetSpec, TableSpec } from '@millrace/protocol';

/** A net with its short names written out; what is absent is not part of it. */
export interface NetParts extends LayersNet {
  readonly wide: boolean;
  readonly fm: boolean;
  readonly fwfm: boolean;
  readonly dots: boolean;
}

const deepLayers: readonly LayerSpec[] = [{ units: 64 }, { units: 32 }];
const towerLayers: readonly LayerSpec[] = [{ units: 32 }, { units: 16, activation: 'linear' }];

const shortNames: Readonly<Record<Exclude<NetSpec, LayersNet>, LayersNet>> = {
  linear: { wide: true, layers: [] },
  fm: { wide: true, fm: true, layers: [] },
  fwfm: { wide: true, fwfm: true, layers: [] },
  deepfm: { wide: true, fm: true, layers: deepLayers },
  dcn: { wide: true, cross: { layers: 2 }, layers: deepLayers },
  dlrm: { wide: true, dots: true, layers: deepLayers },
  'two-tower': { wide: true, towers: { layers: towerLayers }, layers: [] },
};

export function netPartsFrom(net: NetSpec): NetParts {
  const written = typeof net === 'string' ? shortNames[net] : net;
  return { wide: false, fm: false, fwfm: false, dots: false, ...written };
}

/** True when the net reads embeddings at all: a linear one leaves those of its tables alone. */
export function readsEmbeddings(parts: NetParts): boolean {
  return parts.fm || parts.layers.length > 0;
}

/** One embedding input: a field or a cross, and the table it reads. */
export interface EmbeddingSource {
  readonly name: string;
  readonly table: TableSpec;
  readonly dim: number;
}

/** The fields with an embedding in file order, then the crosses; empty when the net reads none. Unknown tables are left out. */
export function embeddingSources(file: ModelFile): EmbeddingSource[] {
  if (!readsEmbeddings(netPartsFrom(file.net))) return [];
  const sources: EmbeddingSource[] = [];
  for (const { name, table: wanted } of [...file.fields, ...(file.crosses ?? [])]) {
    const table = file.tables.find((candidate) => candidate.name === wanted);
    if (table?.embedding !== undefined) sources.push({ name, table, dim: table.embedding.dim });
  }
  return sources;
}

/** Dense fields that the layers read: all that are not cut into buckets; 0 when the net has no layers. */
export function denseInputs(file: ModelFile): number {
  if (netPartsFrom(file.net).layers.length === 0) return 0;
  return file.fields.filter((field) => field.type === 'dense' && field.transform?.type !== 'bucket').length;
}
