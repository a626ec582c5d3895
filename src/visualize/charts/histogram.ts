import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { number } from '../data.ts';
import { formatter } from '../format.ts';
import { axes } from '../frame.ts';

export const histogram: Chart = {
  name: 'histogram',
  title: 'Histogram',
  summary: 'How often values fall into ranges of equal width.',
  options: [],
  fit: ({ measures, rows, columns }) => (measures >= 1 && rows >= 20 && columns === 1 ? 0.95 : measures >= 1 && rows >= 50 ? 0.32 : 0),
  draw(drawing) {
    const { data, encoding, spec, look } = drawing;
    const column = encoding.y[0];
    if (column === undefined) return fail('CHART_SHAPE', { chart: spec.kind, needs: 'a column with numbers' });
    const values = data.rows.flatMap((row) => number(row[column]) ?? []);
    const bins = binned(values);
    const short = formatter(look, spec.unit, true);
    const steps = {
      kind: 'category' as const,
      steps: bins.map(({ from, to }) => `${short(from)} – ${short(to)}`),
      series: [{ name: data.columns[column]!.name, values: bins.map(({ count }) => count) }],
      notes: [],
      withTime: false,
      // A range of values is none that a column has.
      means: () => null,
    };
    const series = steps.series.map(({ name, values: counts }) => ({
      type: 'bar' as const,
      name,
      data: [...counts],
      barCategoryGap: '4%',
    }));
    // The axis counts rows; the unit belongs to the ranges.
    const { unit: _, ...unitless } = spec;
    return axes({ ...drawing, spec: unitless }, steps, series, { zero: true });
  },
};

/** Ranges of a round width by the rule of Freedman and Diaconis (1981): 2·IQR·n^(-1/3), at most 60 of them. */
export function binned(values: readonly number[]): { from: number; to: number; count: number }[] {
  if (values.length === 0) return [];
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)]!;
  const [low, high] = [sorted[0]!, sorted.at(-1)!];
  if (low === high) return [{ from: low, to: high, count: sorted.length }];
  const spread = at(0.75) - at(0.25);
  const ideal = spread > 0 ? (2 * spread) / Math.cbrt(sorted.length) : (high - low) / 20;
  const width = round(Math.max(ideal, (high - low) / 60));
  const first = Math.floor(low / width);
  const bins = Array.from({ length: Math.floor(high / width) - first + 1 }, (_, k) => ({
    from: (first + k) * width,
    to: (first + k + 1) * width,
    count: 0,
  }));
  for (const value of sorted) bins[Math.min(bins.length - 1, Math.floor(value / width) - first)]!.count++;
  return bins;
}

/** The next of 1, 2, 5 × 10ⁿ. */
function round(width: number): number {
  const power = 10 ** Math.floor(Math.log10(width));
  return power * ([1, 2, 5, 10].find((step) => step * power >= width * (1 - 1e-9)) ?? 10);
}
