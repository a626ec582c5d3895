import type { Chart } from '../chart.ts';
import { formatter } from '../format.ts';
import { axes, stepsOf, withGaps } from '../frame.ts';
import { ink } from '../theme.ts';

export const combo: Chart = {
  name: 'combo',
  title: 'Bars and line',
  summary: 'The first number as bars, the second as a line on its own axis.',
  options: [],
  fit: ({ times, ordinals, categories, measures }) => (measures === 2 && times + ordinals === 1 && categories === 0 ? 0.6 : 0),
  draw(drawing) {
    const steps = stepsOf(drawing);
    const time = steps.kind === 'time';
    const series = steps.series.map(({ name, values }, at) =>
      at === 0
        ? { type: 'bar' as const, name, barMaxWidth: 44, data: time ? values.map((value, k) => [steps.steps[k]!, value]) : [...values] }
        : {
            type: 'line' as const,
            name,
            yAxisIndex: 1,
            symbolSize: 5,
            data: time ? withGaps(steps.steps as number[], values) : [...values],
          },
    );
    const picture = axes(drawing, steps, series, { zero: true });
    if (picture.kind !== 'option') return picture;
    const { look } = drawing;
    const short = formatter(look, undefined, true);
    const second = {
      type: 'value',
      axisLabel: { color: ink(look).faint, fontSize: 11, formatter: (value: number) => short(value) },
      splitLine: { show: false },
    };
    return { ...picture, option: { ...picture.option, yAxis: [picture.option.yAxis, second] as never } };
  },
};
