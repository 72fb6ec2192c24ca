/**
 * Puts together an ONNX graph, one operator after another. A value is its name; shapes are the caller's business, as they are
 * in the files around it: examples are rows, of any number.
 */
import type { Attribute, ConstantTensor, Graph, Node, TensorInfo } from './onnx-proto.ts';
import { runsOf } from './shared-inputs.ts';

/** Name of a value in a graph. */
export type Value = string;

/** A tensor of a net's flat parameters: float32[dims] from `offset` on. */
export interface WeightPlace {
  readonly name: Value;
  readonly offset: number;
  readonly dims: readonly number[];
  readonly floats: number;
}

/** The dimension that differs from batch to batch. */
export const rowsDimension = 'rows';

export class GraphWriter {
  readonly weights: WeightPlace[] = [];
  readonly inputs: TensorInfo[] = [];
  readonly outputs: TensorInfo[] = [];
  readonly #constants = new Map<string, ConstantTensor>();
  readonly #nodes: Node[] = [];

  input(info: TensorInfo): Value {
    this.inputs.push(info);
    return info.name;
  }

  /** Gives a value out under a name of its own. */
  output(value: Value, name: string, dims: TensorInfo['dims']): void {
    this.#nodes.push({ type: 'Identity', inputs: [value], output: name, attributes: [] });
    this.outputs.push({ name, type: 'float32', dims });
  }

  /** Parameters as a tensor. The same place twice is one tensor. */
  weight(offset: number, dims: readonly number[]): Value {
    const name = `weight_${offset}`;
    if (!this.weights.some((weight) => weight.name === name)) {
      this.weights.push({ name, offset, dims, floats: dims.reduce((product, size) => product * size, 1) });
    }
    return name;
  }

  /** int64[count] */
  integers(values: readonly number[]): Value {
    return this.#constant(`integers_${values.join('_')}`, [values.length], () =>
      BigInt64Array.from(values, BigInt),
    );
  }

  scalar(value: number): Value {
    return this.#constant(`scalar_${value}`, [], () => Float32Array.of(value));
  }

  op(type: string, inputs: readonly Value[], attributes: readonly Attribute[] = []): Value {
    const output = `value_${this.#nodes.length}`;
    this.#nodes.push({ type, inputs, output, attributes });
    return output;
  }

  add(a: Value, b: Value): Value {
    return this.op('Add', [a, b]);
  }

  sub(a: Value, b: Value): Value {
    return this.op('Sub', [a, b]);
  }

  mul(a: Value, b: Value): Value {
    return this.op('Mul', [a, b]);
  }

  /** a·b + bias, of matrices. */
  product(a: Value, b: Value, bias?: Value): Value {
    return this.op('Gemm', bias === undefined ? [a, b] : [a, b, bias]);
  }

  /** aᵀ·b */
  transposedProduct(a: Value, b: Value): Value {
    return this.op('Gemm', [a, b], [{ name: 'transA', int: 1 }]);
  }

  /** a·bᵀ */
  productTransposed(a: Value, b: Value): Value {
    return this.op('Gemm', [a, b], [{ name: 'transB', int: 1 }]);
  }

  transpose(value: Value, order: readonly number[]): Value {
    return this.op('Transpose', [value], [{ name: 'perm', ints: order }]);
  }

  /** −1 for the one dimension that follows from the others. */
  reshape(value: Value, dims: readonly number[]): Value {
    return this.op('Reshape', [value, this.integers(dims)]);
  }

  /**
   * Sums of a matrix's rows, [rows, columns] → [rows, 1]. A product with ones: the library's own sum adds a single row in another
   * order than one of several, and a score would depend on the company it was in.
   */
  rowSums(value: Value, columns: number): Value {
    return this.product(value, this.#ones(columns));
  }

  /** Sums of a matrix's columns that lie `dim` apart, [rows, groups · dim] → [rows, dim]; a product, as rowSums is. */
  groupSums(value: Value, groups: number, dim: number): Value {
    const name = `groups_${groups}_${dim}`;
    const ones = this.#constant(name, [groups * dim, dim], () =>
      Float32Array.from({ length: groups * dim * dim }, (_, i) =>
        Math.floor(i / dim) % dim === i % dim ? 1 : 0,
      ),
    );
    return this.product(value, ones);
  }

  /** Sums over `axes`, which are gone then. */
  sum(value: Value, axes: readonly number[]): Value {
    return this.op('ReduceSum', [value, this.integers(axes)], [{ name: 'keepdims', int: 0 }]);
  }

  concat(values: readonly Value[], axis: number): Value {
    return values.length === 1 ? values[0] : this.op('Concat', values, [{ name: 'axis', int: axis }]);
  }

  /** Places `from` to `to`, that one not included, of an axis. */
  slice(value: Value, axis: number, from: number, to: number): Value {
    return this.op('Slice', [value, this.integers([from]), this.integers([to]), this.integers([axis])]);
  }

  /**
   * Columns of a matrix of `width`, at ascending places: cut out run by run, which moves whole pieces where Gather would move
   * number after number (a pass of two towers of 24 inputs each, 100 rows: 36 µs against 67).
   */
  columns(value: Value, width: number, places: readonly number[]): Value {
    if (places.length === width) return value;
    const runs = runsOf(places);
    const pieces = Array.from({ length: runs.length / 2 }, (_, run) =>
      this.slice(value, 1, runs[2 * run], runs[2 * run + 1]),
    );
    return this.concat(pieces, 1);
  }

  gather(value: Value, places: readonly number[], axis: number): Value {
    return this.op('Gather', [value, this.integers(places)], [{ name: 'axis', int: axis }]);
  }

  /** A matrix with so many columns of zeros before and behind it. */
  padColumns(value: Value, before: number, behind: number): Value {
    return before + behind === 0 ? value : this.op('Pad', [value, this.integers([0, before, 0, behind])]);
  }

  /** [rows] as a column, [rows, 1]. */
  column(value: Value): Value {
    return this.reshape(value, [-1, 1]);
  }

  /** The graph with its weights as inputs. */
  withInputs(name: string): Graph {
    const weights = this.weights.map((weight): TensorInfo => ({ ...weight, type: 'float32' }));
    return { ...this.#graph(name), inputs: [...this.inputs, ...weights] };
  }

  /** The graph with its weights as constants. @param parameters float32[parameters], only read. */
  withConstants(name: string, parameters: Float32Array): Graph {
    const graph = this.#graph(name);
    const weights = this.weights.map(({ name, dims, offset, floats }) => ({
      name,
      dims,
      values: parameters.subarray(offset, offset + floats),
    }));
    return { ...graph, constants: [...graph.constants, ...weights] };
  }

  #ones(count: number): Value {
    return this.#constant(`ones_${count}`, [count, 1], () => new Float32Array(count).fill(1));
  }

  #graph(name: string): Graph {
    return {
      name,
      inputs: this.inputs,
      outputs: this.outputs,
      constants: [...this.#constants.values()],
      nodes: this.#nodes,
    };
  }

  #constant(name: string, dims: readonly number[], values: () => ConstantTensor['values']): Value {
    if (!this.#constants.has(name)) this.#constants.set(name, { name, dims, values: values() });
    return name;
  }
}
