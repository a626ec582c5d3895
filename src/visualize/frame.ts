/** What all charts with axes share: the frame, the axes, series from rows. */
import type { EChartsOption, SeriesOption } from 'echarts';
import { fail } from '#core';
import type { Drawing, Note, Picture } from './chart.ts';
import { instant, label, number, rolesOf, wallClock } from './data.ts';
import { dates, dayFormatter, formatter } from './format.ts';
import { keep, type Meaning, meaningOf } from './meaning.ts';
import { spanned } from './spec.ts';
import { hue, ink, type Look, mostSeries } from './theme.ts';

export interface Series {
  readonly name: string;
  /** One for each step of the axis; null where there is none. */
  readonly values: readonly (number | null)[];
}

export interface Steps {
  readonly kind: 'time' | 'category';
  /** ms since 1970 for time, else the label. */
  readonly steps: readonly (number | string)[];
  readonly series: readonly Series[];
  readonly notes: readonly Note[];
  readonly withTime: boolean;
  /** What the value of a series at a step stands for, by their places. */
  readonly means: (series: number, step: number) => Meaning | null;
}

const mostLabels = 200;
const dayMs = 86_400_000;

/** A grid that leaves room for the labels of its axes. */
export const inside = { outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' } as const;

/** Rows as steps along x, a series for each measure or each value of the series column. Rows of one step are summed. CHART_SHAPE. */
export function stepsOf(drawing: Drawing): Steps {
  const { data, spec, encoding } = drawing;
  const { x, y, series } = encoding;
  if (x === null || y.length === 0) return fail('CHART_SHAPE', { chart: spec.kind, needs: 'a column for the axis and one with numbers' });
  const isTime = rolesOf(data)[x] === 'time';
  const zone = isTime && /TIME ZONE|TIMESTAMPTZ/.test(data.columns[x]!.type) ? drawing.look.zone : undefined;
  const key = (row: readonly unknown[]) => {
    if (!isTime) return label(row[x]);
    const moment = instant(row[x]);
    return moment === null ? null : wallClock(moment, zone);
  };
  const at = new Map<number | string, number>();
  const [cells, splits] = [new Map<number | string, unknown>(), new Map<string, unknown>()];
  for (const row of data.rows) {
    const step = key(row);
    if (step === null) continue;
    if (!at.has(step)) at.set(step, at.size);
    keep(cells, step, row[x]);
    if (series !== null) keep(splits, label(row[series]), row[series]);
  }
  const order = isTime ? [...at.keys()].sort((a, b) => Number(a) - Number(b)) : [...at.keys()].slice(0, mostLabels);
  const place = new Map(order.map((step, k) => [step, k]));
  const names = series === null ? y.map((column) => data.columns[column]!.name) : [];
  const sums = new Map<string, (number | null)[]>(names.map((name) => [name, new Array(order.length).fill(null)]));
  for (const row of data.rows) {
    const k = place.get(key(row) as number | string);
    if (k === undefined) continue;
    for (const [n, column] of y.entries()) {
      const name = series === null ? names[n]! : label(row[series]);
      const values = sums.get(name) ?? new Array(order.length).fill(null);
      sums.set(name, values);
      const value = number(row[column]);
      if (value !== null) values[k] = (values[k] ?? 0) + value;
    }
  }
  const all = [...sums].map(([name, values]) => ({ name, values }));
  const kept = series === null ? all : largest(all);
  const notes: Note[] = [];
  if (kept.length < all.length) notes.push({ kind: 'series_left_out', count: all.length - kept.length });
  if (order.length < at.size) notes.push({ kind: 'values_left_out', count: at.size - order.length });
  const means = (its: number, step: number): Meaning | null => {
    const [name, moment] = [kept[its]?.name, order[step]];
    if (name === undefined || moment === undefined) return null;
    const own = [x, cells.get(moment)] as const;
    return meaningOf(data, series === null ? [own] : [own, [series, splits.get(name)]]);
  };
  const withTime = isTime && order.some((step) => Number(step) % dayMs !== 0);
  if (isTime && order.length === 1) {
    // One instant spans no axis: it is named.
    const name = dayFormatter(drawing.look, withTime)(Number(order[0]));
    return { kind: 'category', steps: [name], series: kept, notes, withTime, means };
  }
  return { kind: isTime ? 'time' : 'category', steps: order, series: kept, notes, withTime, means };
}

/** Steps with one figure each, for what has no place for series: over all values of what would be one. CHART_SHAPE. */
export function totalsOf(drawing: Drawing): Steps {
  const { encoding } = drawing;
  return stepsOf({ ...drawing, encoding: { ...encoding, series: null, y: encoding.y.slice(0, 1) } });
}

/** The steps' names: days and moments as the reader writes them. */
export function stepNames({ kind, steps, withTime }: Steps, look: Look): string[] {
  const day = dayFormatter(look, withTime);
  return steps.map((step) => (kind === 'time' ? day(Number(step)) : String(step)));
}

function largest(series: readonly Series[]): Series[] {
  const total = ({ values }: Series) => values.reduce<number>((sum, value) => sum + Math.abs(value ?? 0), 0);
  return [...series].sort((a, b) => total(b) - total(a)).slice(0, mostSeries);
}

/** Points [ms, value], with a null where steps are missing: a line is never drawn through nothing. */
export function withGaps(steps: readonly number[], values: readonly (number | null)[]): [number, number | null][] {
  const distances = steps.slice(1).map((step, k) => step - steps[k]!);
  const usual = [...distances].sort((a, b) => a - b)[Math.floor(distances.length / 2)] ?? 0;
  return steps.flatMap((step, k): [number, number | null][] => {
    const point: [number, number | null] = [step, values[k]!];
    const missing = k > 0 && distances[k - 1]! > usual * 1.9;
    return missing ? [[steps[k - 1]! + usual, null], point] : [point];
  });
}

/** The dots of a line of many points: only where one has nobody beside it, since a line of one point is not to be seen. */
export function loneDots(points: readonly (number | null | readonly [number, number | null])[]) {
  const isThere = (k: number) => {
    const point = points[k];
    return (typeof point === 'object' ? point?.[1] : point) != null;
  };
  const lone = new Set([...points.keys()].filter((k) => isThere(k) && !isThere(k - 1) && !isThere(k + 1)));
  if (lone.size === 0) return { showSymbol: false };
  return {
    ...{ showSymbol: true, showAllSymbol: true, symbol: 'circle' },
    symbolSize: (_: unknown, { dataIndex }: { dataIndex: number }) => (lone.has(dataIndex) ? 5 : 0),
  };
}

/** Everything around the series. `zero`: the value axis begins at zero, as bars must. */
export function axes(drawing: Drawing, steps: Steps, series: SeriesOption[], { zero = false, sideways = false } = {}): Picture {
  const { look, spec } = drawing;
  const colors = ink(look);
  const short = formatter(look, spec.unit, true);
  const whole = formatter(look, spec.unit);
  const value = {
    type: 'value' as const,
    scale: !zero,
    ...spanned(spec.guide?.y),
    axisLabel: { color: colors.faint, fontSize: 11, formatter: (at: number) => short(at), hideOverlap: true },
    splitLine: { lineStyle: { color: colors.line } },
    splitNumber: sideways ? 4 : Math.max(2, Math.min(5, Math.round(look.height / 60))),
  };
  const step = {
    type: steps.kind,
    // No tick between two days where the values are days.
    ...(steps.kind === 'time' && !steps.withTime ? { minInterval: dayMs } : {}),
    ...(steps.kind === 'category' ? { data: steps.steps.map(String) } : {}),
    ...(sideways ? { inverse: true } : {}),
    axisLabel: {
      color: colors.faint,
      fontSize: 11,
      hideOverlap: true,
      ...(steps.kind === 'category'
        ? {
            width: sideways ? Math.min(160, look.width * 0.34) : labelWidth(look, steps),
            overflow: 'truncate' as const,
            // The engine leaves out every second one as soon as the widest is cut.
            ...(!sideways && roomFor(look, steps) >= narrowestLabel ? { interval: 0 } : {}),
          }
        : {}),
      ...(steps.kind === 'time' ? { formatter: (at: number) => tick(look, at, steps.withTime) } : {}),
    },
    axisTick: { show: false },
    axisLine: { lineStyle: { color: colors.line } },
  };
  const named = series.length > 1;
  const option: EChartsOption = {
    ...base(look),
    grid: { left: 4, right: 14, top: named ? 34 : 12, bottom: 4, ...inside },
    tooltip: {
      ...tooltip(look),
      trigger: 'axis',
      axisPointer: { type: zero ? 'shadow' : 'line', lineStyle: { color: colors.grey }, shadowStyle: { opacity: 0.12 } },
      formatter: (hovered) => hoverText(hovered, steps, look, whole),
    },
    legend: named ? { ...legend(look), top: 0 } : { show: false },
    xAxis: (sideways ? value : step) as never,
    yAxis: (sideways ? step : value) as never,
    series,
  };
  const place = (its: number, at: number) =>
    steps.kind === 'time' ? steps.steps.indexOf((series[its]?.data as [number, number | null][] | undefined)?.[at]?.[0] ?? -1) : at;
  return { kind: 'option', option, notes: steps.notes, means: (hit) => steps.means(hit.series, place(hit.series, hit.at)) };
}

const narrowestLabel = 44;

const roomFor = (look: Look, { steps }: Steps) => (look.width - 60) / Math.max(1, steps.length) - 8;

function labelWidth(look: Look, steps: Steps): number {
  const room = (look.width - 60) / Math.max(1, Math.min(steps.steps.length, 12)) - 8;
  return Math.max(narrowestLabel, Math.min(140, room));
}

export function base(look: Look): EChartsOption {
  return {
    useUTC: true,
    animation: false,
    color: Array.from({ length: mostSeries }, (_, at) => hue(look, at)),
    textStyle: { fontFamily: look.font, color: ink(look).text },
    aria: { enabled: true },
  };
}

/** As rich text on the canvas: names from the data are never HTML, and the strict style policy of the page holds. */
export function tooltip(look: Look) {
  const colors = ink(look);
  return {
    renderMode: 'richText' as const,
    confine: true,
    backgroundColor: look.dark ? '#22272f' : '#ffffff',
    borderColor: colors.line,
    padding: [8, 10],
    textStyle: { color: colors.text, fontSize: 12, fontFamily: look.font, lineHeight: 18 },
  };
}

export function legend(look: Look) {
  const colors = ink(look);
  return {
    type: 'scroll' as const,
    icon: 'roundRect',
    left: 0,
    itemWidth: 10,
    itemHeight: 10,
    itemGap: 14,
    textStyle: { color: colors.text, fontSize: 12, width: 140, overflow: 'truncate' as const },
    pageTextStyle: { color: colors.faint },
    pageIconColor: colors.faint,
    pageIconSize: 10,
  };
}

/** Names are shown as they are; braces would be read as rich text's own marks. */
export function plain(text: string): string {
  const shown = text.replace(/[{}|]/g, ' ');
  return shown.length > 60 ? `${shown.slice(0, 38)}…${shown.slice(-20)}` : shown;
}

type Hovered = { seriesName?: string; value?: unknown; dataIndex?: number; axisValue?: unknown; name?: string };

/** All series at that step, the largest first. */
function hoverText(hovered: unknown, steps: Steps, look: Look, format: (value: number | null) => string): string {
  const list = (Array.isArray(hovered) ? hovered : [hovered]) as Hovered[];
  const first = list[0];
  if (first === undefined) return '';
  const day = dayFormatter(look, steps.withTime);
  const head = steps.kind === 'time' ? day(Number(first.axisValue)) : plain(String(first.name ?? ''));
  const lines = list
    .map(({ seriesName, value }) => ({ name: seriesName ?? '', value: number(Array.isArray(value) ? value[1] : value) }))
    .sort((a, b) => (b.value ?? Number.NEGATIVE_INFINITY) - (a.value ?? Number.NEGATIVE_INFINITY))
    .map(({ name, value }) => `${plain(name)}  ${format(value)}`);
  return [head, ...lines].join('\n');
}

/** A tick names as much of the time as changes there. */
function tick(look: Look, at: number, withTime: boolean): string {
  const date = new Date(at);
  const midnight = at % dayMs === 0;
  const options: Intl.DateTimeFormatOptions =
    withTime && !midnight
      ? { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }
      : date.getUTCDate() === 1 && date.getUTCMonth() === 0
        ? { year: 'numeric' }
        : { month: 'short', day: 'numeric' };
  return dates(look.locale, options).format(date);
}
