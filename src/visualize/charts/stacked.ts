import type { Chart } from '../chart.ts';
import { bars } from './bar.ts';

export const stacked: Chart = {
  name: 'stacked',
  title: 'Stacked bar',
  summary: 'Numbers by category, each bar divided by a second category.',
  options: [],
  fit: ({ categories, times, ordinals, measures, negative }) =>
    measures > 0 && !negative && categories + times + ordinals >= 2 && categories >= 1 ? (times > 0 ? 0.75 : 0.85) : 0,
  draw: (drawing) => bars(drawing, true),
};
