/** The smallest model file around the fields that a test is about. */
import type { CrossSpec, FieldSpec, ModelFile, NetSpec, OptimizerSpec, TableSpec } from '@millrace/protocol';

const sgd: OptimizerSpec = { type: 'sgd', learningRate: 0.1 };

export const wideTable: TableSpec = { name: 'wide', wide: { optimizer: sgd } };

export function embeddingTable(name: string, dim: number): TableSpec {
  return { name, wide: { optimizer: sgd }, embedding: { dim, optimizer: sgd } };
}

export function smallModel(options: {
  readonly fields: readonly FieldSpec[];
  readonly crosses?: readonly CrossSpec[];
  readonly tables?: readonly TableSpec[];
  readonly net?: NetSpec;
  readonly bias?: boolean;
  readonly seed?: number;
}): ModelFile {
  const { fields, crosses = [], tables = [wideTable], net = 'linear', bias = false, seed = 7 } = options;
  return { name: 'small', label: 'y', tables, fields, crosses, net, bias, loss: 'logloss', seed };
}
