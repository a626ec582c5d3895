import { type Column, fail } from '#core';
import { type Data, rolesOf } from './data.ts';

/** Which columns of a result are drawn how. What is absent is chosen from the columns' types. */
export interface ChartSpec {
  readonly kind: string;
  readonly x?: string;
  readonly y?: readonly string[];
  /** The column whose values become series of their own. */
  readonly series?: string;
  readonly size?: string;
  /** Shown beside values: a currency (ISO 4217), "%" (a share of 1), or any short text. */
  readonly unit?: string;
  /** Of a table: columns with numbers whose cells are shaded by their values. */
  readonly shade?: readonly string[];
  /** What a page holds a picture against. No file says it. */
  readonly guide?: Guide;
}

/** Where axes begin and end, so that pictures beside each other are compared by eye, and lines to compare with. */
export interface Guide {
  /** The axis along, where it has numbers; `unit` as in a spec. */
  readonly x?: Span & { readonly unit?: string };
  /** The axis of the values. */
  readonly y?: Span;
  /** The page names the axes. */
  readonly bare?: boolean;
  /** Drawn by a curve: from one point to another, [along, value]. */
  readonly lines?: readonly {
    readonly name: string;
    readonly from: readonly [number, number];
    readonly to: readonly [number, number];
  }[];
}

interface Span {
  readonly from?: number;
  readonly to?: number;
  /** Between two ticks. */
  readonly step?: number;
}

/** The span in the engine's words. */
export const spanned = ({ from, to, step }: Span = {}) => ({
  ...(from === undefined ? {} : { min: from }),
  ...(to === undefined ? {} : { max: to }),
  ...(step === undefined ? {} : { interval: step }),
});

/** A spec with every column found: places in the result's rows. */
export interface Encoding {
  readonly x: number | null;
  readonly y: readonly number[];
  readonly series: number | null;
  readonly size: number | null;
}

/** Finds the spec's columns and fills in what it leaves open, in the order of the result. CHART_COLUMN for a name that the result lacks. */
export function encode(spec: ChartSpec, data: Data): Encoding {
  const roles = rolesOf(data);
  const find = (name: string | undefined) => (name === undefined ? null : placeOf(name, data.columns, spec.kind));
  const y = spec.y?.map((name) => placeOf(name, data.columns, spec.kind)) ?? null;
  const taken = new Set<number | null>([find(spec.x), find(spec.series), find(spec.size), ...(y ?? [])]);
  const free = (...wanted: string[]) => wanted.flatMap((role) => roles.flatMap((its, at) => (its === role && !taken.has(at) ? [at] : [])));
  const x = find(spec.x) ?? free('time', 'ordinal', 'category')[0] ?? null;
  taken.add(x);
  const series = find(spec.series) ?? (y !== null && y.length > 1 ? null : (free('category', 'ordinal', 'time')[0] ?? null));
  taken.add(series);
  const size = find(spec.size);
  const measures = y ?? free('measure');
  return { x, y: series === null ? measures : measures.slice(0, 1), series, size };
}

function placeOf(name: string, columns: readonly Column[], chart: string): number {
  const at = columns.findIndex((column) => column.name === name);
  if (at < 0)
    fail('CHART_COLUMN', {
      chart,
      column: name,
      columns: columns
        .map((column) => column.name)
        .join(', ')
        .slice(0, 300),
    });
  return at;
}
