import type { Chart } from '../chart.ts';

export const table: Chart = {
  name: 'table',
  title: 'Table',
  summary: 'The rows as they are.',
  options: [],
  fit: () => 0.3,
  draw: () => ({ kind: 'table' }),
};
