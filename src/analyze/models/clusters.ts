/** Clusters as ML functions tell them, under BigQuery ML's names. */
import { fail } from '#core';
import { type Clusters, centroids, daviesBouldin } from '#learn';
import { name } from '#store';
import { type Asked, beside, misfit, scoredInput } from './asked.ts';
import type { ClusterModel } from './model.ts';

/** Rows by their nearest cluster: how many, and the sums of their distances to it and of the squares. */
export interface Within {
  readonly rows: Float64Array;
  readonly distances: Float64Array;
  readonly squares: Float64Array;
}

/** Adds rows to what is known of others. `distances` is [rows × clusters]. */
export function distancesWithin({ distances }: { readonly distances: Float64Array }, clusters: number, before?: Within): Within {
  const within = before ?? { rows: new Float64Array(clusters), distances: new Float64Array(clusters), squares: new Float64Array(clusters) };
  for (let at = 0; at < distances.length; at += clusters) {
    const k = nearest(distances, at, clusters);
    within.rows[k]!++;
    within.distances[k]! += distances[at + k]!;
    within.squares[k]! += distances[at + k]! ** 2;
  }
  return within;
}

export function clusterFigures(clusters: Clusters, { rows, distances, squares }: Within): ClusterModel['figures'] {
  const sum = (of: Float64Array): number => of.reduce((total, each) => total + each, 0);
  const scatter = distances.map((total, k) => (rows[k] === 0 ? Number.NaN : total / rows[k]!));
  return { davies_bouldin_index: daviesBouldin(clusters, scatter), mean_squared_distance: sum(squares) / sum(rows) };
}

function nearest(distances: Float64Array, at: number, clusters: number): number {
  let best = 0;
  for (let k = 1; k < clusters; k++) if (distances[at + k]! < distances[at + best]!) best = k;
  return best;
}

const clustersOf = (asked: Asked): ClusterModel =>
  asked.file.model.format === 'clusters' ? asked.file.model : misfit(asked, 'it has no clusters; CREATE MODEL with model_type = KMEANS');

/** Each row with the number of its cluster, and its distance to each (in standard deviations), the nearest first. */
export async function predictClusters(asked: Asked): Promise<void> {
  const { reader, as } = asked;
  const count = clustersOf(asked).classes.length;
  if (asked.call.settings['threshold'] !== undefined) misfit(asked, 'a threshold needs two classes');
  const answers = `${as}_p`;
  const columns = (distances: Float64Array) =>
    Array.from({ length: count }, (_, k) => ({
      name: `d${k}`,
      kind: 'number' as const,
      values: Float64Array.from({ length: distances.length / count }, (_row, row) => distances[row * count + k]!),
    }));
  await reader.append(answers, columns(new Float64Array(0)));
  for await (const block of scoredInput(asked, false)) await reader.append(answers, columns(block.answers));
  const own = clusterSql(count, (k) => `p.d${k}`);
  const names = own.map((column) => column.name);
  await reader.own(
    `CREATE TEMP VIEW ${name(as)} AS SELECT ${own.map((column) => `${column.sql} AS ${column.name}`).join(', ')}${beside(asked, names)}
      FROM ${name(asked.input!.table)} t POSITIONAL JOIN ${name(answers)} p`,
  );
}

/** The columns of a row's cluster, over its distances to all. */
export function clusterSql(count: number, distance: (k: number) => string): { name: string; sql: string }[] {
  // A list is sorted by its structs' first field: the distance leads while it is sorted.
  const led = Array.from({ length: count }, (_, k) => `{'distance': ${distance(k)}, 'centroid_id': ${k + 1}::BIGINT}`);
  const sorted = `list_sort([${led.join(', ')}])`;
  return [
    { name: 'centroid_id', sql: `${sorted}[1].centroid_id` },
    { name: 'nearest_centroids_distance', sql: `[{'centroid_id': each.centroid_id, 'distance': each.distance} FOR each IN ${sorted}]` },
  ];
}

export async function evaluateClusters(asked: Asked): Promise<void> {
  const model = clustersOf(asked);
  let figures = model.figures;
  if (asked.input !== null) {
    let within: Within | undefined;
    for await (const { answers } of scoredInput(asked, false))
      within = distancesWithin({ distances: answers }, model.classes.length, within);
    if (within === undefined) return fail('MODEL_EMPTY', { what: 'ML.EVALUATE' });
    figures = clusterFigures(model.clusters, within);
  }
  await asked.reader.append(
    asked.as,
    Object.entries(figures).map(([metric, value]) => ({ name: metric, kind: 'number' as const, values: Float64Array.of(value) })),
  );
}

/** A row for each cluster and feature; for categories the share of each level in `categorical_value`. */
export async function clusterCentroids(asked: Asked): Promise<void> {
  const { reader, as } = asked;
  const { clusters } = clustersOf(asked);
  const rows = centroids(clusters).flatMap(({ shares, ...each }) =>
    (shares ?? [{ category: null, share: Number.NaN }]).map((level) => ({ ...each, ...level })),
  );
  const table = `${as}_c`;
  await reader.append(table, [
    { name: 'centroid_id', kind: 'number', values: Float64Array.from(rows, ({ cluster }) => cluster) },
    { name: 'feature', kind: 'text', values: rows.map(({ feature }) => feature) },
    { name: 'numerical_value', kind: 'number', values: Float64Array.from(rows, ({ mean }) => mean ?? Number.NaN) },
    { name: 'category', kind: 'text', values: rows.map(({ category }) => category) },
    { name: 'share', kind: 'number', values: Float64Array.from(rows, ({ share }) => share) },
  ]);
  await reader.own(
    `CREATE TEMP VIEW ${name(as)} AS SELECT centroid_id::BIGINT AS centroid_id, feature, any_value(numerical_value) AS numerical_value,
      coalesce(list({'category': category, 'value': share} ORDER BY share DESC, category) FILTER (category IS NOT NULL), []) AS categorical_value
      FROM ${name(table)} GROUP BY ALL ORDER BY centroid_id, feature`,
  );
}
