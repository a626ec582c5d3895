/** Golden predictions: rows whose answers were recorded in training and must come out the same wherever the model answers. */
import type { ClusterModel, Feature, Golden, Input, ModelFile } from '#analyze';
import { fail } from '#core';
import type { ColumnData, Model, Prediction } from '#learn';
import { rowAnswerer } from './answers.ts';
import { type BatchAnswerer, batchAnswerer } from './batch.ts';

export const TOLERANCE = 1e-6;

const AS_THEY_ARE = 100;
const WITH_A_HOLE = 60;
const UNSEEN = 40;
const NEVER_SEEN = '\u{1F33E} a value that was not there';

/** Picks rows of the training table evenly, adds copies with values missing and with categories that were never seen, and records the answers. */
export function recordGolden(
  model: Model | ClusterModel,
  features: readonly Feature[],
  inputs: readonly Input[],
  columns: readonly ColumnData[],
): Golden {
  const used = columns.filter((column) => inputs.some((input) => input.name === column.name));
  const total = columns[0]?.values.length ?? 0;
  const rowAt = (n: number, of: number): Record<string, number | string | null> => {
    const row = Math.floor((n * total) / of);
    return Object.fromEntries(
      used.map(({ name, values }) => {
        const value = values[row] ?? null;
        return [name, typeof value === 'number' && !Number.isFinite(value) ? null : value];
      }),
    );
  };
  const { encoders } = model.format === 'clusters' ? model.clusters : model;
  const categories = encoders
    .filter(({ kind }) => kind === 'category' || kind === 'statistics')
    .map(({ column }) => column)
    .filter((column) => inputs.some(({ name }) => name === column));
  const rows = [
    ...Array.from({ length: AS_THEY_ARE }, (_, n) => rowAt(n, AS_THEY_ARE)),
    ...Array.from({ length: WITH_A_HOLE }, (_, n) => ({ ...rowAt(n, WITH_A_HOLE), [used[n % used.length]!.name]: null })),
    ...Array.from({ length: categories.length === 0 ? 0 : UNSEEN }, (_, n) =>
      unseen(rowAt(n, UNSEEN), categories[n % categories.length]!, used),
    ),
    Object.fromEntries(used.map(({ name }) => [name, null])),
  ];
  const answer = rowAnswerer({ model, features });
  return { rows, answers: rows.map((row) => numbersOf(answer(row))) };
}

/** A category whose column holds numbers (a flag, a code) gets a number that was not there. */
function unseen(
  row: Record<string, number | string | null>,
  column: string,
  used: readonly ColumnData[],
): Record<string, number | string | null> {
  return { ...row, [column]: used.find(({ name }) => name === column)?.kind === 'text' ? NEVER_SEEN : 987_654_321 };
}

export function numbersOf({ value, probabilities }: Prediction): number[] {
  return probabilities === null ? [Number(value)] : [...probabilities];
}

/** Compares a target's answers with the recorded ones. MODEL_GOLDEN at the first that differs by more than 1e-6. */
export function compareGolden(file: ModelFile, target: string, answers: readonly (readonly number[])[]): void {
  file.golden.answers.forEach((expected, row) => {
    const got = answers[row] ?? [];
    const fits =
      expected.length === got.length && expected.every((value, k) => Math.abs(value - got[k]!) <= TOLERANCE * Math.max(1, Math.abs(value)));
    if (!fits) fail('MODEL_GOLDEN', { model: file.name, target, row: row + 1, got: got.join(' '), expected: expected.join(' ') });
  });
}

/** Replays row by row, from JSON as a request brings them, and all together as a large request is answered. MODEL_GOLDEN. */
export function replayRows(file: ModelFile, together: Pick<BatchAnswerer, 'answer'> | null = batchAnswerer(file)): void {
  const answer = rowAnswerer(file);
  const rows = JSON.parse(JSON.stringify(file.golden.rows)) as Record<string, unknown>[];
  compareGolden(
    file,
    'over HTTP',
    rows.map((row) => numbersOf(answer(row))),
  );
  const answers = together?.answer(rows) ?? null;
  if (answers === null) return;
  const width = answers.length / rows.length;
  compareGolden(
    file,
    'over HTTP, all rows at once',
    rows.map((_, row) => [...answers.subarray(row * width, (row + 1) * width)]),
  );
}
