/**
 * How the weights of a row lie in fewer bytes, for reading only: training keeps float32.
 *
 *   float16  [ wide 2? | embedding 2 · dim? | precision 2? ]
 *   int8     [ wide 1? | scale 2, offset 2, codes dim?  | precision 2? ]      scale and offset are binary16
 *
 * An embedding's codes are uint8 on a grid of its own row: x ≈ offset + scale · code. A wide weight is one number a row, too few
 * for a grid: int8 of a scale that the rows of a block share (packed-rows.ts). A precision spans many powers of ten, and an
 * embedding of up to four weights would grow by a grid; they are binary16 in both formats.
 * Source of the row-wise grid: fused rows of FBGEMM (QuantUtils.cc), there with float32 grids, or binary16 ones for n-bit rows.
 */
import type { TableLayout } from '../table-layout.ts';

export const packedFormats = ['float16', 'int8'] as const;
export type PackedFormat = (typeof packedFormats)[number];

export type PackedLayout = Pick<TableLayout, 'dim' | 'hasWide' | 'embeddingDim' | 'precision'>;

/** Where the parts of a row stand in its bytes, −1: it has none. */
export interface RowShape {
  readonly format: PackedFormat;
  readonly dim: number;
  /** Bytes of a row, without its share of the block's scale. */
  readonly stride: number;
  /** An int8 wide weight. */
  readonly wideAt: number;
  /** scale, offset, then the codes. */
  readonly gridAt: number;
  /** Floats on the grid: weights [gridFrom, gridFrom + gridDim). */
  readonly gridFrom: number;
  readonly gridDim: number;
  /** The weights [halvesFrom, halvesTo) as binary16, from byte halvesAt. */
  readonly halvesAt: number;
  readonly halvesFrom: number;
  readonly halvesTo: number;
}

/** Weights below which a grid of 4 bytes does not pay. */
const gridDimMin = 5;

export function rowShape({ dim, hasWide, embeddingDim }: PackedLayout, format: PackedFormat): RowShape {
  if (format === 'float16')
    return {
      ...{ format, dim, stride: 2 * dim, wideAt: -1, gridAt: -1, gridFrom: 0, gridDim: 0 },
      ...{ halvesAt: 0, halvesFrom: 0, halvesTo: dim },
    };
  const wide = hasWide ? 1 : 0;
  const gridDim = embeddingDim >= gridDimMin ? embeddingDim : 0;
  const grid = gridDim === 0 ? 0 : 4 + gridDim;
  const halvesFrom = wide + gridDim;
  return {
    format,
    dim,
    stride: wide + grid + 2 * (dim - halvesFrom),
    wideAt: hasWide ? 0 : -1,
    gridAt: gridDim === 0 ? -1 : wide,
    gridFrom: wide,
    gridDim,
    halvesAt: wide + grid,
    halvesFrom,
    halvesTo: dim,
  };
}
