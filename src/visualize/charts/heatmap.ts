import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { label, number } from '../data.ts';
import { formatter } from '../format.ts';
import { base, inside, plain, tooltip } from '../frame.ts';
import { meaningOf } from '../meaning.ts';
import { ink, type Look } from '../theme.ts';

const most = 60;

export const heatmap: Chart = {
  name: 'heatmap',
  title: 'Heat map',
  summary: 'A number by two categories, as shades of one colour.',
  options: [],
  fit: ({ categories, times, ordinals, measures, rows, crossed }) =>
    crossed ? 0.95 : measures >= 1 && categories + times + ordinals >= 2 && rows > 4 ? 0.65 : 0,
  draw({ data, spec, encoding, look }) {
    const { x } = encoding;
    // An hour or a rank is a number by its type and a step by its meaning: of two numbers the first is crossed with the category.
    const [series, ...y] = encoding.series === null && encoding.y.length > 1 ? encoding.y : [encoding.series, ...encoding.y];
    if (x === null || series === null || series === undefined || y[0] === undefined)
      return fail('CHART_SHAPE', { chart: spec.kind, needs: 'two columns to cross and one with numbers' });
    const across = distinct(data.rows.map((row) => label(row[x])));
    const down = distinct(data.rows.map((row) => label(row[series])));
    if (down.every((name) => name === '∅' || Number.isFinite(Number(name)))) down.sort((a, b) => Number(a) - Number(b));
    const at = (list: readonly string[]) => new Map(list.slice(0, most).map((name, k) => [name, k]));
    const [xs, ys] = [at(across), at(down)];
    const drawn = new Map<string, { cell: [number, number, number | null]; row: readonly unknown[] }>();
    for (const row of data.rows) {
      const [a, b, value] = [xs.get(label(row[x])), ys.get(label(row[series])), number(row[y[0]!])];
      if (a === undefined || b === undefined) continue;
      const held = drawn.get(`${a} ${b}`);
      if (held === undefined) drawn.set(`${a} ${b}`, { cell: [a, b, value], row });
      else if (value !== null) held.cell[2] = (held.cell[2] ?? 0) + value;
    }
    const list = [...drawn.values()];
    const cells = list.map(({ cell }) => cell);
    const left = Math.max(0, across.length - most) + Math.max(0, down.length - most);
    const whole = formatter(look, spec.unit);
    return {
      kind: 'option',
      means: ({ at }) => {
        const row = list[at]?.row;
        return row === undefined
          ? null
          : meaningOf(data, [
              [x, row[x]],
              [series, row[series]],
            ]);
      },
      notes: left > 0 ? [{ kind: 'values_left_out', count: left }] : [],
      option: {
        ...base(look),
        grid: { left: 4, right: 12, top: 8, bottom: 4, ...inside },
        tooltip: {
          ...tooltip(look),
          formatter: (hovered) => {
            const [a, b, value] = (hovered as unknown as { value: [number, number, number | null] }).value;
            return `${plain(across[a]!)}\n${plain(down[b]!)}\n${whole(value)}`;
          },
        },
        xAxis: axis(look, across.slice(0, most), false),
        yAxis: axis(look, down.slice(0, most), true),
        visualMap: { show: false, min: least(cells), max: greatest(cells), inRange: { color: shades(look) } },
        series: [{ type: 'heatmap', data: cells as never, itemStyle: { borderColor: ink(look).ground, borderWidth: 1, borderRadius: 2 } }],
      },
    };
  },
};

/** Light to strong on a light ground, dark to bright on a dark one. */
export function shades(look: Look): string[] {
  return look.dark ? ['#1d2733', '#2c4f86', '#7aa7f0'] : ['#eef4fd', '#8fb5ec', '#1f57b0'];
}

function axis(look: Look, names: readonly string[], upright: boolean) {
  return {
    type: 'category' as const,
    data: names.map(plain),
    inverse: upright,
    axisTick: { show: false },
    axisLine: { show: false },
    axisLabel: { color: ink(look).faint, fontSize: 11, hideOverlap: true, width: upright ? 130 : 80, overflow: 'truncate' as const },
  };
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)];
}

function least(cells: readonly (readonly (number | null)[])[]): number {
  return cells.reduce((low, cell) => Math.min(low, cell[2] ?? low), 0);
}

function greatest(cells: readonly (readonly (number | null)[])[]): number {
  return cells.reduce((high, cell) => Math.max(high, cell[2] ?? high), 0) || 1;
}
