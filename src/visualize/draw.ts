import { fail } from '#core';
import type { Chart, Picture, Shape } from './chart.ts';
import { charts } from './charts/index.ts';
import { type Data, label, number, rolesOf } from './data.ts';
import { countryOf } from './places.ts';
import { type ChartSpec, encode } from './spec.ts';
import { defaultLook, type Look } from './theme.ts';

/** The registry's entry of that name. CHART_UNKNOWN. */
export function chartOf(kind: string): Chart {
  return charts.find((chart) => chart.name === kind) ?? fail('CHART_UNKNOWN', { chart: kind.slice(0, 50) });
}

/** Spec and rows as a picture. Pure: the same picture comes out in the browser and on the server. CHART_UNKNOWN, CHART_COLUMN, CHART_SHAPE. */
export function draw(spec: ChartSpec, data: Data, look: Look = defaultLook): Picture {
  return chartOf(spec.kind).draw({ spec, data, look, encoding: encode(spec, data) });
}

/** The kinds that a result can be drawn as, best first; a table is always among them. */
export function fitting(data: Data): readonly Chart[] {
  const shape = shapeOf(data);
  return charts
    .map((chart) => ({ chart, fit: chart.fit(shape) }))
    .filter(({ fit }) => fit > 0)
    .sort((a, b) => b.fit - a.fit)
    .map(({ chart }) => chart);
}

/** The kind that fits a result best. */
export function pick(data: Data): ChartSpec {
  return { kind: fitting(data)[0]!.name };
}

function shapeOf(data: Data): Shape {
  const roles = rolesOf(data);
  const places = (role: string) => roles.flatMap((its, at) => (its === role ? [at] : []));
  const [categories, measures, steps] = [places('category'), places('measure'), [...places('time'), ...places('ordinal')]];
  const different = (at: number) => new Set(data.rows.map((row) => label(row[at]))).size;
  return {
    rows: data.rows.length,
    columns: data.columns.length,
    times: places('time').length,
    ordinals: places('ordinal').length,
    categories: categories.length,
    measures: measures.length,
    values: categories.slice(0, 2).map(different),
    onePerStep: steps[0] !== undefined && different(steps[0]) === data.rows.length,
    crossed: areCrossed(data, categories, measures),
    negative: measures.some((at) => data.rows.some((row) => (number(row[at]) ?? 0) < 0)),
    countries: categories[0] !== undefined && areCountries(data.rows.slice(0, 300).map((row) => row[categories[0]!])),
  };
}

/** A few that are none (a total, the European Union, NULL) do not make a column another one. Words of two letters may be anything. */
function areCountries(cells: readonly unknown[]): boolean {
  const names = cells.filter((cell) => typeof cell === 'string' && cell.length > 2);
  return (
    names.length > 4 &&
    names.length >= cells.length * 0.8 &&
    names.filter((cell) => countryOf(label(cell)) !== null).length >= names.length * 0.7
  );
}

function areCrossed({ columns, rows }: Data, categories: readonly number[], measures: readonly number[]): boolean {
  const [category, step] = [categories[0], measures[0]];
  if (categories.length !== 1 || measures.length !== 2 || category === undefined || step === undefined || rows.length < 12) return false;
  if (!/INT/.test(columns[step]!.type)) return false;
  const pairs = new Set(rows.map((row) => `${label(row[category])} ${label(row[step])}`));
  const [down, across] = [category, step].map((at) => new Set(rows.map((row) => label(row[at]))).size);
  return pairs.size === rows.length && down! > 1 && across! > 1 && rows.length > down! * across! * 0.5;
}
