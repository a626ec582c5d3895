import type { Chart } from '../chart.ts';
import { points } from './scatter.ts';

export const bubble: Chart = {
  name: 'bubble',
  title: 'Bubble',
  summary: 'Two numbers against each other; a third is the area of the point.',
  options: [],
  fit: ({ measures, rows, times }) => (measures >= 3 && rows > 2 && rows <= 200 && times === 0 ? 0.5 : 0),
  draw: (drawing) => points(drawing, true),
};
