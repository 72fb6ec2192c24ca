/**
 * Where each feature of a model comes from and where it goes, compiled once from the model file so that the encoder
 * (feature-encoder.ts) only walks arrays.
 */
import { fmix, hashName, type TableLayout, tableLayouts } from '@millrace/core';
import type { DenseTransform, FieldScope, FieldSpec, ModelFile } from '@millrace/protocol';
import { sequenceLengthDefault } from './compile-model.ts';
import { denseInputs as denseInputsOf, momentFields } from './model-net.ts';
import type { AttentionShape, NetShape } from './net-shape.ts';

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
  /** Keys are bounded to so many, 0: not at all. */
  readonly buckets: number;
  /**
   * Place among the attended sequences, −1: none. Its position j then goes to slot + j · dim by itself, with x = 1, and its
   * length to the batch.
   */
  readonly attended: number;
  readonly dim: number;
  /** Place among the fields with running moments, −1: none. */
  readonly moments: number;
  /** The items of a request share what it puts into the batch. */
  readonly shared: boolean;
}

/** A number that layers or towers read. */
export interface DenseInput {
  readonly name: string;
  readonly scope: FieldScope;
  readonly transform: DenseTransform;
  /** Place among the fields with running moments, −1: none. */
  readonly moments: number;
}

/** A field with running moments. */
export interface MomentField {
  readonly name: string;
  readonly scope: FieldScope;
}

export interface CrossField extends Target {
  /** Places of the crossed fields in `keyFields`. */
  readonly fields: readonly number[];
  readonly seedLow: number;
  readonly seedHigh: number;
  /** As for fields. */
  readonly buckets: number;
  /** The items of a request share it: all its fields are of the request. */
  readonly shared: boolean;
}

export interface FeaturePlan {
  readonly tables: readonly TableLayout[];
  readonly keyFields: readonly KeyField[];
  readonly crosses: readonly CrossField[];
  readonly denseInputs: readonly DenseInput[];
  /** The always-present key, or null. */
  readonly bias: { readonly table: number; readonly low: number; readonly high: number } | null;
  readonly hasWide: boolean;
  /** True when a table keeps precisions, so that scores have a variance. */
  readonly hasVariance: boolean;
  readonly embeddingFloats: number;
  /** How many sequences are attended. */
  readonly attended: number;
  readonly moments: readonly MomentField[];
  /** What items are encoded to is kept from request to request (known-items.ts). */
  readonly keepsItems: boolean;
}

const noTransform: DenseTransform = { type: 'none' };

/** Compiles the features of a checked model file for the net of that shape. */
export function compileFeatures(file: ModelFile, shape: NetShape, valuesMax: number): FeaturePlan {
  const tables = tableLayouts(file);
  const tablePlace = new Map(tables.map((table, place) => [table.name, place]));
  const slots = new Map(shape.slots.map((slot) => [slot.name, slot]));
  const target = (name: string, table: string): Target => ({
    name,
    table: tablePlace.get(table) as number,
    slot: slots.get(name)?.offset ?? -1,
  });
  const read: FieldReading = { file, shape, target, valuesMax };
  const keyFields = file.fields.flatMap((field) => keyFieldFrom(field, read));
  const places = new Map(keyFields.map((field, place) => [field.name, place]));
  const crosses = (file.crosses ?? []).map((cross) => ({
    ...target(cross.name, cross.table),
    ...seeds(file.seed, cross.name),
    fields: cross.fields.map((name) => places.get(name) as number),
    buckets: cross.buckets ?? 0,
    shared: cross.fields.every((name) => keyFields[places.get(name) as number].scope !== 'item'),
  }));
  const denseInputs = denseInputsOf(file).map((field) => ({
    name: field.name,
    scope: field.scope ?? 'context',
    transform: field.transform ?? noTransform,
    moments: shape.moments.indexOf(field.name),
  }));
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
    hasVariance: shape.hasWide && tables.some(({ precision }) => precision !== null),
    embeddingFloats: shape.embeddingFloats,
    attended: shape.attention.length,
    moments: momentFields(file).map(({ name, scope = 'context' }) => ({ name, scope })),
    keepsItems: true,
  };
}

/** What fields are compiled with. */
interface FieldReading {
  readonly file: ModelFile;
  readonly shape: NetShape;
  readonly target: (name: string, table: string) => Target;
  readonly valuesMax: number;
}

function keyFieldFrom(
  field: FieldSpec,
  { file, shape, target, valuesMax }: FieldReading,
): readonly KeyField[] {
  if (field.table === undefined) return [];
  const keySpace = field.type === 'dense' ? field.name : (field.sharesKeysOf ?? field.name);
  const attended = shape.attention.findIndex(({ sequence }) => sequence === field.name);
  const common = {
    ...target(field.name, field.table),
    ...seeds(file.seed, keySpace),
    buckets: field.type === 'dense' ? 0 : (field.buckets ?? 0),
    attended,
    // Positions of an attended sequence are more floats to copy than to gather anew.
    shared: (field.scope ?? 'context') !== 'item' && attended < 0,
    dim: 0,
    moments: shape.moments.indexOf(field.name),
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
          ...positionsOf(shape.attention[attended]),
        },
      ];
    case 'dense': {
      const transform = field.transform ?? noTransform;
      return [{ ...common, kind: transform.type === 'bucket' ? 'bucket' : 'weighted', transform }];
    }
  }
}

/** An attended sequence is not pooled here: the net does it. */
function positionsOf(attention: AttentionShape | undefined) {
  if (attention === undefined) return {};
  return { slot: attention.positionsOffset, dim: attention.dim, pooling: 'sum' as const };
}

function seeds(seed: number, keySpace: string): { seedLow: number; seedHigh: number } {
  const name = hashName(keySpace);
  return { seedLow: fmix(seed ^ name), seedHigh: fmix(Math.imul(seed, 0x9e3779b1) ^ fmix(name)) };
}
