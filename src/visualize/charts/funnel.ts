import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { formatter } from '../format.ts';
import { base, inside, plain, stepNames, tooltip, totalsOf } from '../frame.ts';
import { hue, ink } from '../theme.ts';

/** Further steps of a way are none that anybody planned. */
const mostSteps = 20;

export const funnel: Chart = {
  name: 'funnel',
  title: 'Funnel',
  summary: 'Steps in the order of the rows, each with its share of the first.',
  options: [],
  fit: ({ categories, measures, rows, times, values, negative }) =>
    categories === 1 && measures === 1 && times === 0 && rows >= 3 && rows <= 8 && (values[0] ?? 0) === rows && !negative ? 0.5 : 0,
  draw(drawing) {
    const { look, spec } = drawing;
    const steps = totalsOf(drawing);
    const names = stepNames(steps, look).slice(0, mostSteps);
    const values = names.map((_, at) => steps.series[0]?.values[at] ?? 0);
    const left = steps.steps.length - names.length;
    if (values.some((value) => value < 0)) fail('CHART_SHAPE', { chart: spec.kind, needs: 'numbers that are not negative' });
    const first = values[0] ?? 0;
    const whole = formatter(look, spec.unit);
    const share = formatter(look, '%');
    const said = (at: number) => `${whole(values[at]!)}  ${share(first === 0 ? null : values[at]! / first)}`;
    // Behind the longest bar there must be room for what is said of it; letters of Korean are about as wide as they are high.
    const longest = said(Math.max(0, values.indexOf(Math.max(...values))));
    const room = [...longest].reduce((sum, letter) => sum + (letter > '\u00ff' ? 12 : 7), 12);
    return {
      kind: 'option',
      means: ({ at }) => (at < names.length ? steps.means(0, at) : null),
      notes: left > 0 ? [...steps.notes, { kind: 'values_left_out', count: left }] : steps.notes,
      option: {
        ...base(look),
        grid: { left: 4, right: room, top: 4, bottom: 4, ...inside },
        tooltip: {
          ...tooltip(look),
          formatter: (hovered) => {
            const { dataIndex, name } = hovered as unknown as { dataIndex: number; name: string };
            const before = values[dataIndex - 1];
            const step = before ? `\n${share(values[dataIndex]! / before)} ←` : '';
            return `${plain(name)}\n${said(dataIndex)}${step}`;
          },
        },
        // The grey track behind a step is the first step's length.
        xAxis: { type: 'value', show: false, min: 0, max: Math.max(1, ...values) },
        yAxis: {
          type: 'category',
          inverse: true,
          data: names.map(plain),
          axisTick: { show: false },
          axisLine: { show: false },
          axisLabel: { color: ink(look).text, width: Math.min(170, look.width * 0.34), overflow: 'truncate' },
        },
        series: [
          {
            type: 'bar',
            data: [...values],
            barCategoryGap: '18%',
            itemStyle: { color: hue(look, 0), borderRadius: [0, 4, 4, 0] },
            showBackground: true,
            backgroundStyle: { color: ink(look).line, opacity: 0.35 },
            label: { show: true, position: 'right', color: ink(look).text, formatter: ({ dataIndex }) => said(dataIndex) },
          },
        ],
      },
    };
  },
};
