import { fail, sha256 } from '#core';
import { pack, unpackDoubles } from './base64.ts';
import { type ColumnData, checkColumns } from './columns.ts';
import { type Encoder, encode, fitEncoders, readsClock } from './encode.ts';
import { type Design, designWriter, fitDesign, type Sparse } from './linear/design.ts';
import { mix, type Random, random, shuffled } from './random.ts';
import { type Reading, readColumn } from './read.ts';

export interface ClusterOptions {
  /** Number of clusters, 2–100; left out: the one of 2–10 with the greatest silhouette on a sample. */
  readonly clusters?: number;
  /** Columns whose texts are categories, also where each is a number or a date. */
  readonly categories?: readonly string[];
  /** Columns not to look at. */
  readonly ignore?: readonly string[];
  readonly seed?: number;
}

/** Clusters of rows: JSON as it is. Numbers count by their standard deviations, categories as a column for each level; ids and free text not at all. */
export interface Clusters {
  readonly format: 'millrace-clusters';
  /** 2 where a time is read by a clock, which readers of version 1 don't know. */
  readonly version: 1 | 2;
  readonly encoders: readonly Encoder[];
  readonly design: Design;
  /** Packed doubles [clusters × width]. */
  readonly centroids: string;
  /** Rows of each. */
  readonly sizes: readonly number[];
  /** Mean squared distance of the rows to their centroid. */
  readonly spread: number;
  /** Mean silhouette by number of clusters, where the number was chosen. */
  readonly tried: readonly { readonly clusters: number; readonly silhouette: number }[];
  /** What was found in each column; those not looked at among them. */
  readonly columns: readonly Reading[];
  readonly hash: string;
}

const LEAST_ROWS = 10;
const MOST_CLUSTERS = 100;
const MOST_CHOSEN = 10;
const SAMPLE_ROWS = 1000;
const RUNS = 4;
const MOST_STEPS = 100;

/**
 * k-means (Lloyd 1982) from k-means++ seeds (Arthur, Vassilvitskii 2007), the best of four runs. The same columns and seed give the same
 * clusters. LEARN_COLUMNS, LEARN_FEATURES, LEARN_ROWS, LEARN_PLAN. Cost of a step: rows × clusters × values.
 */
export function cluster(columns: readonly ColumnData[], options: ClusterOptions = {}): Clusters {
  const rows = checkColumns(columns);
  const { clusters, categories = [], ignore = [], seed = 1 } = options;
  if (clusters !== undefined && !(Number.isInteger(clusters) && clusters >= 2 && clusters <= MOST_CLUSTERS))
    fail('LEARN_PLAN', { option: 'clusters', value: String(clusters), expected: `a whole number from 2 to ${MOST_CLUSTERS}` });
  const least = Math.max(LEAST_ROWS, clusters ?? 0);
  if (rows < least) fail('LEARN_ROWS', { target: 'row', rows, least });
  const readings = columns.map((column) => readColumn(column, categories.includes(column.name)));
  const outcome = { values: new Float64Array(rows), outputs: 1 };
  const looked = columns.map(({ name }, at) => !ignore.includes(name) && readings[at]!.role !== 'text');
  const encoders = fitEncoders(
    readings.filter((_, at) => looked[at]),
    columns.filter((_, at) => looked[at]),
    outcome,
  ).filter(({ kind }) => kind !== 'statistics');
  if (encoders.length === 0) fail('LEARN_FEATURES', { dropped: columns.length, columns: columns.length });
  const encoded = encode(encoders, columns);
  const design = fitDesign(encoded);
  const table = designWriter(design)(encoded);
  const tried = clusters === undefined ? silhouettes(table, seed) : [];
  const best = tried.reduce<(typeof tried)[number] | null>((a, b) => (a === null || b.silhouette > a.silhouette ? b : a), null);
  const found = bestRun(table, clusters ?? best!.clusters, seed);
  const parts = { encoders, design, centroids: pack(found.centroids), sizes: found.sizes, spread: found.spread, tried, columns: readings };
  return { format: 'millrace-clusters', version: readsClock(encoders) ? 2 : 1, ...parts, hash: hashOf(parts) };
}

function hashOf({ encoders, design, centroids, sizes }: Pick<Clusters, 'encoders' | 'design' | 'centroids' | 'sizes'>): string {
  return sha256(JSON.stringify([encoders, design, centroids, sizes]));
}

/** The value as clusters, or MODEL_INVALID: foreign, cut or changed. */
export function checkClusters(value: unknown): Clusters {
  const clusters = value as Clusters;
  if (typeof value !== 'object' || value === null || clusters.format !== 'millrace-clusters' || ![1, 2].includes(clusters.version))
    fail('MODEL_INVALID', { problem: 'it does not say "millrace-clusters" of version 1 or 2' });
  if (hashOf(clusters) !== clusters.hash) fail('MODEL_INVALID', { problem: 'its contents do not fit its hash' });
  return clusters;
}

/** The nearest cluster of each row, counted from 1, and the distance to each (in standard deviations), [rows × clusters]. MODEL_INPUT as `predict`. */
export function assign(
  clusters: Clusters,
  columns: readonly ColumnData[],
): { readonly nearest: Uint32Array; readonly distances: Float64Array } {
  const table = designWriter(clusters.design)(encode(clusters.encoders, columns));
  const squares = squaredDistances(table, unpackDoubles(clusters.centroids));
  const count = clusters.sizes.length;
  const nearest = Uint32Array.from({ length: table.rows }, (_, row) => nearestOf(squares, row, count) + 1);
  return { nearest, distances: squares.map(Math.sqrt) };
}

/**
 * How well clusters are told apart (Davies, Bouldin 1979; lower is better): for each, its worst neighbour by the mean distances of both
 * to their own centroid, over the distance between the two; the mean of all. `scatter` is the mean distance of each cluster's rows, NaN
 * for one without rows, which is left out.
 */
export function daviesBouldin(clusters: Clusters, scatter: ArrayLike<number>): number {
  const { width } = clusters.design;
  const at = unpackDoubles(clusters.centroids);
  const apart = (a: number, b: number): number => {
    let sum = 0;
    for (let k = 0; k < width; k++) sum += (at[a * width + k]! - at[b * width + k]!) ** 2;
    return Math.sqrt(sum);
  };
  const held = Array.from(scatter, (_, k) => k).filter((k) => !Number.isNaN(scatter[k]!));
  const worst = held.map((a) => Math.max(...held.filter((b) => b !== a).map((b) => (scatter[a]! + scatter[b]!) / apart(a, b))));
  return worst.reduce((sum, each) => sum + each / worst.length, 0);
}

/** What a cluster is like in one feature: a number's mean in its own unit, or the share of each category. */
export interface Centroid {
  readonly cluster: number;
  readonly feature: string;
  readonly mean: number | null;
  readonly shares: readonly { readonly category: string; readonly share: number }[] | null;
}

/** All clusters in all features: the rows of ML.CENTROIDS. */
export function centroids(clusters: Clusters): Centroid[] {
  const { design, sizes } = clusters;
  const packed = unpackDoubles(clusters.centroids);
  const empty = clusters.encoders.map(({ column }): ColumnData => ({ name: column, kind: 'text', values: [] }));
  const { features } = encode(clusters.encoders, empty);
  const rows: Centroid[] = [];
  sizes.forEach((_, k) => {
    let at = k * design.width;
    design.parts.forEach((part, f) => {
      const { name: feature, column } = features[f]!;
      const cluster = k + 1;
      if (part.kind === 'number') {
        rows.push({ cluster, feature, mean: packed[at]! * part.deviation + part.mean, shares: null });
        at += part.missing ? 2 : 1;
        return;
      }
      const encoder = clusters.encoders.find((each) => each.column === column)!;
      const name = (level: number): string => (encoder.kind === 'category' ? encoder.levels[level]! : String(level));
      const shares = Array.from({ length: part.levels }, (_v, level) => ({ category: name(level), share: packed[at + level]! }));
      rows.push({ cluster, feature, mean: null, shares });
      at += part.levels;
    });
  });
  return rows;
}

interface Run {
  readonly centroids: Float64Array;
  readonly nearest: Uint32Array;
  readonly sizes: number[];
  readonly spread: number;
}

function bestRun(table: Sparse, count: number, seed: number): Run {
  let best: Run | null = null;
  for (let run = 0; run < RUNS; run++) {
    const found = lloyd(table, seeds(table, count, random(mix(seed + run))));
    if (best === null || found.spread < best.spread) best = found;
  }
  return best!;
}

/** Each seed is a row drawn with a chance that grows with the square of its distance to the seeds before it. */
function seeds(table: Sparse, count: number, next: Random): Float64Array {
  const chosen = new Float64Array(count * table.width);
  const nearest = new Float64Array(table.rows).fill(Number.POSITIVE_INFINITY);
  let row = Math.floor(next() * table.rows);
  for (let k = 0; k < count; k++) {
    const centroid = chosen.subarray(k * table.width, (k + 1) * table.width);
    for (let p = table.starts[row]!; p < table.starts[row + 1]!; p++) centroid[table.columns[p]!] = table.values[p]!;
    const squares = squaredDistances(table, centroid);
    let total = 0;
    for (let i = 0; i < nearest.length; i++) total += nearest[i] = Math.min(nearest[i]!, squares[i]!);
    let left = next() * total;
    row = 0;
    while (row < table.rows - 1 && left >= nearest[row]!) left -= nearest[row++]!;
  }
  return chosen;
}

function lloyd(table: Sparse, start: Float64Array): Run {
  const { rows, width } = table;
  const count = start.length / width;
  const at = start.slice();
  let nearest = new Uint32Array(rows).fill(count);
  for (let step = 0; ; step++) {
    const squares = squaredDistances(table, at);
    const now = Uint32Array.from({ length: rows }, (_, row) => nearestOf(squares, row, count));
    const sizes = new Array<number>(count).fill(0);
    for (const k of now) sizes[k]!++;
    const settled = now.every((k, row) => k === nearest[row]);
    nearest = now;
    if (settled || step === MOST_STEPS) {
      const spread = now.reduce((sum, k, row) => sum + squares[row * count + k]!, 0) / rows;
      return { centroids: at, nearest, sizes, spread };
    }
    moveToMeans(table, nearest, sizes, at);
  }
}

/** A centroid without rows stays where it is. */
function moveToMeans(table: Sparse, nearest: Uint32Array, sizes: readonly number[], at: Float64Array): void {
  const { width } = table;
  sizes.forEach((size, k) => {
    if (size > 0) at.fill(0, k * width, (k + 1) * width);
  });
  nearest.forEach((k, row) => {
    for (let p = table.starts[row]!; p < table.starts[row + 1]!; p++) {
      const slot = k * width + table.columns[p]!;
      at[slot] = at[slot]! + table.values[p]! / sizes[k]!;
    }
  });
}

/** [rows × centroids]: |x|² - 2·x·c + |c|², never below 0. */
function squaredDistances(table: Sparse, at: Float64Array): Float64Array {
  const { rows, width } = table;
  const count = at.length / width;
  const own = Float64Array.from({ length: count }, (_, k) => at.subarray(k * width, (k + 1) * width).reduce((sum, c) => sum + c * c, 0));
  const squares = new Float64Array(rows * count);
  for (let row = 0; row < rows; row++) {
    const [from, to] = [table.starts[row]!, table.starts[row + 1]!];
    let length = 0;
    for (let p = from; p < to; p++) length += table.values[p]! ** 2;
    for (let k = 0; k < count; k++) {
      let along = 0;
      for (let p = from; p < to; p++) along += table.values[p]! * at[k * width + table.columns[p]!]!;
      squares[row * count + k] = Math.max(0, length - 2 * along + own[k]!);
    }
  }
  return squares;
}

function nearestOf(squares: Float64Array, row: number, count: number): number {
  let best = 0;
  for (let k = 1; k < count; k++) if (squares[row * count + k]! < squares[row * count + best]!) best = k;
  return best;
}

/** Mean silhouette (Rousseeuw 1987) for 2–10 clusters, on up to 1,000 rows. */
function silhouettes(table: Sparse, seed: number): { clusters: number; silhouette: number }[] {
  const rows = shuffled(table.rows, random(seed)).slice(0, SAMPLE_ROWS);
  const sample = sampleOf(table, rows);
  const dense = new Float64Array(sample.rows * sample.width);
  for (let row = 0; row < sample.rows; row++)
    for (let p = sample.starts[row]!; p < sample.starts[row + 1]!; p++) dense[row * sample.width + sample.columns[p]!] = sample.values[p]!;
  const apart = squaredDistances(sample, dense).map(Math.sqrt);
  const most = Math.min(MOST_CHOSEN, sample.rows - 1);
  return Array.from({ length: most - 1 }, (_, i) => {
    const { nearest, sizes } = bestRun(sample, i + 2, seed);
    return { clusters: i + 2, silhouette: silhouette(apart, nearest, sizes) };
  });
}

function silhouette(apart: Float64Array, nearest: Uint32Array, sizes: readonly number[]): number {
  const rows = nearest.length;
  let total = 0;
  for (let row = 0; row < rows; row++) {
    const sums = new Float64Array(sizes.length);
    for (let other = 0; other < rows; other++) sums[nearest[other]!] = sums[nearest[other]!]! + apart[row * rows + other]!;
    const own = nearest[row]!;
    if (sizes[own]! < 2) continue;
    const inside = sums[own]! / (sizes[own]! - 1);
    let outside = Number.POSITIVE_INFINITY;
    sums.forEach((sum, k) => {
      if (k !== own && sizes[k]! > 0) outside = Math.min(outside, sum / sizes[k]!);
    });
    const scale = Math.max(inside, outside);
    if (scale > 0 && Number.isFinite(scale)) total += (outside - inside) / scale;
  }
  return total / rows;
}

function sampleOf(table: Sparse, rows: Uint32Array): Sparse {
  const starts = new Uint32Array(rows.length + 1);
  rows.forEach((row, i) => {
    starts[i + 1] = starts[i]! + table.starts[row + 1]! - table.starts[row]!;
  });
  const columns = new Uint32Array(starts[rows.length]!);
  const values = new Float64Array(starts[rows.length]!);
  rows.forEach((row, i) => {
    columns.set(table.columns.subarray(table.starts[row]!, table.starts[row + 1]!), starts[i]!);
    values.set(table.values.subarray(table.starts[row]!, table.starts[row + 1]!), starts[i]!);
  });
  return { rows: rows.length, width: table.width, starts, columns, values };
}
