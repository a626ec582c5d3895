import type { Chart } from '../chart.ts';
import { axes, loneDots, stepsOf, withGaps } from '../frame.ts';

export const area: Chart = {
  name: 'area',
  title: 'Area',
  summary: 'Parts of a whole over time, stacked. Nothing counted at a step is zero there; missing time is a gap.',
  options: [],
  fit: ({ times, measures, categories, negative, rows }) =>
    times > 0 && measures > 0 && categories > 0 && !negative && rows > 2 ? 0.7 : times > 0 && measures > 0 && !negative ? 0.5 : 0,
  draw(drawing) {
    const steps = stepsOf(drawing);
    const filled = steps.series.map(({ name, values }) => ({ name, values: values.map((value) => value ?? 0) }));
    const series = filled.map(({ name, values }) => {
      const data = steps.kind === 'time' ? withGaps(steps.steps as number[], values) : values;
      return {
        ...{ type: 'line' as const, name, stack: 'all', data },
        ...loneDots(data),
        lineStyle: { width: 1.5 },
        areaStyle: { opacity: steps.series.length > 1 ? 0.45 : 0.18 },
      };
    });
    return axes(drawing, steps, series, { zero: true });
  },
};
