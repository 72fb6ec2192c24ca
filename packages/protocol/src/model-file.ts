/**
 * The model file: one JSON object that says what a model reads, stores, computes and learns.
 * The JSON Schema and the checks stand in the model package; `docs/model-file.md` shows one line by line.
 */

/** Where a feature value is looked up in a score request. */
export type FieldScope = 'user' | 'item' | 'context';

/** What every optimizer takes beside its own formula (core/optimizer/bounded-step.ts). */
export interface StepBounds {
  /** λ in the penalty λ·w²/2: λ·w is added to the gradient. Default 0. */
  readonly l2?: number;
  /** λ in the penalty λ·|w|; a weight whose step would carry it over 0 stays at 0. Default 0. */
  readonly l1?: number;
  /** A gradient beyond ±gradientMax is cut to it. Default: none beyond the limit of the log. */
  readonly gradientMax?: number;
  /** A segment's gradient that is longer (Euclidean) is scaled to this length, after gradientMax. Default: none. */
  readonly gradientNormMax?: number;
  /** Weights stay within ±weightMax. Default: none. */
  readonly weightMax?: number;
}
export interface SgdSpec extends StepBounds {
  readonly type: 'sgd';
  readonly learningRate: number;
}
export interface AdagradSpec extends StepBounds {
  readonly type: 'adagrad';
  readonly learningRate: number;
  /** Initial accumulator; 1 gives the step g/sqrt(1 + Σg²). Default 0.1. */
  readonly initialAccumulator?: number;
  /** Default 1e-10. */
  readonly epsilon?: number;
}
export interface RowwiseAdagradSpec extends StepBounds {
  readonly type: 'rowwise-adagrad';
  readonly learningRate: number;
  readonly initialAccumulator?: number;
  readonly epsilon?: number;
}
export interface AdamSpec extends StepBounds {
  readonly type: 'adam';
  readonly learningRate: number;
  /** Defaults 0.9, 0.999, 1e-8. */
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}
/** Its l1 and l2 are those of its own closed form. */
export interface FtrlSpec extends StepBounds {
  readonly type: 'ftrl';
  readonly alpha: number;
  /** Default 1. */
  readonly beta?: number;
}
/** Diagonal Newton step: H += h; w −= g / (lambda + c·H). Needs curvature in the block. */
export interface NewtonSpec extends StepBounds {
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

/** When a key gets a row. Until then it is read as first values, and what it would have learned is dropped. */
export type AdmissionSpec =
  /** At its count-th occurrence. `sketch` counts in a fixed memory and may admit a key early, never late. */
  | {
      readonly type: 'count';
      readonly count: number;
      /** Default exact. */
      readonly counter?: 'exact' | 'sketch';
      /** Cells of the sketch in each partition, a power of two. Default 65,536. */
      readonly cells?: number;
    }
  /** At each occurrence with this probability, decided by a hash of key and log sequence. */
  | { readonly type: 'probability'; readonly probability: number };

/** When a row goes. Time is the event time that blocks carry, so the log alone decides. */
export type ExpirySpec =
  /** Once nothing was learned into it for so long, ms. */
  | { readonly type: 'age'; readonly afterMs: number }
  /** Once its score, +1 an occurrence and halved every halfLifeMs, is below scoreMin. */
  | { readonly type: 'score'; readonly halfLifeMs: number; readonly scoreMin: number };

/** A table's rows: an optional wide weight, then an optional embedding, each with its own optimizer. One must be there. */
export interface TableSpec {
  readonly name: string;
  /** Default: a row at the first occurrence. */
  readonly admission?: AdmissionSpec;
  /** Default: rows stay. */
  readonly expiry?: ExpirySpec;
  /**
   * One more float a row: the summed curvature p(1−p)·x² of its wide weight, which says how sure the weight is. A score's
   * variance is Σ x²/(prior + precision); Thompson sampling needs it.
   */
  readonly precision?: { readonly prior: number };
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
/** A field whose values are hashed. */
interface HashedField extends FieldBase {
  /** Values meet in so many keys at most: the hash modulo this. Default: 64-bit keys, no two of which meet. */
  readonly buckets?: number;
}
/** One value, hashed to one key. */
export interface SparseField extends HashedField {
  readonly type: 'sparse';
  readonly table: string;
  /** Uses the keys of that field, so that both meet in the same rows. */
  readonly sharesKeysOf?: string;
}
/** Several values: an array, or text cut at `separator`. */
export interface MultiField extends HashedField {
  readonly type: 'multi';
  readonly table: string;
  /** Default `|`. */
  readonly separator?: string;
  /** How values meet: `sum` (default), `mean`, or `sqrtn` (sum divided by the root of the count). */
  readonly pooling?: 'sum' | 'mean' | 'sqrtn';
  readonly sharesKeysOf?: string;
}
/** What the user did last, oldest first; the newest `lengthMax` count. */
export interface SequenceField extends HashedField {
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
  | {
      readonly type: 'standardize';
      /** Both or none: without them moments run along with what is learned, and are part of the dense state. */
      readonly mean?: number;
      readonly deviation?: number;
    }
  /** The number of boundaries not above x becomes a sparse value; needs a `table`. Boundaries ascend. */
  | { readonly type: 'bucket'; readonly boundaries: readonly number[] };

export type FieldSpec = SparseField | MultiField | SequenceField | DenseField;

/** Every combination of the fields' values is one key. */
export interface CrossSpec {
  readonly name: string;
  readonly fields: readonly string[];
  readonly table: string;
  /** As for fields. */
  readonly buckets?: number;
}

export interface LayerSpec {
  readonly units: number;
  /** Default `relu`. */
  readonly activation?: 'relu' | 'tanh' | 'sigmoid' | 'linear';
}
/** Cross network (DCN-V2): x' = x0 ∘ (W·x + b) + x, over the layers' inputs. */
export interface CrossNetSpec {
  readonly layers: number;
  /** W = U·V of this rank; default: a full matrix. */
  readonly rank?: number;
  /** `stacked` (default): the layers read what it gives; `parallel`: both are read by the last unit. */
  readonly structure?: 'stacked' | 'parallel';
}
/** Attention of a target over a sequence (DIN): what the history says about this very item takes the sequence's slot. */
export interface AttentionSpec {
  /** A sequence field, and the sparse field that asks; both of one embedding dim. */
  readonly sequence: string;
  readonly target: string;
  /** Hidden units of the net that weighs a position. Default 16. */
  readonly units?: number;
}
/** Two towers: one over user and context fields, one over item fields; the logit has the dot product of their outputs. */
export interface TowersSpec {
  /** Layers of each tower; the last one's units are the dim of the product. */
  readonly layers: readonly LayerSpec[];
}

/**
 * logit = [wide sum] + [factorisation machine over the embeddings] + [field-weighted one] + [towers' dot product]
 *       + [layers over embeddings, dots and dense fields, behind a cross network], each term where the net has it.
 */
export interface LayersNet {
  readonly wide?: boolean;
  readonly fm?: boolean;
  /** Σ_{i<j} r_ij ⟨v_i, v_j⟩ with a learned r a pair of fields (FwFM). All slots have one dim then. */
  readonly fwfm?: boolean;
  /** Pairwise dot products of the embeddings become inputs of the layers (DLRM). All slots have one dim then. */
  readonly dots?: boolean;
  readonly cross?: CrossNetSpec;
  readonly attention?: readonly AttentionSpec[];
  readonly towers?: TowersSpec;
  readonly layers: readonly LayerSpec[];
  /** How the dense weights learn. Default adam, learning rate 0.001. */
  readonly optimizer?: OptimizerSpec;
}
/** One input of an imported net: embeddings and numbers of these fields side by side, float32[rows, their floats]. */
export interface ImportInput {
  readonly name: string;
  readonly fields: readonly string[];
}

/** A net that was trained elsewhere. It is served, and neither it nor the rows that it reads learn here. */
export interface ImportSpec {
  /** `tfjs-layers`, `tfjs-graph`: what TensorFlow.js calls a layers model (Keras) and a graph model (a SavedModel). */
  readonly format: 'onnx' | 'tfjs-layers' | 'tfjs-graph';
  /** In the nets' directory of every inference node, or in a folder there; TensorFlow.js' model.json, beside its weights. */
  readonly file: string;
  /** Of the file, and behind it those of its weights in their order, in hexadecimal: all nodes serve the same net. */
  readonly sha256: string;
  readonly inputs: readonly ImportInput[];
  /** float32[rows] or [rows, 1]. */
  readonly output: { readonly name: string; readonly gives: 'logit' | 'probability' };
}

export interface ImportedNet {
  readonly import: ImportSpec;
}

/**
 * Short names: `linear` = wide; `fm`, `fwfm` = wide + that; `deepfm` = wide + fm + layers 64, 32; `dcn` = wide + 2 cross
 * layers + layers 64, 32; `dlrm` = wide + dots + layers 64, 32; `two-tower` = wide + towers of 32, 16.
 */
export type NetSpec =
  | 'linear'
  | 'fm'
  | 'fwfm'
  | 'deepfm'
  | 'dcn'
  | 'dlrm'
  | 'two-tower'
  | LayersNet
  | ImportedNet;

/** One kind of outcome and what it teaches. An example is positive once one of them came. */
export interface OutcomeSpec {
  /** Its `outcome` in events. */
  readonly name: string;
  /** Values below this teach that the item was not wanted. Default 1: a click is 1, a known non-click 0. */
  readonly valueMin?: number;
  /** Weight of the example in the loss. Default 1. */
  readonly weight?: number;
  /** What the value adds to the weight, as a factor: `none` (default), `linear` = value, `log1p` = ln(1 + value). */
  readonly valueWeight?: 'none' | 'linear' | 'log1p';
  /** Values beyond this count as this. Default 1,000. */
  readonly valueMax?: number;
}

export interface LearningSpec {
  /**
   * When an impression without an outcome counts as a negative. `after-window` (default): once it has waited joinWindowMs;
   * the loss of each example is then exact, and outcomes of value 0 decide at once. `at-once`: when it is shown, and a click
   * adds its part of the gradient later (loss ln(1 + e^z) − y·z, the first term at the impression, the second at the click):
   * calibrated from the first second, since clicks and negatives are learned equally soon.
   */
  readonly negatives?: 'after-window' | 'at-once';
  /** How long an impression waits for its outcomes, ms. Default 30,000. */
  readonly joinWindowMs?: number;
  /**
   * What comes of an outcome after that: `wait` (default): it is refused, the window is meant to be long enough; `ignore`: it
   * is taken and counted, and teaches nothing; `fake-negative-weighted`: it is learned as a positive beside the negative
   * that its impression counted as, positives weighing 1 + p and negatives 1 − p² (Ktena et al., arXiv 1907.06558).
   */
  readonly latePositives?: 'wait' | 'fake-negative-weighted' | 'ignore';
  /** How long after the join window a late outcome is still known for one, ms. Default: as long as the join window. */
  readonly lateWindowMs?: number;
  /** Kinds of outcomes. Default: one, `click`. */
  readonly outcomes?: readonly OutcomeSpec[];
  /**
   * Share of negatives that is learned, chosen by a hash of request and item; ln(rate) then offsets the logit of every
   * example in the loss, so that scores stay calibrated. The rate is logged with each impression. Default 1.
   */
  readonly negativeRate?: number;
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
  /** Column of a log file that holds the rate at which negatives were kept when it was written, 0 < rate ≤ 1. */
  readonly negativeRate?: string;
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
