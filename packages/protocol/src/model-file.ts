/**
 * The model file: one JSON object that says what a model reads, stores, computes and learns.
 * The JSON Schema and the checks stand in the model package; `docs/model-file.md` shows one line by line.
 */

/** Where a feature value is looked up in a score request. */
export type FieldScope = 'user' | 'item' | 'context';

export interface SgdSpec {
  readonly type: 'sgd';
  readonly learningRate: number;
}
export interface AdagradSpec {
  readonly type: 'adagrad';
  readonly learningRate: number;
  /** Initial accumulator; 1 gives the step g/sqrt(1 + Σg²). Default 0.1. */
  readonly initialAccumulator?: number;
  /** Default 1e-10. */
  readonly epsilon?: number;
}
export interface RowwiseAdagradSpec {
  readonly type: 'rowwise-adagrad';
  readonly learningRate: number;
  readonly initialAccumulator?: number;
  readonly epsilon?: number;
}
export interface AdamSpec {
  readonly type: 'adam';
  readonly learningRate: number;
  /** Defaults 0.9, 0.999, 1e-8. */
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}
export interface FtrlSpec {
  readonly type: 'ftrl';
  readonly alpha: number;
  /** Defaults 1, 0, 0. */
  readonly beta?: number;
  readonly l1?: number;
  readonly l2?: number;
}
/** Diagonal Newton step: H += h; w −= g / (lambda + c·H). Needs curvature in the block. */
export interface NewtonSpec {
  readonly type: 'newton';
  /** Prior precision of a weight. Default 1. */
  readonly lambda?: number;
  /** Share of the accumulated curvature that damps the step; below 1 keeps learning. Default 1. */
  readonly c?: number;
}
export type OptimizerSpec = SgdSpec | AdagradSpec | RowwiseAdagradSpec | AdamSpec | FtrlSpec | NewtonSpec;

export type InitializerSpec =
  | { readonly type: 'zeros' }
  | { readonly type: 'constant'; readonly value: number }
  /** Uniform in [−scale, scale), a function of (seed, table, key, place) alone. */
  | { readonly type: 'uniform'; readonly scale: number };

/** A table's rows: an optional wide weight, then an optional embedding, each with its own optimizer. One must be there. */
export interface TableSpec {
  readonly name: string;
  /** One weight a key, added to the logit. Initial value 0 unless given. */
  readonly wide?: { readonly optimizer: OptimizerSpec; readonly initializer?: InitializerSpec };
  /** `dim` floats a key, fed to the net. Initial values uniform ±0.01 unless given. */
  readonly embedding?: {
    readonly dim: number;
    readonly optimizer: OptimizerSpec;
    readonly initializer?: InitializerSpec;
  };
}

interface FieldBase {
  readonly name: string;
  /** Default `context`. */
  readonly scope?: FieldScope;
}
/** One value, hashed to one key. */
export interface SparseField extends FieldBase {
  readonly type: 'sparse';
  readonly table: string;
  /** Uses the keys of that field, so that both meet in the same rows. */
  readonly sharesKeysOf?: string;
}
/** Several values: an array, or text cut at `separator`. */
export interface MultiField extends FieldBase {
  readonly type: 'multi';
  readonly table: string;
  /** Default `|`. */
  readonly separator?: string;
  /** How values meet: `sum` (default), `mean`, or `sqrtn` (sum divided by the root of the count). */
  readonly pooling?: 'sum' | 'mean' | 'sqrtn';
  readonly sharesKeysOf?: string;
}
/** What the user did last, oldest first; the newest `lengthMax` count. */
export interface SequenceField extends FieldBase {
  readonly type: 'sequence';
  readonly table: string;
  readonly separator?: string;
  /** Default `mean`. */
  readonly pooling?: 'sum' | 'mean' | 'sqrtn';
  /** Default 50. */
  readonly lengthMax?: number;
  readonly sharesKeysOf?: string;
}
/** A number. With a `table` it weights a row of its own (x·w); a net with layers also gets it as an input. */
export interface DenseField extends FieldBase {
  readonly type: 'dense';
  readonly transform?: DenseTransform;
  readonly table?: string;
}
export type DenseTransform =
  | { readonly type: 'none' }
  /** sign(x)·ln(1 + |x|) */
  | { readonly type: 'log1p' }
  /** (x − mean) / deviation */
  | { readonly type: 'standardize'; readonly mean: number; readonly deviation: number }
  /** The number of boundaries not above x becomes a sparse value; needs a `table`. Boundaries ascend. */
  | { readonly type: 'bucket'; readonly boundaries: readonly number[] };

export type FieldSpec = SparseField | MultiField | SequenceField | DenseField;

/** Every combination of the fields' values is one key. */
export interface CrossSpec {
  readonly name: string;
  readonly fields: readonly string[];
  readonly table: string;
}

export interface LayerSpec {
  readonly units: number;
  /** Default `relu`. */
  readonly activation?: 'relu' | 'tanh' | 'sigmoid' | 'linear';
}
/** logit = [wide sum] + [factorisation machine over the embeddings] + [layers over embeddings and dense fields]. */
export interface LayersNet {
  readonly wide?: boolean;
  readonly fm?: boolean;
  readonly layers: readonly LayerSpec[];
  /** How the dense weights learn. Default adam, learning rate 0.001. */
  readonly optimizer?: OptimizerSpec;
}
/** `linear` = wide; `fm` = wide + fm; `deepfm` = wide + fm + layers 64, 32. */
export type NetSpec = 'linear' | 'fm' | 'deepfm' | LayersNet;

export interface LearningSpec {
  /**
   * When an impression without an outcome counts as a negative. `after-window` (default): once it has waited joinWindowMs;
   * the loss of each example is then exact, and outcomes of value 0 decide at once. `at-once`: when it is shown, and a click
   * adds its part of the gradient later (loss ln(1 + e^z) − y·z, the first term at the impression, the second at the click):
   * calibrated from the first second, since clicks and negatives are learned equally soon.
   */
  readonly negatives?: 'after-window' | 'at-once';
  /** How long an impression waits for its outcomes, ms; later ones are refused. Default 30,000. */
  readonly joinWindowMs?: number;
  /** Examples of one gradient batch, at most. Default 512. */
  readonly batchExamplesMax?: number;
  /** How long the first example of a batch waits for others, ms. Default 20. */
  readonly batchDelayMs?: number;
}

export interface ModelFile {
  readonly $schema?: string;
  readonly name: string;
  /** Column of a log file that holds the outcome, 0 or 1. */
  readonly label: string;
  /** Column of a log file that holds the time, Unix seconds or ms or ISO 8601. */
  readonly timestamp?: string;
  /** Name of the item-scoped sparse field whose value identifies a candidate in outcomes. */
  readonly item?: string;
  /** Fixed when the model is created, 1 … 4,096. Default 64. */
  readonly partitions?: number;
  readonly tables: readonly TableSpec[];
  readonly fields: readonly FieldSpec[];
  readonly crosses?: readonly CrossSpec[];
  /** Adds one always-present key to the first table with a wide weight. Default true where such a table is. */
  readonly bias?: boolean;
  readonly net: NetSpec;
  readonly loss: 'logloss';
  /** Seeds key hashing, row initialisation and dense initialisation. */
  readonly seed: number;
  readonly learning?: LearningSpec;
}
