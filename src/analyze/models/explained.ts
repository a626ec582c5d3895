/** What moved each row's answer, a few rows at a time. */
import { type ColumnData, type Explanation, explainer, type Model } from '#learn';

/** How long others may wait: a row of a large blend alone takes some tens of milliseconds. */
const SLICE_MILLIS = 20;
const MOST_ROWS = 128;

/** `explain` of all rows, with `pause` between slices of as many rows as are explained in some milliseconds; it may throw. */
export async function explained(
  model: Model,
  columns: readonly ColumnData[],
  pause: () => Promise<void>,
  now: () => number = () => performance.now(),
): Promise<Explanation[]> {
  const rows = columns[0]?.values.length ?? 0;
  const explain = explainer(model);
  const parts: Explanation[][] = [];
  for (let from = 0, most = 1; from < rows; ) {
    const to = Math.min(rows, from + most);
    const began = now();
    const slice = (column: ColumnData) => ({ ...column, values: column.values.slice(from, to) }) as ColumnData;
    parts.push(explain(columns.map(slice)));
    most = Math.max(1, Math.min(MOST_ROWS, Math.floor((most * SLICE_MILLIS) / Math.max(0.1, now() - began))));
    from = to;
    if (from < rows) await pause();
  }
  return (parts[0] ?? explain(columns)).map((first, output) => ({
    ...first,
    columns: first.columns.map((column, c) => ({
      ...column,
      values: Float64Array.from(parts.flatMap((part) => [...(part[output]!.columns[c]!.values as Float64Array)])),
    })) as ColumnData[],
  }));
}
