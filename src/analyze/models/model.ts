import type { ErrorBody } from '#core';
import type { Model, Plan, Progress } from '#learn';

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
  /** Expressions of TRANSFORM without those of the target, or null. */
  readonly transform: readonly string[] | null;
  readonly model: Model;
  readonly golden: Golden;
  readonly profile: readonly Profile[];
}

/** What a training process is given: a Parquet file of DOUBLE and VARCHAR columns, and what to make of it. */
export interface TrainingOrder {
  readonly name: string;
  readonly type: string;
  readonly plan: Plan;
  readonly parquet: string;
  /** All columns of the file. */
  readonly columns: readonly Input[];
  readonly transform: readonly string[] | null;
}

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
  /** Gives a trained file its place. */
  place(trained: Trained, name: string, version: number): void;
  /** The file of that hash, from memory or disk. MODEL_FILE where it is gone or changed. */
  open(name: string, version: number, hash: string): ModelFile;
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
  readonly task: 'regression' | 'classification';
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
