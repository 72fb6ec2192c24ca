/**
 * Where each feature of a model comes from and where it goes, compiled once from the model file so that the encoder
 * (feature-encoder.ts) only walks arrays.
 */
import { fmix, hashName, type TableLayout, tableLayouts } from '@millrace/core';
import type { DenseTransform, FieldScope, FieldSpec, ModelFile } from '@millrace/protocol';
import type { NetShape } from './net-shape.ts';

interface Target {
  readonly name: string;
  /** Place of the table in the model file. */
  readonly table: number;
  /** First float of its slot in an example's embeddings, −1 when it feeds none. */
  readonly slot: number;
}

/** A field whose values become keys. */
export interface KeyField extends Target {
  readonly kind: 'single' | 'list' | 'bucket' | 'weighted';
  readonly scope: FieldScope;
  readonly seedLow: number;
  readonly seedHigh: number;
  readonly separator: string;
  readonly pooling: 'sum' | 'mean' | 'sqrtn';
  /** Values beyond this: an error for lists; sequences keep the newest. */
  readonly lengthMax: number;
  readonly keepsNewest: boolean;
  readonly transform: DenseTransform;
}

/** A number that the layers read. */
export interface DenseInput {
  readonly name: string;
  readonly scope: FieldScope;
  readonly transform: DenseTransform;
}

export interface CrossField extends Target {
  /** Places of the crossed fields in `keyFields`. */
  readonly fields: readonly number[];
  readonly seedLow: number;
  readonly seedHigh: number;
}

export interface FeaturePlan {
  readonly tables: readonly TableLayout[];
  readonly keyFields: readonly KeyField[];
  readonly crosses: readonly CrossField[];
  readonly denseInputs: readonly DenseInput[];
  /** The always-present key, or null. */
  readonly bias: { readonly table: number; readonly low: number; readonly high: number } | null;
  readonly hasWide: boolean;
  readonly embeddingFloats: number;
}

const noTransform: DenseTransform = { type: 'none' };
const sequenceLengthDefault = 50;

/** Compiles the features of a checked model file for the net of that shape. */
export function compileFeatures(file: ModelFile, shape: NetShape, valuesMax: number): FeaturePlan {
  const tables = tableLayouts(file);
  const tablePlace = new Map(tables.map((table, place) => [table.name, place]));
  const slots = new Map(shape.slots.map((slot) => [slot.name, slot.offset]));
  const target = (name: string, table: string): Target => ({
    name,
    table: tablePlace.get(table) as number,
    slot: slots.get(name) ?? -1,
  });
  const keyFields = file.fields.flatMap((field) => keyFieldFrom(field, file.seed, target, valuesMax));
  const places = new Map(keyFields.map((field, place) => [field.name, place]));
  const crosses = (file.crosses ?? []).map((cross) => ({
    ...target(cross.name, cross.table),
    ...seeds(file.seed, cross.name),
    fields: cross.fields.map((name) => places.get(name) as number),
  }));
  const denseInputs = file.fields.flatMap((field) =>
    field.type === 'dense' && field.transform?.type !== 'bucket' && shape.denseFields > 0
      ? [{ name: field.name, scope: field.scope ?? 'context', transform: field.transform ?? noTransform }]
      : [],
  );
  const biasTable = tables.findIndex((table) => table.hasWide);
  const { seedLow, seedHigh } = seeds(file.seed, '(bias)');
  const wantsBias = (file.bias ?? true) && shape.hasWide && biasTable >= 0;
  return {
    tables,
    keyFields,
    crosses,
    denseInputs,
    bias: wantsBias ? { table: biasTable, low: seedLow >>> 0, high: seedHigh >>> 0 } : null,
    hasWide: shape.hasWide,
    embeddingFloats: shape.embeddingFloats,
  };
}

function keyFieldFrom(
  field: FieldSpec,
  seed: number,
  target: (name: string, table: string) => Target,
  valuesMax: number,
): readonly KeyField[] {
  if (field.table === undefined) return [];
  const keySpace = field.type === 'dense' ? field.name : (field.sharesKeysOf ?? field.name);
  const common = {
    ...target(field.name, field.table),
    ...seeds(seed, keySpace),
    scope: field.scope ?? 'context',
    separator: '|',
    pooling: 'sum' as const,
    lengthMax: valuesMax,
    keepsNewest: false,
    transform: noTransform,
  };
  switch (field.type) {
    case 'sparse':
      return [{ ...common, kind: 'single' }];
    case 'multi':
      return [
        { ...common, kind: 'list', separator: field.separator ?? '|', pooling: field.pooling ?? 'sum' },
      ];
    case 'sequence':
      return [
        {
          ...common,
          kind: 'list',
          separator: field.separator ?? '|',
          pooling: field.pooling ?? 'mean',
          lengthMax: field.lengthMax ?? sequenceLengthDefault,
          keepsNewest: true,
        },
      ];
    case 'dense': {
      const transform = field.transform ?? noTransform;
      return [{ ...common, kind: transform.type === 'bucket' ? 'bucket' : 'weighted', transform }];
    }
  }
}

function seeds(seed: number, keySpace: string): { seedLow: number; seedHigh: number } {
  const name = hashName(keySpace);
  return { seedLow: fmix(seed ^ name), seedHigh: fmix(Math.imul(seed, 0x9e3779b1) ^ fmix(name)) };
}
