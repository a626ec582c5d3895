import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { type Data, rolesOf } from '../data.ts';

export const table: Chart = {
  name: 'table',
  title: 'Table',
  summary: 'The rows as they are; columns that "shade" names are coloured by their values.',
  options: [],
  fit: () => 0.3,
  draw: ({ data, spec }) => ({ kind: 'table', shaded: shadedPlaces(data, spec.shade ?? []) }),
};

/** The places of columns with numbers, by name. CHART_COLUMN, CHART_SHAPE. */
export function shadedPlaces(data: Data, names: readonly string[]): number[] {
  const roles = rolesOf(data);
  const columns = data.columns
    .map((column) => column.name)
    .join(', ')
    .slice(0, 300);
  return names.map((name) => {
    const at = data.columns.findIndex((column) => column.name === name);
    if (at < 0) fail('CHART_COLUMN', { chart: 'table', column: name, columns });
    if (roles[at] !== 'measure' && roles[at] !== 'ordinal')
      fail('CHART_SHAPE', { chart: 'table', needs: `numbers in "${name}" to shade it` });
    return at;
  });
}
