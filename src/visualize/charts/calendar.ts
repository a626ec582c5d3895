import { fail } from '#core';
import type { Chart } from '../chart.ts';
import { formatter } from '../format.ts';
import { base, tooltip, totalsOf } from '../frame.ts';
import { ink } from '../theme.ts';
import { shades } from './heatmap.ts';

const day = 86_400_000;
/** A day's width in px. */
const narrowest = 8;

export const calendar: Chart = {
  name: 'calendar',
  title: 'Calendar',
  summary: 'A number a day as shades, a column a week. It shows the last twelve months that have data, of a narrow picture fewer.',
  options: [],
  fit: ({ times, measures, rows, onePerStep, categories }) =>
    times > 0 && measures >= 1 && categories === 0 && onePerStep && rows > 40 ? 0.5 : 0,
  draw(drawing) {
    const { look, spec } = drawing;
    const steps = totalsOf(drawing);
    if (steps.kind !== 'time') return fail('CHART_SHAPE', { chart: spec.kind, needs: 'a column with days' });
    const byDay = new Map<number, number>();
    const places = new Map<number, number[]>();
    for (const [at, step] of steps.steps.entries()) {
      const value = steps.series[0]?.values[at] ?? null;
      const key = Math.floor(Number(step) / day) * day;
      if (value === null) continue;
      byDay.set(key, (byDay.get(key) ?? 0) + value);
      places.set(key, [...(places.get(key) ?? []), at]);
    }
    if (byDay.size === 0) fail('CHART_SHAPE', { chart: spec.kind, needs: 'days with numbers' });
    const last = Math.max(...byDay.keys());
    // Of a narrow picture as many weeks as can be seen.
    const fitting = Math.max(4, Math.floor((look.width - 50) / narrowest) - 1);
    const first = Math.max(Math.min(...byDay.keys()), last - Math.min(365, fitting * 7) * day);
    const iso = (at: number) => new Date(at).toISOString().slice(0, 10);
    const shown = [...byDay].filter(([at]) => at >= first);
    const whole = formatter(look, spec.unit);
    const weeks = Math.ceil((last - first) / (7 * day)) + 1;
    const across = Math.max(narrowest, Math.min(22, Math.floor((look.width - 50) / weeks)));
    const down = Math.max(8, Math.min(26, Math.floor((look.height - 40) / 7)));
    return {
      kind: 'option',
      // A day that was added up from several moments is none of them.
      means: ({ at }) => {
        const [place, another] = places.get(shown[at]?.[0] ?? -1) ?? [];
        return place === undefined || another !== undefined ? null : steps.means(0, place);
      },
      notes: byDay.size > shown.length ? [{ kind: 'values_left_out', count: byDay.size - shown.length }] : [],
      option: {
        ...base(look),
        tooltip: {
          ...tooltip(look),
          formatter: (hovered) => {
            const [at, value] = (hovered as unknown as { value: [string, number] }).value;
            return `${at}\n${whole(value)}`;
          },
        },
        visualMap: {
          show: false,
          min: Math.min(0, ...shown.map(([, value]) => value)),
          max: Math.max(1e-12, ...shown.map(([, value]) => value)),
          inRange: { color: shades(look) },
        },
        calendar: {
          range: [iso(first), iso(last)],
          cellSize: [across, down],
          left: 36,
          top: 24,
          splitLine: { show: false },
          itemStyle: { color: 'transparent', borderColor: ink(look).line, borderWidth: 1 },
          dayLabel: { color: ink(look).faint, fontSize: 10, firstDay: 1 },
          monthLabel: { color: ink(look).faint, fontSize: 11 },
          yearLabel: { show: false },
        },
        series: [{ type: 'heatmap', coordinateSystem: 'calendar', data: shown.map(([at, value]) => [iso(at), value]) as never }],
      },
    };
  },
};
