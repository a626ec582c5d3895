/** Answers over HTTP in the front: pure JavaScript, from models at hand. A new champion answers the golden rows before it takes over. */
import type { ClusterModel, ExportFormat, ModelEntry, ModelFile, Version } from '#analyze';
import { type Bytes, fail, MillraceError, newLine } from '#core';
import { type Explainer, explainer, type Prediction, predictionOf } from '#learn';
import { type RowAnswerer, rowAnswerer } from './answers.ts';
import { type BatchAnswerer, batchAnswerer } from './batch.ts';
import { exported } from './exports.ts';
import { withFeatures } from './features.ts';
import { replayRows } from './golden.ts';
import { findVersion, openShelf } from './shelf.ts';

export type PredictedRow = Readonly<Record<string, unknown>>;

export interface Served {
  readonly model: string;
  readonly version: number;
  readonly predictions: readonly PredictedRow[];
}

export interface ModelServer {
  /** What the warehouse says there is. */
  models(): readonly ModelEntry[];
  update(models: readonly ModelEntry[]): void;
  /** Errors: MODEL_UNKNOWN, MODEL_FILE, MODEL_GOLDEN, MODEL_TRANSFORM, MODEL_INPUT, MODEL_EXPLAIN, STORE_UNAVAILABLE before the list is known. */
  predict(model: string, rows: readonly Readonly<Record<string, unknown>>[], explained: boolean): Promise<Served>;
  /** What its file tells of a version. Errors: MODEL_UNKNOWN, MODEL_FILE. */
  about(model: string): { entry: ModelEntry; version: number; facts: Facts };
  /** The model as a file that gave the golden answers; JSON has them in it only `withRows`. Errors: MODEL_EXPORT, MODEL_TRANSFORM, MODEL_GOLDEN. */
  exported(model: string, format: ExportFormat, withRows?: boolean): Promise<Buffer>;
}

type Facts = Pick<ModelFile, 'inputs' | 'profile'> &
  Pick<ModelFile['model'], 'report' | 'classes'> & { readonly clusters: ClusterModel['clusters']['sizes'] | null };

interface Ready {
  readonly file: ModelFile;
  readonly answer: RowAnswerer;
  readonly together: BatchAnswerer | null;
  /** Unpacked when it is first asked for. MODEL_EXPLAIN. */
  readonly explain: () => Explainer;
}

type Serving = Pick<Version, 'version' | 'hash'>;

/** Rows between two looks at what else the loop has to do: a few milliseconds of the slowest models. */
const SLICE = 128;

/** `problem` is told of a champion that could not take over; the one before goes on serving. `room` is that of the shelf. */
export function openModelServer(dataPath: string, problem: (thrown: unknown) => void, room?: Bytes): ModelServer {
  const shelf = openShelf<Ready>(
    dataPath,
    (file) => {
      const together = batchAnswerer(file);
      replayRows(file, together);
      let own: Explainer | undefined;
      return { file, answer: rowAnswerer(file), together, explain: () => (own ??= explainerOf(file)) };
    },
    room,
  );
  const told = openShelf<Facts>(dataPath, (file) => {
    const { inputs, profile, model } = file;
    if (model.format === 'clusters') return { inputs, profile, report: null, classes: null, clusters: model.clusters.sizes };
    return { inputs, profile, report: model.report, classes: model.classes?.map((label) => labelOf(file, label)) ?? null, clusters: null };
  });
  const inLine = newLine();
  /** What serves as the champion of each model, and goes on when its successor can't be read. */
  const serving = new Map<string, Serving>();
  /** Hashes of champions that could not take over; tried again when the list is told anew. */
  const refused = new Set<string>();
  let list: readonly ModelEntry[] | null = null;

  function known(): readonly ModelEntry[] {
    return list ?? fail('STORE_UNAVAILABLE');
  }

  /** What serves of a model once its champion is tried, if that is another than before. */
  function championOf(entry: ModelEntry): Serving | undefined {
    const number = entry.aliases['champion'];
    const version = entry.versions.find((each) => each.version === number);
    const before = serving.get(entry.name);
    if (version === undefined || before?.hash === version.hash) return before;
    if (before !== undefined && refused.has(version.hash)) return before;
    try {
      shelf.get(entry.name, version.version, version.hash);
      serving.set(entry.name, version);
      return version;
    } catch (thrown) {
      problem(thrown);
      refused.add(version.hash);
      if (before === undefined) throw thrown;
      return before;
    }
  }

  function find(model: string): { version: number; ready: Ready } {
    const { entry, version: asked } = findVersion(known(), model);
    const champion = asked.version === entry.aliases['champion'] && !/@\d+$/.test(model);
    const { version, hash } = (champion ? championOf(entry) : undefined) ?? asked;
    return { version, ready: shelf.get(entry.name, version, hash) };
  }

  return {
    models: known,
    update(models) {
      list = models;
      refused.clear();
      for (const name of serving.keys()) if (!models.some((entry) => entry.name === name)) serving.delete(name);
      for (const entry of models) if (serving.has(entry.name)) championOf(entry);
    },
    async predict(model, rows, explained) {
      const { version, ready } = find(model);
      const { file, answer } = ready;
      if (file.transform !== null) fail('MODEL_TRANSFORM', { model: file.name });
      const shape = predictedShape(file);
      const predictions: PredictedRow[] = [];
      const { least, most } = ready.together ?? { least: Number.POSITIVE_INFINITY, most: 0 };
      for (let from = 0; from < rows.length; ) {
        if (from > 0) await new Promise((resolve) => setImmediate(resolve));
        const many = !explained && rows.length - from >= least ? rows.slice(from, from + most) : [];
        const answers = many.length === 0 ? null : answeredTogether(ready, many);
        if (answers !== null) {
          const width = answers.length / many.length;
          for (let row = 0; row < many.length; row++)
            predictions.push(shape(predictionOf(file.model, answers.subarray(row * width, (row + 1) * width))));
          from += many.length;
        } else {
          const few = rows.slice(from, from + SLICE);
          for (const row of few) {
            const predicted = shape(answer(row));
            // A row of a large blend takes some tens of milliseconds, in which nothing else runs.
            if (explained && predictions.length > 0) await new Promise((resolve) => setImmediate(resolve));
            predictions.push(explained ? { ...predicted, explanation: explanationOf(ready, row) } : predicted);
          }
          from += few.length;
        }
      }
      return { model: file.name, version, predictions };
    },
    about(model) {
      const { entry, version } = findVersion(known(), model);
      return { entry, version: version.version, facts: told.get(entry.name, version.version, version.hash) };
    },
    exported(model, format, withRows = false) {
      const { file } = find(model).ready;
      const made = () => exported(format === 'json' && !withRows ? { ...file, golden: { rows: [], answers: [] } } : file, format);
      // A script answers its golden rows in a process of its own: one at a time, however many ask.
      return format === 'js' ? inLine(made) : made();
    },
  };
}

/** A row that can't be read is told of by the answerer of single rows, which meets it in its turn. */
function answeredTogether({ together }: Ready, rows: readonly Readonly<Record<string, unknown>>[]): Float64Array | null {
  try {
    return together?.answer(rows) ?? null;
  } catch (thrown) {
    if (thrown instanceof MillraceError && thrown.code === 'MODEL_INPUT') return null;
    throw thrown;
  }
}

/** Named as in SQL: predicted_<target>, and the probability of each class. */
function predictedShape(file: ModelFile): (prediction: Prediction) => PredictedRow {
  const { model } = file;
  if (model.format === 'clusters') return clusterShape;
  const name = `predicted_${model.target}`;
  const flag = isFlag(file);
  const labels = model.classes?.map((label) => labelOf(file, label)) ?? null;
  return ({ value, probabilities }) => {
    const predicted: Record<string, unknown> = { [name]: flag ? value === 1 : value };
    if (probabilities === null || labels === null) return predicted;
    // An assignment to "__proto__", a label like another, would make no property.
    predicted['probabilities'] = Object.fromEntries(labels.map((label, k) => [label, probabilities[k]!]));
    return predicted;
  };
}

/** As ML.PREDICT has it: the nearest first. */
function clusterShape({ value, probabilities }: Prediction): PredictedRow {
  const distances = [...probabilities!].map((distance, k) => ({ centroid_id: k + 1, distance }));
  return { centroid_id: value, nearest_centroids_distance: distances.sort((a, b) => a.distance - b.distance) };
}

const explainerOf = ({ model }: ModelFile): Explainer =>
  model.format === 'millrace-model' ? explainer(model) : fail('MODEL_EXPLAIN', { kind: model.format });

function explanationOf({ file, explain }: Ready, row: Readonly<Record<string, unknown>>): unknown {
  const ask = explain();
  const columns = file.inputs.map(({ name, kind }) => {
    const value = Object.hasOwn(row, name) ? (row[name] ?? null) : null;
    if (kind === 'text' || typeof value === 'string')
      return { name, kind: 'text' as const, values: [value === null ? null : String(value)] };
    return { name, kind, values: Float64Array.of(value === null ? Number.NaN : Number(value)) };
  });
  return ask(withFeatures(file.features ?? [], columns)).map(({ of, scale, base, columns: moved }) => ({
    of: of === null ? null : labelOf(file, of),
    scale,
    base,
    columns: Object.fromEntries(moved.map(({ name, values }) => [name, values[0]])),
  }));
}

/** Learning knows true and false as 1 and 0. */
const isFlag = ({ target, model }: ModelFile): boolean => target.type === 'BOOLEAN' && model.classes !== null;
const labelOf = (file: ModelFile, label: string): string => (isFlag(file) ? String(label === '1') : label);
