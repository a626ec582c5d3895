import type { LineSeriesOption } from 'echarts';
import type { Picture } from './chart.ts';
import type { Data } from './data.ts';
import { stepsOf, withGaps } from './frame.ts';
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

function firstNumber(data: Data, spec: ChartSpec): number | null {
  const place = encode(spec, data).y[0];
  const cell = place === undefined ? null : data.rows.at(-1)![place];
  return cell === null || cell === undefined || Number.isNaN(Number(cell)) ? null : Number(cell);
}
