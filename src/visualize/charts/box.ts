import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { label, number } from '../data.ts';
import { formatter } from '../format.ts';
import { axes, plain } from '../frame.ts';
import { keep, meaningOf } from '../meaning.ts';
import { hue } from '../theme.ts';

const mostBoxes = 30;

export const box: Chart = {
  name: 'box',
  title: 'Box plot',
  summary: 'The spread of a number by category: quartiles, and whiskers to the farthest value within 1.5 of their distance.',
  options: [],
  fit: ({ categories, measures, rows, values }) => (categories === 1 && measures === 1 && rows >= 5 * (values[0] ?? rows) ? 0.75 : 0),
  draw(drawing) {
    const { data, encoding, spec, look } = drawing;
    const column = encoding.y[0];
    if (column === undefined) return fail('CHART_SHAPE', { chart: spec.kind, needs: 'a column with numbers' });
    const groups = new Map<string, number[]>();
    const cells = new Map<string, unknown>();
    for (const row of data.rows) {
      const value = number(row[column]);
      if (value === null) continue;
      const name = encoding.x === null ? data.columns[column]!.name : label(row[encoding.x]);
      if (encoding.x !== null) keep(cells, name, row[encoding.x]);
      const list = groups.get(name);
      if (list === undefined) groups.set(name, [value]);
      else list.push(value);
    }
    const shown = [...groups].slice(0, mostBoxes).map(([name, values]) => ({ name, summary: summary(values) }));
    const means = (_: number, step: number) =>
      encoding.x === null || shown[step] === undefined ? null : meaningOf(data, [[encoding.x, cells.get(shown[step].name)]]);
    const steps = { kind: 'category' as const, steps: shown.map(({ name }) => name), series: [], notes: [], withTime: false, means };
    const series = [
      {
        type: 'boxplot' as const,
        name: data.columns[column]!.name,
        data: shown.map((group) => group.summary),
        itemStyle: { color: 'transparent', borderColor: hue(look, 0) },
      },
    ];
    const picture = axes(drawing, steps, series);
    if (picture.kind !== 'option') return picture;
    const format = formatter(look, spec.unit);
    const names = ['min', 'q1', 'median', 'q3', 'max'];
    const hover = (hovered: unknown) => {
      const group = shown[(Array.isArray(hovered) ? hovered[0] : hovered).dataIndex];
      return group === undefined
        ? ''
        : [plain(group.name), ...group.summary.map((value, at) => `${names[at]}  ${format(value)}`)].join('\n');
    };
    const left = groups.size - shown.length;
    return {
      ...picture,
      option: { ...picture.option, tooltip: { ...(picture.option.tooltip as object), formatter: hover } },
      notes: left > 0 ? [{ kind: 'values_left_out', count: left }] : [],
    };
  },
};

/** Whiskers after Tukey (1977), quartiles by linear interpolation. */
export function summary(values: readonly number[]): number[] {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => {
    const place = (sorted.length - 1) * share;
    const low = Math.floor(place);
    return sorted[low]! + (place - low) * ((sorted[low + 1] ?? sorted[low]!) - sorted[low]!);
  };
  const [q1, q2, q3] = [at(0.25), at(0.5), at(0.75)];
  const reach = 1.5 * (q3 - q1);
  const inside = [...sorted].filter((value) => value >= q1 - reach && value <= q3 + reach);
  return [inside[0]!, q1, q2, q3, inside.at(-1)!];
}
