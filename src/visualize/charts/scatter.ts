import { fail } from '#core';
import type { Chart, Drawing, Picture } from '../chart.ts';
import { label, number, rolesOf } from '../data.ts';
import { formatter } from '../format.ts';
import { base, inside, legend, plain, tooltip } from '../frame.ts';
import { meaningOf } from '../meaning.ts';
import { ink, mostSeries } from '../theme.ts';

/** More points than pixels to tell them apart only cost time. */
const mostPoints = 20_000;

export const scatter: Chart = {
  name: 'scatter',
  title: 'Scatter',
  summary: 'Two numbers against each other, a point a row.',
  options: [],
  fit: ({ measures, rows, times }) => (measures >= 2 && rows > 2 && times === 0 ? (rows > 20 ? 0.65 : 0.45) : 0),
  draw: (drawing) => points(drawing, false),
};

/** Points by two measures; `sized` makes the third their area. */
export function points({ data, spec, encoding, look }: Drawing, sized: boolean): Picture {
  const roles = rolesOf(data);
  const numeric = roles.flatMap((role, at) => (role === 'measure' || role === 'ordinal' ? [at] : []));
  const named = spec.x === undefined ? null : encoding.x;
  const x = named ?? numeric[0];
  const [y, size] = (encoding.y.length > 0 && spec.y !== undefined ? encoding.y : numeric.filter((at) => at !== x)) as (
    | number
    | undefined
  )[];
  const area = encoding.size ?? size;
  if (x === undefined || y === undefined || (sized && area === undefined))
    return fail('CHART_SHAPE', { chart: spec.kind, needs: sized ? 'three columns with numbers' : 'two columns with numbers' });
  const group = encoding.series ?? roles.indexOf('category');
  const largest = sized ? Math.max(...data.rows.slice(0, mostPoints).map((row) => Math.abs(number(row[area!]) ?? 0)), 1e-12) : 1;
  const groups = new Map<string, { value: (number | string | null)[]; row: readonly unknown[] }[]>();
  for (const row of data.rows.slice(0, mostPoints)) {
    const all = roles.filter((role) => role === 'category').length;
    const name = group >= 0 && all > 0 ? label(row[group]) : '';
    const list = groups.get(name) ?? [];
    groups.set(name, list);
    list.push({ value: [number(row[x]), number(row[y]), sized ? number(row[area!]) : null, name], row });
  }
  // One point a name is a label, not a series.
  const together = groups.size > mostSeries;
  const series = together ? [['', [...groups.values()].flat()] as const] : [...groups];
  const format = formatter(look, undefined);
  const short = formatter(look, undefined, true);
  const axis = (name: string, gap: number) => ({
    type: 'value' as const,
    scale: true,
    name: plain(name),
    nameLocation: 'middle' as const,
    nameGap: gap,
    nameTextStyle: { color: ink(look).faint },
    axisLabel: { color: ink(look).faint, fontSize: 11, formatter: (value: number) => short(value) },
    splitLine: { lineStyle: { color: ink(look).line } },
    axisLine: { lineStyle: { color: ink(look).line } },
  });
  const many = data.rows.length > 2000;
  return {
    kind: 'option',
    // A point is its row; what it is called by is its group.
    means: ({ series: its, at }) => {
      const row = series[its]?.[1][at]?.row;
      const whole = row === undefined ? null : meaningOf(data, [...row.entries()]);
      return whole && { row: whole.row, by: group >= 0 ? [data.columns[group]!.name] : [] };
    },
    notes: data.rows.length > mostPoints ? [{ kind: 'rows_left_out', count: data.rows.length - mostPoints }] : [],
    option: {
      ...base(look),
      grid: { left: 24, right: 16, top: series.length > 1 ? 34 : 12, bottom: 24, ...inside },
      legend: series.length > 1 ? { ...legend(look), top: 0 } : { show: false },
      tooltip: {
        ...tooltip(look),
        trigger: 'item',
        formatter: (hovered) => {
          const [a, b, c, name] = (hovered as unknown as { value: (number | string | null)[] }).value;
          const lines = [`${data.columns[x]!.name}  ${format(a as number)}`, `${data.columns[y]!.name}  ${format(b as number)}`];
          if (sized) lines.push(`${data.columns[area!]!.name}  ${format(c as number)}`);
          return [...(name ? [plain(String(name))] : []), ...lines.map(plain)].join('\n');
        },
      },
      xAxis: axis(data.columns[x]!.name, 26),
      yAxis: axis(data.columns[y]!.name, 44),
      series: series.map(([name, values]) => ({
        type: 'scatter' as const,
        name,
        data: values.map(({ value }) => value) as never,
        // Area, not width, is what the eye compares.
        symbolSize: sized ? (value: number[]) => 6 + 34 * Math.sqrt(Math.abs(value[2] ?? 0) / largest) : many ? 4 : 8,
        itemStyle: { opacity: many ? 0.4 : 0.7 },
      })),
    },
  };
}
