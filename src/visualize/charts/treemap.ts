import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { label, number } from '../data.ts';
import { formatter } from '../format.ts';
import { base, plain, tooltip } from '../frame.ts';
import { keep, meaningOf } from '../meaning.ts';
import { ink } from '../theme.ts';

export const treemap: Chart = {
  name: 'treemap',
  title: 'Treemap',
  summary: 'Shares of a whole as areas, for many categories, on two levels if there is a second one.',
  options: [],
  fit: ({ categories, times, measures, negative, rows, values }) =>
    categories >= 1 && times === 0 && measures >= 1 && !negative && rows > 3 ? ((values[0] ?? 0) > 7 ? 0.5 : 0.3) : 0,
  draw({ data, spec, encoding, look }) {
    const { x, y, series } = encoding;
    if (x === null || y[0] === undefined) return fail('CHART_SHAPE', { chart: spec.kind, needs: 'a category and a column with numbers' });
    const tree = new Map<string, Map<string, number>>();
    const [cells, splits] = [new Map<string, unknown>(), new Map<string, unknown>()];
    for (const row of data.rows) {
      const value = number(row[y[0]]) ?? 0;
      if (value < 0) fail('CHART_SHAPE', { chart: spec.kind, needs: 'numbers that are not negative' });
      const inner = tree.get(label(row[x])) ?? new Map<string, number>();
      tree.set(label(row[x]), inner);
      const leaf = series === null ? '' : label(row[series]);
      inner.set(leaf, (inner.get(leaf) ?? 0) + value);
      keep(cells, label(row[x]), row[x]);
      if (series !== null) keep(splits, leaf, row[series]);
    }
    const whole = formatter(look, spec.unit);
    const nodes = [...tree].map(([name, inner]) => ({
      name,
      value: [...inner.values()].reduce((sum, value) => sum + value, 0),
      ...(series === null ? {} : { children: [...inner].map(([leaf, value]) => ({ name: leaf, value })) }),
    }));
    // The engine counts nodes before what is in them, its own root first.
    const places = [...tree].flatMap(([name, inner]): (readonly [number, unknown])[][] => {
      const own = [x, cells.get(name)] as const;
      return series === null ? [[own]] : [[own], ...[...inner.keys()].map((leaf) => [own, [series, splits.get(leaf)] as const])];
    });
    return {
      kind: 'option',
      means: ({ at }) => meaningOf(data, places[at - 1] ?? []),
      notes: [],
      option: {
        ...base(look),
        tooltip: {
          ...tooltip(look),
          formatter: (hovered) => {
            const { name, value } = hovered as { name: string; value: number };
            return `${plain(name)}\n${whole(value)}`;
          },
        },
        series: [
          {
            type: 'treemap',
            data: nodes,
            left: 0,
            right: 0,
            top: 0,
            bottom: 0,
            roam: false,
            nodeClick: false,
            breadcrumb: { show: false },
            label: { overflow: 'truncate', fontSize: 12, color: look.dark ? '#10141a' : '#ffffff', formatter: ({ name }) => plain(name) },
            upperLabel: { show: series !== null, height: 20, color: ink(look).text },
            itemStyle: { borderColor: ink(look).ground, borderWidth: 2, gapWidth: 1 },
          },
        ],
      },
    };
  },
};
