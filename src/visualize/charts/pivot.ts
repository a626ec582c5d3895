import type { Column } from '#core';
import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { label, number } from '../data.ts';
import { keep, meaningOf } from '../meaning.ts';
import { shadedPlaces } from './table.ts';

const mostColumns = 60;

export const pivot: Chart = {
  name: 'pivot',
  title: 'Pivot',
  summary: 'A row for each value of one column, a column for each of another, the number where they cross, and the sums.',
  options: [],
  fit: ({ categories, times, ordinals, measures, rows }) => (categories + times + ordinals === 2 && measures === 1 && rows > 3 ? 0.35 : 0),
  draw({ data, spec, encoding }) {
    const { x, series, y } = encoding;
    if (x === null || series === null || y[0] === undefined)
      return fail('CHART_SHAPE', { chart: spec.kind, needs: 'two columns to cross and one with numbers' });
    const [down, across, value] = [x, series, y[0]];
    const names = [...new Set(data.rows.map((row) => label(row[across])))];
    const shown = names.slice(0, mostColumns);
    const place = new Map(shown.map((name, at) => [name, at]));
    const [heads, tops] = [new Map<string, unknown>(), new Map<string, unknown>()];
    const lines = new Map<string, { head: unknown; cells: (number | null)[] }>();
    for (const row of data.rows) {
      const key = label(row[down]);
      const line = lines.get(key) ?? { head: row[down], cells: new Array(shown.length).fill(null) };
      lines.set(key, line);
      keep(heads, key, row[down]);
      keep(tops, label(row[across]), row[across]);
      const [at, cell] = [place.get(label(row[across])), number(row[value])];
      if (at !== undefined && cell !== null) line.cells[at] = (line.cells[at] ?? 0) + cell;
    }
    const sum = (cells: readonly (number | null)[]) =>
      cells.every((cell) => cell === null) ? null : Number(cells.reduce<number>((total, cell) => total + (cell ?? 0), 0).toPrecision(15));
    const type = data.columns[value]!.type;
    const columns: Column[] = [data.columns[down]!, ...shown.map((name) => ({ name, type })), { name: 'Σ', type }];
    const rows = [...lines.values()].map(({ head, cells }) => [head, ...cells, sum(cells)]);
    const made = { columns, rows };
    if (names.length > shown.length) columns[columns.length - 1] = { name: `Σ (${shown.length}/${names.length})`, type };
    // A sum stands for its whole line.
    const means = ([head]: readonly unknown[], column: string) =>
      meaningOf(data, [[down, heads.get(label(head))], ...(tops.has(column) ? [[across, tops.get(column)] as const] : [])]);
    return { kind: 'table', data: made, means, shaded: spec.shade === undefined ? [] : shadedPlaces(made, shown) };
  },
};
