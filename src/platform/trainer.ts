/**
 * The trainer child: one training, at low priority, in a process that can be ended without harm to anything else. It is told its
 * order by its argument, says how far it is over IPC, and leaves a model file beside those that serve.
 */
import { availableParallelism, constants, setPriority } from 'node:os';
import { dirname } from 'node:path';
import {
  type ClusterModel,
  clusterFigures,
  distancesWithin,
  type ModelFile,
  type Profile,
  referenceOf,
  type TrainingOrder,
} from '#analyze';
import { asMillraceError, type Bytes, type Clock, clockOf, type ErrorBody, fail } from '#core';
import { assign, type ClusterOptions, type ColumnData, cluster, lendHelpers, type Model, type Plan, type Progress, train } from '#learn';
import { startPool } from '#run';
import { readParquetArrays } from '#store';
import { readBelow } from './models/exports.ts';
import { fitFeatures, makesCategories, withFeatures } from './models/features.ts';
import { writeAside } from './models/file.ts';
import { recordGolden } from './models/golden.ts';
import { bring } from './models/onnx/brought.ts';

export interface TrainerOrder extends Omit<TrainingOrder, 'brought'> {
  /** `place` is where the path leads to. */
  readonly brought: (NonNullable<TrainingOrder['brought']> & { readonly place: string }) | null;
  readonly path: string;
  /** Days and hours of instants are those of this zone. */
  readonly timeZone: string;
  readonly memory: Bytes;
}

export type FromTrainer =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'trained'; readonly hash: string; readonly bytes: number }
  | { readonly kind: 'failed'; readonly error: ErrorBody };

/** Beyond four threads a level of a tree is too small to share. */
const MOST_HELPERS = 3;
/** How often progress is told. */
const TELL = 200;
/** DuckDB has one type of times that are instants. */
const isInstant = ({ type }: { readonly type: string }): boolean => type === 'TIMESTAMP WITH TIME ZONE';

const isPlain = (clock: Clock): boolean => clock.every(([, ahead]) => ahead === 0);

async function main(order: TrainerOrder): Promise<FromTrainer> {
  setPriority(constants.priority.PRIORITY_LOW);
  process.on('disconnect', () => process.exit(1));
  // Ctrl-C in a terminal reaches the whole group; the warehouse decides when this process ends.
  process.on('SIGINT', () => {});
  // A thread each for this one and its helpers; how many there are changes the time, never the model.
  lendHelpers(startPool(Math.min(MOST_HELPERS, availableParallelism() - 1)));
  const stop = new AbortController();
  process.on('message', () => stop.abort());
  const { brought, parquet } = order;
  if (brought !== null) return { kind: 'trained', ...writeAside(order.path, broughtFile(order, brought)) };
  if (parquet === null) return fail('MODEL_EMPTY', { what: `the model "${order.name}"` });
  const block = await readParquetArrays(parquet, dirname(parquet), order.memory / 2);
  if (block.rows === 0) fail('MODEL_EMPTY', { what: `the model "${order.name}"` });
  const clock = order.columns.some(isInstant) ? clockOf(order.timeZone) : [];
  const columns = order.columns.map((input, k): ColumnData => {
    const clocked = isInstant(input) && !isPlain(clock) ? { clock } : {};
    return { ...block.columns[k]!, kind: input.kind, name: input.name, ...clocked } as ColumnData;
  });
  const features = fitFeatures(order.features, columns);
  const learned = withFeatures(features, columns).filter(({ name }) => features.some(({ as }) => as === name) || !order.raw.includes(name));
  const categories = features.filter(({ does }) => makesCategories(does)).map(({ as }) => as);
  const model =
    order.clustering === null
      ? await trained({ ...order.plan, categories }, learned, stop.signal)
      : clustered({ ...order.clustering, categories }, learned);
  const { encoders } = model.format === 'clusters' ? model.clusters : model;
  const read = new Set(encoders.map(({ column }) => column));
  const made = features.filter(({ as }) => read.has(as));
  for (const { as } of made) read.delete(as);
  const used = new Set([...read, ...made.flatMap((feature) => feature.columns)]);
  const inputs = order.columns.filter(({ name }) => used.has(name));
  const file: ModelFile = {
    format: 'millrace-model-file',
    version: 1,
    name: order.name,
    created: new Date().toISOString(),
    type: order.type,
    plan: order.plan,
    inputs,
    target:
      model.format === 'clusters'
        ? { name: model.target, type: 'BIGINT', kind: 'number' }
        : order.columns.find(({ name }) => name === order.plan.target)!,
    transform: order.transform,
    features: made,
    model,
    golden: recordGolden(model, made, inputs, columns),
    profile: columns.filter(({ name }) => used.has(name)).map(profileOf),
  };
  return { kind: 'trained', ...writeAside(order.path, file) };
}

function trained(plan: Plan, columns: readonly ColumnData[], stop: AbortSignal): Promise<Model> {
  let told = 0;
  const tell = (progress: Progress): void => {
    if (performance.now() - told < TELL) return;
    told = performance.now();
    say({ kind: 'progress', progress });
  };
  return train(plan, columns, tell, stop);
}

function clustered(order: ClusterOptions, columns: readonly ColumnData[]): ClusterModel {
  const clusters = cluster(columns, order);
  const figures = clusterFigures(clusters, distancesWithin(assign(clusters, columns), clusters.sizes.length));
  const head = { format: 'clusters', task: 'clustering', target: 'centroid_id', targetKind: 'number', report: null } as const;
  return { ...head, classes: clusters.sizes.map((_, k) => String(k + 1)), clusters, figures };
}

/** Read here, where a file that asks for too much memory ends nothing but this process. */
function broughtFile(order: TrainerOrder, brought: NonNullable<TrainerOrder['brought']>): ModelFile {
  const { name, type, plan } = order;
  const made = bring(readBelow(brought.place, brought.path), { target: plan.target, columns: brought.columns, classes: brought.classes });
  const target = {
    name: plan.target,
    type: made.model.targetKind === 'text' ? 'VARCHAR' : made.model.classes ? 'BIGINT' : 'DOUBLE',
    kind: made.model.targetKind,
  };
  const head = { format: 'millrace-model-file', version: 1, created: new Date().toISOString() } as const;
  return { ...head, name, type, plan, target, transform: null, profile: [], ...made };
}

function profileOf(column: ColumnData): Profile {
  if (column.kind === 'text') {
    const known = column.values.filter((value) => value !== null);
    const reference = referenceOf(column);
    const none = { reference, min: null, max: null, mean: null, median: null, stddev: null };
    return { input: column.name, ...none, category_count: new Set(known).size, null_count: column.values.length - known.length };
  }
  const known = column.values.filter(Number.isFinite).sort();
  const mean = known.reduce((sum, value) => sum + value / known.length, 0);
  const variance = known.reduce((sum, value) => sum + (value - mean) ** 2 / known.length, 0);
  const figures = { min: known[0], max: known.at(-1), mean, median: known[(known.length - 1) >> 1], stddev: Math.sqrt(variance) };
  const shown = Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, known.length === 0 ? null : value!]));
  return {
    input: column.name,
    ...(shown as Pick<Profile, 'min'>),
    reference: referenceOf(column),
    category_count: null,
    null_count: column.values.length - known.length,
  } as Profile;
}

function say(message: FromTrainer, sent?: () => void): void {
  process.send!(message, undefined, undefined, sent);
}

const [, , order] = process.argv;
main(JSON.parse(order!) as TrainerOrder)
  .catch((thrown: unknown): FromTrainer => ({ kind: 'failed', error: asMillraceError(thrown).body }))
  .then((last) => say(last, () => process.exit(0)));
