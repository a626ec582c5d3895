import type { ErrorBody } from '#core';
import type { Clusters, ColumnData, Model, Plan, Progress } from '#learn';
import type { FeatureCall } from '#sql';
import type { Reference } from './drift.ts';

export type { FeatureCall };

/** A column that the model was trained on. `type` is the warehouse's. Times are epoch milliseconds in rows and arrays. */
export interface Input {
  readonly name: string;
  readonly type: string;
  readonly kind: 'number' | 'text' | 'time';
}

export type Cell = number | string | null;

/** Rows with the answers that the model gave in training: class probabilities in the model's order, or the value alone. */
export interface Golden {
  readonly rows: readonly Readonly<Record<string, Cell>>[];
  readonly answers: readonly (readonly number[])[];
}

/** What a column held in training. Figures are of the known values; null where they mean nothing. */
export interface Profile {
  readonly input: string;
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  readonly median: number | null;
  readonly stddev: number | null;
  readonly category_count: number | null;
  readonly null_count: number;
  /** Counts by bin, to tell later rows from these; absent in files that know none. */
  readonly reference?: Reference;
}

/** A column that is made of others, with what was learned for it from the training rows. */
export interface Feature {
  readonly as: string;
  readonly columns: readonly string[];
  /** What each column held in training; absent in files that don't say. */
  readonly kinds?: readonly Input['kind'][];
  readonly does:
    | { readonly kind: 'scale'; readonly offset: number; readonly by: number }
    /** `bin_1` lies below the first edge. */
    | { readonly kind: 'bucket'; readonly edges: readonly number[] }
    | { readonly kind: 'fill'; readonly value: Cell }
    /** Others are `other`. */
    | { readonly kind: 'keep'; readonly levels: readonly string[] }
    | { readonly kind: 'cross' }
    | { readonly kind: 'product' };
}

/** A model of one's own that was brought as an ONNX file: the head that a trained model has too, and the file. */
export interface BroughtModel {
  readonly format: 'onnx';
  readonly task: Model['task'];
  readonly target: string;
  readonly targetKind: Model['targetKind'];
  readonly classes: readonly string[] | null;
  readonly report: null;
  /** The file's bytes as base64. */
  readonly onnx: string;
  /** The graph's inputs, [rows × columns]. */
  readonly ports: readonly { readonly input: string; readonly columns: readonly string[] }[];
  /** The output with the probabilities or values. */
  readonly answers: string;
}

/** Clusters under the head that a trained model has: its classes are the numbers of the clusters, its answers each row's distances to them. */
export interface ClusterModel {
  readonly format: 'clusters';
  readonly task: 'clustering';
  readonly target: 'centroid_id';
  readonly targetKind: 'number';
  readonly classes: readonly string[];
  readonly report: null;
  readonly clusters: Clusters;
  /** Of the training rows. */
  readonly figures: { readonly davies_bouldin_index: number; readonly mean_squared_distance: number };
}

/** A model's file: `<data>/models/<schema.name>/<version>.json`. Its SHA-256 stands in `millrace.model`. */
export interface ModelFile {
  readonly format: 'millrace-model-file';
  readonly version: 1;
  /** schema.name */
  readonly name: string;
  readonly created: string;
  /** As it was asked for: AUTOML_CLASSIFIER … */
  readonly type: string;
  readonly plan: Plan;
  /** Columns that the model reads, after TRANSFORM if there is one; the target is the last. */
  readonly inputs: readonly Input[];
  readonly target: Input;
  /** Expressions of TRANSFORM without those of the target, or null where it only names columns. */
  readonly transform: readonly string[] | null;
  /** What its feature functions make of the inputs before the model reads them; absent in files that know none. */
  readonly features?: readonly Feature[];
  readonly model: Model | BroughtModel | ClusterModel;
  readonly golden: Golden;
  readonly profile: readonly Profile[];
}

/** What a training process is given: a Parquet file of DOUBLE and VARCHAR columns (null where there are no rows), and what to make of it. */
export interface TrainingOrder {
  readonly name: string;
  readonly type: string;
  readonly plan: Plan;
  readonly parquet: string | null;
  /** All columns of the file. */
  readonly columns: readonly Input[];
  readonly transform: readonly string[] | null;
  readonly features: readonly FeatureCall[];
  /** Columns that only the features read. */
  readonly raw: readonly string[];
  /** What is brought in place of being trained: a path below the workspace's folder of models, and what the file doesn't say. */
  readonly brought: {
    readonly path: string;
    readonly columns: readonly string[] | null;
    readonly classes: readonly string[] | null;
  } | null;
  /** Rows are put into clusters; there is nothing to predict. */
  readonly clustering: { readonly clusters?: number; readonly seed?: number; readonly ignore?: readonly string[] } | null;
}

export type ExportFormat = 'onnx' | 'json' | 'js';

/** A trained model in a file that has no name of its own yet. */
export interface Trained {
  readonly path: string;
  readonly hash: string;
  readonly bytes: number;
  readonly file: ModelFile;
}

/** Where a training stands, for those who watch it. */
export interface TrainingState {
  readonly job: string;
  readonly model: string;
  readonly who: string;
  state: 'reading' | 'waiting' | 'training' | 'checking';
  progress: Progress | null;
}

/** What models need of files and processes; the platform provides it. */
export interface Workshop {
  /** Trains in a process of its own. `stop` ends the search and keeps the best; `cancel` ends it with nothing (MODEL_STOPPED). Errors: LEARN_*, MODEL_MEMORY, MODEL_TRAINER. */
  train(order: TrainingOrder, onProgress: (progress: Progress) => void, stop: AbortSignal, cancel: AbortSignal): Promise<Trained>;
  /** Compares the golden answers with those that SQL gave, and with those of the other targets: row by row as over HTTP, the exported script in a process of its own. MODEL_GOLDEN. */
  prove(file: ModelFile, inSql: readonly (readonly number[])[]): Promise<void>;
  /** The version that `name`, `schema.name`, `name@2` or `name@alias` means; the champion without either. MODEL_UNKNOWN. */
  find(models: readonly ModelEntry[], spelled: string): { entry: ModelEntry; version: Version };
  /** Columns [rows] → answers [rows × width]: class probabilities in the model's order, values, or distances to clusters. Errors: MODEL_INPUT, MODEL_ONNX. */
  answerer(file: ModelFile): (columns: readonly ColumnData[]) => Float64Array;
  /** The columns with those that the model's features make. */
  features(file: ModelFile, columns: readonly ColumnData[]): readonly ColumnData[];
  /** Writes a model below the workspace's folder of models, once the golden rows came out right there. Errors: MODEL_EXPORT, MODEL_GOLDEN, MODEL_PATH. */
  export(file: ModelFile, format: ExportFormat, path: string, overwrite: boolean): Promise<{ path: string; bytes: number }>;
  /** Gives a trained file its place. */
  place(trained: Trained, name: string, version: number): void;
  /** The file of that hash, from memory or disk. MODEL_FILE where it is gone or changed. */
  open(name: string, version: number, hash: string): ModelFile;
  /** The same as it stands on disk now. */
  reopen(name: string, version: number, hash: string): ModelFile;
  /** Gives all files of a model a second name. */
  copy(from: string, to: string): void;
  /** Forgets and deletes all files of a model. */
  remove(name: string): void;
  discard(trained: Trained): void;
}

/** One version as the registry knows it. */
export interface Version {
  readonly version: number;
  readonly created: string;
  readonly by: string;
  readonly type: string;
  readonly task: ModelFile['model']['task'];
  readonly target: string;
  readonly query: string;
  readonly transform: string | null;
  readonly options: string;
  /** The newest batch of the warehouse when the rows were read. */
  readonly batch: number;
  readonly rows: number;
  readonly metrics: readonly { readonly metric: string; readonly value: number; readonly error: number }[];
  readonly hash: string;
  readonly bytes: number;
}

/** A model with its versions, newest first, and what its aliases name. */
export interface ModelEntry {
  readonly name: string;
  readonly versions: readonly Version[];
  readonly aliases: Readonly<Record<string, number>>;
  readonly settings: Settings;
}

/** What ALTER MODEL sets. `log_topic` and `log_share` (0–1): which of the requests over HTTP are kept as records. */
export interface Settings {
  readonly description?: string | null;
  readonly log_topic?: string | null;
  readonly log_share?: number;
}

/** One training, whatever became of it. */
export interface Run {
  readonly job: string;
  readonly model: string;
  readonly who: string;
  readonly started: string;
  readonly ended: string;
  readonly state: 'done' | 'failed';
  readonly version: number | null;
  readonly error: ErrorBody | null;
}
