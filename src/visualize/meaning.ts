/** What the marks of a picture stand for: what a click on one chooses, and asks about. */
import { type Data, rolesOf } from './data.ts';

export type Cell = string | number | boolean | null;

export interface Meaning {
  /** By column: what all rows of the result that the mark shows have in common. A column that is absent has any value. */
  readonly row: Readonly<Record<string, Cell>>;
  /** The columns among them that a filter can be set by: the step and then the series, without times. */
  readonly by: readonly string[];
}

/** A mark as the engine counts it: its place among the data of a series; of paths, whether it is a node or an edge. */
export interface Hit {
  readonly series: number;
  readonly at: number;
  readonly kind?: 'node' | 'edge' | undefined;
}

/** Stands where different values have one label. */
export const several = Symbol('several');

/** Keeps the value behind a label. */
export function keep<K>(values: Map<K, unknown>, label: K, cell: unknown): void {
  if (!values.has(label)) values.set(label, cell ?? null);
  else if (values.get(label) !== (cell ?? null)) values.set(label, several);
}

/** null where a value is not one that can be named: a nested one, or several. */
export function meaningOf(data: Data, pairs: readonly (readonly [place: number, cell: unknown])[]): Meaning | null {
  if (pairs.length === 0 || pairs.some(([, cell]) => typeof cell === 'symbol' || (typeof cell === 'object' && cell !== null))) return null;
  const roles = rolesOf({ columns: data.columns, rows: [] });
  return {
    row: Object.fromEntries(pairs.map(([place, cell]) => [data.columns[place]!.name, (cell ?? null) as Cell])),
    by: pairs.flatMap(([place]) => (roles[place] === 'time' ? [] : [data.columns[place]!.name])),
  };
}

/** What a filter is set to: the value of the column that is called like it, else of the step, else of the series. null where there is none, or it is NULL. */
export function valueFor(filter: string, { row, by }: Meaning): string | null {
  const cell = row[Object.hasOwn(row, filter) ? filter : (by[0] ?? '')];
  return cell === undefined || cell === null ? null : String(cell);
}
