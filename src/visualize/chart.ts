import type { EChartsOption } from 'echarts';
import type { Entry } from '#core';
import type { Data } from './data.ts';
import type { Hit, Meaning } from './meaning.ts';
import type { ChartSpec, Encoding } from './spec.ts';
import type { Look } from './theme.ts';

/** What a chart gives: an ECharts option, or what is better drawn as text (one big number, a table). */
export type Picture =
  | {
      readonly kind: 'option';
      readonly option: EChartsOption;
      readonly notes: readonly Note[];
      /** null for a mark that is no part of the result: what is the rest, or was before. */
      readonly means: (hit: Hit) => Meaning | null;
    }
  | {
      readonly kind: 'number';
      readonly value: number | null;
      readonly before: number | null;
      readonly trend: readonly (number | null)[];
      readonly label: string;
    }
  | {
      readonly kind: 'table';
      /** What is shown instead of the rows as they are. */
      readonly data?: Data;
      /** What a cell of that data stands for. */
      readonly means?: (row: readonly unknown[], column: string) => Meaning | null;
      /** Places of the columns whose cells are shaded by their values. */
      readonly shaded: readonly number[];
    };

/** What the picture leaves out, said below it. */
export interface Note {
  readonly kind: 'series_left_out' | 'values_left_out' | 'rows_left_out';
  readonly count: number;
}

/** What a chart is made from. */
export interface Drawing {
  readonly data: Data;
  readonly spec: ChartSpec;
  readonly encoding: Encoding;
  readonly look: Look;
}

/** What a result looks like to the picker. */
export interface Shape {
  readonly rows: number;
  readonly columns: number;
  readonly times: number;
  readonly ordinals: number;
  readonly categories: number;
  readonly measures: number;
  /** Different values of the first and second category. */
  readonly values: readonly number[];
  /** Whether the first time or ordinal column has a row for each value. */
  readonly onePerStep: boolean;
  /** Whether a category and a whole number cross, a row for each pair, with another number in it: hours by weekday. */
  readonly crossed: boolean;
  readonly negative: boolean;
  /** Whether nearly all values of the first category are countries. */
  readonly countries: boolean;
}

/** A kind of chart: one object in one file under charts/. */
export interface Chart extends Entry {
  /** How well the kind fits a result: 0 can't, 1 is made for it. */
  readonly fit: (shape: Shape) => number;
  /** Pure. CHART_SHAPE when the result lacks what it needs. */
  readonly draw: (drawing: Drawing) => Picture;
}
