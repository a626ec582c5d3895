import type { LineSeriesOption } from 'echarts';
import type { Picture } from './chart.ts';
import { type Data, instant, label } from './data.ts';
import { plain, stepsOf, withGaps } from './frame.ts';
import { type ChartSpec, encode } from './spec.ts';
import { ink, type Look } from './theme.ts';

export interface Previous {
  readonly data: Data;
  /** How much later it is drawn than it was, in ms. */
  readonly shift: number;
  readonly name: string;
}

const kinds = ['line', 'bar', 'area'];

/** The picture with the previous period behind it: a grey line under one series over time, the figure before for one number; else as it was. */
export function withPrevious(picture: Picture, spec: ChartSpec, { data, shift, name }: Previous, look: Look): Picture {
  if (data.rows.length === 0) return picture;
  if (picture.kind === 'number') return { ...picture, before: firstNumber(data, spec), trend: [] };
  if (
    picture.kind !== 'option' ||
    !kinds.includes(spec.kind) ||
    !Array.isArray(picture.option.series) ||
    picture.option.series.length !== 1
  )
    return picture;
  const steps = stepsOf({ data, spec, look, encoding: encode(spec, data) });
  if (steps.kind !== 'time' || steps.series.length !== 1) return picture;
  const at = (steps.steps as number[]).map((step) => step + shift);
  const behind: LineSeriesOption = {
    type: 'line',
    name,
    data: withGaps(at, steps.series[0]!.values),
    showSymbol: at.length <= 40,
    symbolSize: 4,
    z: 1,
    lineStyle: { width: 2, color: ink(look).grey },
    itemStyle: { color: ink(look).grey },
  };
  return { ...picture, option: { ...picture.option, series: [...picture.option.series, behind] } };
}

/** What happened when, in ms. */
export interface Mark {
  readonly at: number;
  readonly name: string;
}

const mostMarks = 40;

/** The first column says when, the second what. */
export function marksOf({ rows }: Data): Mark[] {
  return rows.slice(0, mostMarks).flatMap(([when, what]) => {
    const at = instant(when);
    return at === null ? [] : [{ at, name: what === undefined ? '' : label(what) }];
  });
}

/** The picture with a line across for each mark within its time; a picture without time is left as it was. */
export function withMarks(picture: Picture, marks: readonly Mark[], look: Look): Picture {
  if (picture.kind !== 'option' || marks.length === 0 || !Array.isArray(picture.option.series)) return picture;
  if ((picture.option.xAxis as { type?: string } | undefined)?.type !== 'time') return picture;
  const [first, ...others] = picture.option.series as LineSeriesOption[];
  const times = ((first?.data ?? []) as [number, unknown][]).map(([at]) => at);
  const [from, to] = [Math.min(...times), Math.max(...times)];
  const data = marks.filter(({ at }) => at >= from && at <= to).map(({ at, name }) => ({ xAxis: at, name: plain(name) }));
  if (data.length === 0) return picture;
  const markLine = {
    silent: false,
    symbol: 'none',
    animation: false,
    lineStyle: { color: ink(look).grey, type: 'dashed', width: 1 },
    label: {
      color: ink(look).faint,
      fontSize: 11,
      position: 'insideEndTop',
      // Beside each other the names of many would be one grey block; each is told on hover all the same.
      show: data.length <= 6,
      formatter: '{b}',
    },
    data,
  };
  return { ...picture, option: { ...picture.option, series: [{ ...first, markLine }, ...others] as never } };
}

function firstNumber(data: Data, spec: ChartSpec): number | null {
  const place = encode(spec, data).y[0];
  const cell = place === undefined ? null : data.rows.at(-1)![place];
  return cell === null || cell === undefined || Number.isNaN(Number(cell)) ? null : Number(cell);
}
