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
  const all = stepsOf(drawing);
  const sideways = lies(drawing, all);
  const steps = readable(all, sideways ? Math.floor((drawing.look.height - 36) / 15) : Math.floor(drawing.look.width / 7));
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

/** Bars thinner than their labels say nothing: of categories the largest are drawn, in the order in which they came. */
function readable(steps: Steps, fit: number): Steps {
  const most = Math.max(4, fit);
  if (steps.kind === 'time' || steps.steps.length <= most) return steps;
  const total = (at: number) => steps.series.reduce((sum, { values }) => sum + Math.abs(values[at] ?? 0), 0);
  const kept = [...steps.steps.keys()]
    .sort((a, b) => total(b) - total(a))
    .slice(0, most)
    .sort((a, b) => a - b);
  const left = steps.steps.length - most;
  const others = steps.notes.filter(({ kind }) => kind !== 'values_left_out');
  const before = steps.notes.find(({ kind }) => kind === 'values_left_out')?.count ?? 0;
  return {
    ...steps,
    steps: kept.map((at) => steps.steps[at]!),
    series: steps.series.map(({ name, values }) => ({ name, values: kept.map((at) => values[at]!) })),
    notes: [...others, { kind: 'values_left_out', count: before + left }],
    means: (series, step) => steps.means(series, kept[step] ?? -1),
  };
}

function lies({ look }: Drawing, { kind, steps }: Steps): boolean {
  if (kind === 'time') return false;
  const longest = steps.reduce<number>((most, step) => Math.max(most, String(step).length), 0);
  return steps.length * Math.min(longest, 20) * 7 > look.width - 60;
}
