import type { EChartsOption } from 'echarts';
import { fail } from '#core';
import type { Chart, Drawing, Picture } from '../chart.ts';
import { label, number, rolesOf } from '../data.ts';
import { formatter } from '../format.ts';
import { base, inside, legend, plain, tooltip } from '../frame.ts';
import { meaningOf } from '../meaning.ts';
import { type Guide, spanned } from '../spec.ts';
import { ink, type Look, mostSeries } from '../theme.ts';

/** A line of more points than pixels only costs time. */
const mostPoints = 5000;

interface Point {
  readonly x: number;
  readonly y: number | null;
  readonly size: number | null;
  readonly row: readonly unknown[];
}

export const curve: Chart = {
  name: 'curve',
  title: 'Curve',
  summary: 'A number along another, joined in the order of the rows; a third as the points’ area.',
  options: [],
  fit: ({ measures, ordinals, rows, times }) => (measures + ordinals >= 2 && rows > 1 && times === 0 ? 0.3 : 0),
  draw(drawing) {
    const { data, spec, look } = drawing;
    const { x, y, group, size } = placesOf(drawing);
    const series = y.length > 1 ? y.map((at) => [data.columns[at]!.name, pointsOf(drawing, x, at, size)] as const) : [];
    const split = y.length > 1 ? series : splitBy(group, pointsOf(drawing, x, y[0]!, size), data.columns[y[0]!]!.name);
    const shown = split.slice(0, mostSeries);
    const largest = Math.max(...shown.flatMap(([, points]) => points.map((point) => Math.abs(point.size ?? 0))), 1e-12);
    const few = Math.max(...shown.map(([, points]) => points.length)) <= 40;
    const named = shown.length > 1;
    const guide = spec.guide ?? {};
    const bare = guide.bare === true;
    const option: EChartsOption = {
      ...base(look),
      grid: { left: 4, right: 16, top: named ? 40 : 14, bottom: 4, ...inside, outerBoundsContain: 'all' },
      legend: named ? { ...legend(look), top: 0 } : { show: false },
      tooltip: hover(drawing, x, size),
      xAxis: axis(look, bare ? '' : data.columns[x]!.name, 26, guide.x?.unit, guide.x),
      yAxis: axis(look, named || bare ? '' : data.columns[y[0]!]!.name, 44, spec.unit, guide.y),
      series: shown.map(([name, points], at) => ({
        type: 'line' as const,
        name,
        data: points.map((point) => (size === null ? [point.x, point.y] : [point.x, point.y, point.size])) as never,
        connectNulls: false,
        showSymbol: few || size !== null,
        symbol: 'circle',
        // Area, not width, is what the eye compares.
        symbolSize: size === null ? 5 : (value: number[]) => 4 + 18 * Math.sqrt(Math.abs(value[2] ?? 0) / largest),
        lineStyle: { width: 2 },
        ...(at === 0 && guide.lines !== undefined ? { markLine: across(guide.lines, look) } : {}),
      })),
    };
    const left = split.length - shown.length;
    const cut = data.rows.length - mostPoints;
    return {
      kind: 'option',
      option,
      notes: [
        ...(left > 0 ? [{ kind: 'series_left_out' as const, count: left }] : []),
        ...(cut > 0 ? [{ kind: 'rows_left_out' as const, count: cut }] : []),
      ],
      // A point is its row; what it is called by is its series.
      means: ({ series: its, at }) => {
        const row = shown[its]?.[1][at]?.row;
        const whole = row === undefined ? null : meaningOf(data, [...row.entries()]);
        return whole && { row: whole.row, by: group === null ? [] : [data.columns[group]!.name] };
      },
    } satisfies Picture;
  },
};

/** Where the numbers stand: as the spec says, else in the order of the columns. CHART_SHAPE. */
function placesOf({ data, spec, encoding }: Drawing) {
  const roles = rolesOf(data);
  const numeric = roles.flatMap((role, at) => (role === 'measure' || role === 'ordinal' ? [at] : []));
  const x = spec.x === undefined ? numeric[0] : (encoding.x ?? undefined);
  const y = spec.y === undefined ? numeric.filter((at) => at !== x && at !== encoding.size).slice(0, 1) : encoding.y;
  if (x === undefined || y.length === 0) return fail('CHART_SHAPE', { chart: spec.kind, needs: 'two columns with numbers' });
  const named = y.length > 1 ? null : encoding.series;
  // A series that the spec does not name is one only where it groups: a name for each row is none.
  const category = roles.indexOf('category');
  const group = named ?? (y.length === 1 && category >= 0 && category !== x && !y.includes(category) ? category : null);
  return { x, y, group: group === x ? null : group, size: encoding.size };
}

function pointsOf({ data }: Drawing, x: number, y: number, size: number | null): Point[] {
  return data.rows.slice(0, mostPoints).flatMap((row) => {
    const along = number(row[x]);
    return along === null ? [] : [{ x: along, y: number(row[y]), size: size === null ? null : number(row[size]), row }];
  });
}

function splitBy(group: number | null, points: readonly Point[], name: string): (readonly [string, readonly Point[]])[] {
  if (group === null) return [[name, points]];
  const groups = new Map<string, Point[]>();
  for (const point of points) {
    const its = label(point.row[group]);
    groups.set(its, [...(groups.get(its) ?? []), point]);
  }
  // One point a name is a label, not a series.
  return groups.size === points.length ? [[name, points]] : [...groups];
}

function axis(look: Look, name: string, gap: number, unit: string | undefined, span: Guide['y']) {
  const short = formatter(look, unit, true);
  return {
    type: 'value' as const,
    scale: true,
    ...spanned(span),
    name: plain(name),
    nameLocation: 'middle' as const,
    nameGap: gap,
    nameTextStyle: { color: ink(look).faint },
    axisLabel: { color: ink(look).faint, fontSize: 11, hideOverlap: true, formatter: (value: number) => short(value) },
    splitNumber: 4,
    splitLine: { lineStyle: { color: ink(look).line } },
    axisLine: { lineStyle: { color: ink(look).line } },
    axisTick: { show: false },
  };
}

/** All series at that place, in their order, and how large a point is. */
function hover({ data, spec, look }: Drawing, x: number, size: number | null): EChartsOption['tooltip'] {
  const [along, up, area] = [formatter(look, spec.guide?.x?.unit), formatter(look, spec.unit), formatter(look, undefined)];
  return {
    ...tooltip(look),
    trigger: 'axis',
    axisPointer: { type: 'line', lineStyle: { color: ink(look).grey }, label: { show: false } },
    formatter: (hovered) => {
      const list = (Array.isArray(hovered) ? hovered : [hovered]) as unknown as { seriesName?: string; value?: (number | null)[] }[];
      const first = list[0]?.value;
      if (first === undefined) return '';
      const lines = [
        `${data.columns[x]!.name}  ${along(first[0] ?? null)}`,
        ...list.map(({ seriesName, value }) => `${seriesName ?? ''}  ${up(value?.[1] ?? null)}`),
        ...(size === null ? [] : [`${data.columns[size]!.name}  ${area(first[2] ?? null)}`]),
      ];
      return lines.map(plain).join('\n');
    },
  };
}

function across(lines: NonNullable<Guide['lines']>, look: Look) {
  return {
    silent: true,
    symbol: 'none',
    animation: false,
    lineStyle: { color: ink(look).grey, type: 'dashed' as const, width: 1 },
    label: { color: ink(look).faint, fontSize: 11, position: 'insideEndBottom' as const, formatter: '{b}' },
    data: lines.map(({ name, from, to }) => [{ coord: [...from], name: plain(name) }, { coord: [...to] }]) as never,
  };
}
