import type { Chart, Drawing, Picture } from '../chart.ts';
import { axes, type Steps, stepsOf } from '../frame.ts';

export const bar: Chart = {
  name: 'bar',
  title: 'Bar',
  summary: 'Numbers by category, from zero. Many or long names turn the bars sideways.',
  options: [],
  fit: ({ categories, times, ordinals, measures, rows }) => {
    if (measures === 0 || rows < 1 || categories + times + ordinals === 0) return 0;
    if (categories > 0 && times === 0) return categories === 1 ? 0.92 : 0.6;
    return 0.55;
  },
  draw: (drawing) => bars(drawing, false),
};

/** Bars side by side or on top of each other. */
export function bars(drawing: Drawing, stacked: boolean): Picture {
  const steps = stepsOf(drawing);
  const sideways = lies(drawing, steps);
  const series = steps.series.map(({ name, values }) => ({
    type: 'bar' as const,
    name,
    ...(stacked ? { stack: 'all' } : {}),
    data: steps.kind === 'time' ? values.map((value, at) => [steps.steps[at]!, value]) : [...values],
    barMaxWidth: 44,
    barCategoryGap: '28%',
    itemStyle: { borderRadius: stacked ? 0 : sideways ? [0, 3, 3, 0] : [3, 3, 0, 0] },
  }));
  return axes(drawing, steps, series, { zero: true, sideways });
}

function lies({ look }: Drawing, { kind, steps }: Steps): boolean {
  if (kind === 'time') return false;
  const longest = steps.reduce<number>((most, step) => Math.max(most, String(step).length), 0);
  return steps.length * Math.min(longest, 20) * 7 > look.width - 60;
}
