import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { label, number } from '../data.ts';
import { formatter } from '../format.ts';
import { base, plain, tooltip } from '../frame.ts';
import { keep, meaningOf } from '../meaning.ts';
import { countryName, countryOf } from '../places.ts';
import { ink } from '../theme.ts';
import { shades } from './heatmap.ts';

export const map: Chart = {
  name: 'map',
  title: 'Map of countries',
  summary: 'A number by country as shades, on a map that keeps areas true. Countries are known by name or by ISO code.',
  options: [],
  fit: ({ countries, categories, times, measures, rows }) =>
    countries && categories === 1 && times === 0 && measures >= 1 && rows > 4 ? (rows > 12 ? 0.94 : 0.8) : 0,
  draw({ data, spec, encoding, look }) {
    const { x, y } = encoding;
    if (x === null || y[0] === undefined) return fail('CHART_SHAPE', { chart: spec.kind, needs: 'a country and a column with numbers' });
    const sums = new Map<string, number>();
    const cells = new Map<string, unknown>();
    const unknown = new Set<string>();
    for (const row of data.rows) {
      const code = countryOf(label(row[x]));
      const value = number(row[y[0]]);
      if (code === null) unknown.add(label(row[x]));
      else if (value !== null) {
        sums.set(code, (sums.get(code) ?? 0) + value);
        keep(cells, code, row[x]);
      }
    }
    if (sums.size === 0) fail('CHART_SHAPE', { chart: spec.kind, needs: 'countries with numbers, by name or ISO code' });
    const whole = formatter(look, spec.unit);
    const values = [...sums.values()].sort((a, b) => a - b);
    const codes = [...sums.keys()];
    return {
      kind: 'option',
      // The country as the rows call it; what they call by several names is none of them.
      means: ({ at }) => (codes[at] === undefined ? null : meaningOf(data, [[x, cells.get(codes[at])]])),
      notes: unknown.size > 0 ? [{ kind: 'values_left_out', count: unknown.size }] : [],
      option: {
        ...base(look),
        tooltip: {
          ...tooltip(look),
          formatter: (hovered) => {
            const { name, value } = hovered as { name: string; value: number };
            return `${plain(name === '' ? '' : countryName(name, look.locale))}\n${whole(Number.isNaN(value) ? null : value)}`;
          },
        },
        // By rank rather than by amount: one large country would leave all others in one shade.
        visualMap: { type: 'piecewise', show: false, pieces: pieces(values, shades(look)) },
        series: [
          {
            type: 'map',
            map: 'world',
            aspectScale: 1,
            selectedMode: false,
            roam: false,
            left: 0,
            right: 0,
            top: 4,
            bottom: 4,
            data: [...sums].map(([name, value]) => ({ name, value })),
            label: { show: false },
            itemStyle: { areaColor: look.dark ? '#222831' : '#eef0f3', borderColor: ink(look).ground, borderWidth: 0.5 },
            emphasis: { label: { show: false }, itemStyle: { areaColor: look.dark ? '#eda63c' : '#c77700' } },
          },
        ],
      },
    };
  },
};

/** Five steps with as many countries in each, from light to strong. */
function pieces(values: readonly number[], [light, middle, strong]: readonly string[]): { min?: number; max?: number; color: string }[] {
  const colors = [light!, mixed(light!, middle!), middle!, mixed(middle!, strong!), strong!];
  const cuts = [...new Set([0.2, 0.4, 0.6, 0.8].map((share) => values[Math.floor(values.length * share)]!))];
  return [...cuts, Number.POSITIVE_INFINITY].map((max, at) => ({
    ...(at > 0 && { gte: cuts[at - 1]! }),
    ...(Number.isFinite(max) && { lt: max }),
    color: colors[at + colors.length - cuts.length - 1]!,
  }));
}

function mixed(a: string, b: string): string {
  const parts = (color: string) => [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
  const [from, to] = [parts(a), parts(b)];
  return `#${from
    .map((part, at) =>
      Math.round((part + to[at]!) / 2)
        .toString(16)
        .padStart(2, '0'),
    )
    .join('')}`;
}
