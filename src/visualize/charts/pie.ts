import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { formatter } from '../format.ts';
import { base, plain, stepNames, tooltip, totalsOf } from '../frame.ts';
import { ink } from '../theme.ts';

const mostSlices = 7;

export const pie: Chart = {
  name: 'pie',
  title: 'Pie',
  summary: 'Shares of a whole, for a few categories. The smaller ones beyond the seventh are one slice.',
  options: [],
  fit: ({ categories, times, measures, values, negative, rows }) =>
    categories === 1 && times === 0 && measures >= 1 && !negative && rows > 1 ? ((values[0] ?? 0) <= mostSlices ? 0.7 : 0.25) : 0,
  draw(drawing) {
    const { look, spec } = drawing;
    const steps = totalsOf(drawing);
    const all = stepNames(steps, look).map((name, at) => ({ name, value: steps.series[0]?.values[at] ?? 0, at }));
    if (all.some(({ value }) => value < 0)) fail('CHART_SHAPE', { chart: 'pie', needs: 'numbers that are not negative' });
    const sorted = all.sort((a, b) => b.value - a.value);
    const rest = sorted.slice(mostSlices);
    const slices =
      rest.length < 2
        ? sorted
        : [
            ...sorted.slice(0, mostSlices),
            {
              name: `+${rest.length}`,
              value: rest.reduce((sum, { value }) => sum + value, 0),
              at: -1,
              itemStyle: { color: ink(look).grey },
            },
          ];
    const whole = formatter(look, spec.unit);
    const share = formatter(look, '%');
    const total = slices.reduce((sum, { value }) => sum + value, 0);
    return {
      kind: 'option',
      means: ({ at }) => steps.means(0, slices[at]?.at ?? -1),
      notes: steps.notes,
      option: {
        ...base(look),
        tooltip: {
          ...tooltip(look),
          trigger: 'item',
          formatter: (hovered) => {
            const { name, value } = hovered as { name: string; value: number };
            return `${plain(name)}\n${whole(value)}  ${share(total === 0 ? null : value / total)}`;
          },
        },
        series: [
          {
            type: 'pie',
            // On a phone the names need the room beside it.
            radius: look.width < 400 ? ['36%', '58%'] : ['46%', '74%'],
            center: ['50%', '50%'],
            data: slices,
            itemStyle: { borderColor: ink(look).ground, borderWidth: 2 },
            label: {
              color: ink(look).text,
              width: Math.max(60, look.width * 0.26),
              overflow: 'truncate',
              formatter: ({ name, value }) => `${plain(name)}\n${share(total === 0 ? null : Number(value) / total)}`,
              lineHeight: 16,
            },
            labelLine: { lineStyle: { color: ink(look).line } },
          },
        ],
      },
    };
  },
};
