import type { Chart } from '../chart.ts';
import { axes, loneDots, stepsOf, withGaps } from '../frame.ts';

export const line: Chart = {
  name: 'line',
  title: 'Line',
  summary: 'How numbers change over time or along ordered steps. Missing time is a gap.',
  options: [],
  fit: ({ times, ordinals, measures, rows, categories, onePerStep }) => {
    if (measures === 0 || times + ordinals === 0 || rows < 2) return 0;
    return times > 0 ? (onePerStep || categories > 0 ? 0.95 : 0.6) : 0.8;
  },
  draw(drawing) {
    const steps = stepsOf(drawing);
    const few = steps.steps.length <= 40;
    const series = steps.series.map(({ name, values }) => {
      const data = steps.kind === 'time' ? withGaps(steps.steps as number[], values) : [...values];
      const dots = few ? { showSymbol: true, symbol: 'circle', symbolSize: 5 } : loneDots(data);
      return { type: 'line' as const, name, data, connectNulls: false, ...dots, lineStyle: { width: 2 } };
    });
    return axes(drawing, steps, series);
  },
};
