import type { Column } from '#core';
import { type ColumnData, type TargetCandidate, targetCandidates } from '#learn';

/** Types that have a number or a text of their own: a time, a list or a structure is not predicted. The front can't ask `#analyze`, which opens DuckDB. */
const NUMBER = /^(U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\)|BOOLEAN)$/;
const TEXT = /^(VARCHAR|ENUM\(.*\))$/;

/** Which columns of rows, as a query answers them in JSON, could be predicted: the likeliest first. What Millrace adds to a table is none. */
export function targetsOf(columns: readonly Column[], rows: readonly (readonly unknown[])[]): TargetCandidate[] {
  const read = columns.flatMap(({ name, type }, at): ColumnData[] => {
    if (!(NUMBER.test(type) || TEXT.test(type)) || name.startsWith('_')) return [];
    const values = rows.map((row) => row[at] ?? null);
    if (TEXT.test(type)) return [{ name, kind: 'text', values: values.map((value) => (value === null ? null : String(value))) }];
    return [{ name, kind: 'number', values: Float64Array.from(values, (value) => (value === null ? Number.NaN : Number(value))) }];
  });
  return targetCandidates(read);
}
