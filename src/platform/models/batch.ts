/** Many rows from JSON at once, as columns: half the work of a row at a time, and the same bits. */
import type { ModelFile } from '#analyze';
import type { ColumnData } from '#learn';
import { columnAnswerer } from './answers.ts';

export type JsonRow = Readonly<Record<string, unknown>>;

export interface BatchAnswerer {
  /** Answers [rows × width], or null where the rows have to be asked one by one, which also says what is wrong with which. */
  answer(rows: readonly JsonRow[]): Float64Array | null;
  /** Fewer rows are answered as fast one by one; with more the loop would be held for more than some milliseconds. */
  readonly least: number;
  readonly most: number;
}

/** Trees answer in two microseconds a row, once there are enough rows for masks; words of free texts take a hundred. */
const TREES = { least: 256, most: 512 };
const OTHERS = { least: 16, most: 128 };

/** Null for models that read rows in a way of their own: those that were brought, clusters, and those with feature functions. */
export function batchAnswerer(file: ModelFile): BatchAnswerer | null {
  const { model, features = [] } = file;
  if (model.format !== 'millrace-model' || features.length > 0 || model.encoders.length === 0) return null;
  const answer = columnAnswerer(file);
  const names = [...new Set(model.encoders.map(({ column }) => column))];
  const named = (of: (typeof model.encoders)[number]['kind']) =>
    new Set(model.encoders.filter(({ kind }) => kind === of).map(({ column }) => column));
  const [numbers, times] = [named('number'), named('time')];
  return {
    ...(model.learned.kind === 'trees' ? TREES : OTHERS),
    answer(rows) {
      const met = new Uint8Array(rows.length);
      const columns: ColumnData[] = [];
      for (const name of names) {
        const column = columnOf(rows, name, numbers.has(name), met);
        if (column === null) return null;
        // Epoch milliseconds, as a row's own reader takes them.
        columns.push(column.kind === 'number' && times.has(name) ? { ...column, kind: 'time' } : column);
      }
      return met.includes(0) ? null : answer(columns);
    },
  };
}

/**
 * A column whose values are all numbers or all texts, beside missing ones; null for any other. Flags are numbers where the model reads
 * numbers; as categories they have a spelling that only the row's own reader knows. `met` is set for rows that have the name.
 */
function columnOf(rows: readonly JsonRow[], name: string, flags: boolean, met: Uint8Array): ColumnData | null {
  const numbers = new Float64Array(rows.length).fill(Number.NaN);
  let texts: (string | null)[] | null = null;
  let numeric = false;
  for (let at = 0; at < rows.length; at++) {
    const value = rows[at]![name];
    if (value === undefined) continue;
    met[at] = 1;
    if (value === null) continue;
    if (typeof value === 'string') {
      texts ??= new Array<string | null>(rows.length).fill(null);
      texts[at] = value;
    } else if (typeof value === 'number' || (flags && typeof value === 'boolean')) {
      numbers[at] = Number(value);
      numeric = true;
    } else return null;
  }
  if (texts === null) return { name, kind: 'number', values: numbers };
  return numeric ? null : { name, kind: 'text', values: texts };
}
