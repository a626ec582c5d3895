import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { number as numberOf, rolesOf } from '../data.ts';

export const number: Chart = {
  name: 'number',
  title: 'Big number',
  summary: 'One figure. With rows over time it is the last one, with the one before and the trend.',
  options: [],
  fit: ({ rows, measures, times, ordinals, categories }) => {
    if (measures === 0 || rows === 0) return 0;
    return rows === 1 && measures === 1 && categories === 0
      ? 1
      : times + ordinals > 0 && categories === 0 && measures === 1
        ? 0.4
        : rows === 1
          ? // Of more than two figures in a row most would be hidden, and the second is not what the first was before.
            measures <= 2
            ? 0.5
            : 0.2
          : 0;
  },
  draw({ data, encoding, spec }) {
    const column = encoding.y[0] ?? rolesOf(data).indexOf('ordinal');
    if (column < 0 || column === undefined) return fail('CHART_SHAPE', { chart: spec.kind, needs: 'a column with numbers' });
    const values = data.rows.map((row) => numberOf(row[column]));
    // Two measures in one row: the second is the figure to compare with.
    const compared = data.rows.length === 1 && encoding.y[1] !== undefined ? numberOf(data.rows[0]![encoding.y[1]]) : null;
    return {
      kind: 'number',
      value: values.at(-1) ?? null,
      before: values.length > 1 ? values.at(-2)! : compared,
      trend: values.length > 2 ? values.slice(-60) : [],
      label: data.columns[column]!.name,
    };
  },
};
