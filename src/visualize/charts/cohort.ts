import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { label, number } from '../data.ts';
import { formatter } from '../format.ts';
import { ink } from '../theme.ts';
import { heatmap } from './heatmap.ts';

export const cohort: Chart = {
  name: 'cohort',
  title: 'Cohorts',
  summary: 'A row a cohort, a column a period since its start, the figure written in each cell.',
  options: [],
  fit: ({ times, ordinals, categories, measures, rows }) =>
    times === 1 && categories === 0 && ordinals === 0 && measures === 2 && rows > 6 ? 0.3 : 0,
  draw(drawing) {
    const { data, spec, look } = drawing;
    const { x: start } = drawing.encoding;
    const [period, value] = spec.series === undefined ? drawing.encoding.y : [drawing.encoding.series!, drawing.encoding.y[0]];
    if (start === null || period === undefined || value === undefined || value === null)
      return fail('CHART_SHAPE', { chart: spec.kind, needs: 'the cohort, the period since its start, and a number' });
    const picture = heatmap.draw({ ...drawing, encoding: { x: period, series: start, y: [value], size: null } });
    if (picture.kind !== 'option') return picture;
    const format = formatter(look, spec.unit, true);
    const [series] = picture.option.series as { data: (number | null)[][] }[];
    const [low, high] = extent(series!.data.map((cell) => cell[2] ?? null));
    // On a strong shade the figure takes the ground's colour.
    const strong = (value: number | null) => value !== null && high > low && (value - low) / (high - low) > 0.55;
    const cells = series!.data.map((value) => ({
      value,
      ...(strong(value[2] ?? null) && { label: { color: look.dark ? ink(look).ground : '#ffffff' } }),
    }));
    const few = new Set(data.rows.map((row) => label(row[period]))).size * 44 < look.width;
    const values = {
      show: few,
      fontSize: 11,
      color: ink(look).text,
      formatter: (cell: { value: (number | null)[] }) => format(number(cell.value[2])),
    };
    return { ...picture, option: { ...picture.option, series: [{ ...series, data: cells, label: values }] as never } };
  },
};

/** As the shades go: from 0, or from what is below it. */
function extent(values: readonly (number | null)[]): [number, number] {
  return values.reduce<[number, number]>(([low, high], value) => [Math.min(low, value ?? low), Math.max(high, value ?? high)], [0, 0]);
}
