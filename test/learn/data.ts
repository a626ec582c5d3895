import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type ColumnData, type Model, predict, type Report } from '#learn';
import { areaUnderRoc } from '../../src/learn/metrics.ts';

const ROOT = process.env['MILLRACE_DATA'] ?? join(dirname(import.meta.dirname), '..', '..', 'shared', 'data');

/** The reason to skip a test on real data, or false where the data is there. */
export const withoutData: string | false = existsSync(join(ROOT, 'INDEX.md')) ? false : 'real data is absent (MILLRACE_DATA)';

export function readText(path: string): string {
  return readPacked(path).toString('utf8');
}

/** A file's bytes, unpacked where its name ends in .gz. */
export function readPacked(path: string): Buffer {
  const bytes = readFileSync(join(ROOT, path));
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

/** A table without quoted separators as columns: numbers where every value is one, else text. `?` and blanks are missing. */
export function readTable(path: string, separator: string | RegExp, header: readonly string[] | null): ColumnData[] {
  const lines = readText(path)
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '');
  const names = header ?? lines.shift()!.split(separator);
  const rows = lines.map((line) => line.split(separator).map((value) => value.trim()));
  return names.map((name, at) =>
    typed(
      name.trim(),
      rows.map((row) => row[at] ?? ''),
    ),
  );
}

function typed(name: string, values: readonly string[]): ColumnData {
  const known = values.map((value) => (value === '' || value === '?' ? null : value));
  if (known.every((value) => value === null || Number.isFinite(Number(value)))) {
    return { name, kind: 'number', values: Float64Array.from(known, (value) => (value === null ? Number.NaN : Number(value))) };
  }
  return { name, kind: 'text', values: known };
}

export function numbers(name: string, values: readonly number[]): ColumnData {
  return { name, kind: 'number', values: Float64Array.from(values) };
}

export function texts(name: string, values: readonly (string | null)[]): ColumnData {
  return { name, kind: 'text', values };
}

/** Rows [from, to) of a table. */
export function slice(columns: readonly ColumnData[], from: number, to?: number): ColumnData[] {
  return columns.map((column) => ({ ...column, values: column.values.slice(from, to) }) as ColumnData);
}

/** Seeded numbers in [0, 1) that share nothing with the code under test: a multiplicative congruential generator (Park, Miller 1988). */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/** A held-out score of the report. */
export const score = (report: Report, metric: string): number => report.scores.find((f) => f.metric === metric)!.value;

/** Area under the ROC curve of the second class on rows the model has never seen. */
export function auc(model: Model, columns: readonly ColumnData[], isPositive: (label: string | number) => boolean): number {
  const answers = predict(model, columns).columns.at(-1)!.values as Float64Array;
  const truth = columns.find((c) => c.name === model.target)!.values;
  const labels = Float64Array.from({ length: truth.length }, (_, i) => (isPositive(truth[i]!) ? 1 : 0));
  const judged = { truth: labels, weights: labels.map(() => 1), answers, width: 1 };
  return areaUnderRoc(judged)(judged);
}
