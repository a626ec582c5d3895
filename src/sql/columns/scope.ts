/** Where a name is looked up, and what it means there. */
import type { Node } from '../tree.ts';
import { type Made, type Shape, type Source, together } from './shape.ts';

export interface Known {
  /** Null for what is no table. */
  readonly tables: (schema: string | null, name: string) => Shape | null;
  /** Functions that take many rows. */
  readonly aggregates: ReadonlySet<string>;
}

export interface Scope extends Known {
  readonly ctes: ReadonlyMap<string, Shape>;
  /** What stands after FROM in the queries around it and, beside it, on its left; the nearest first. */
  readonly outer: readonly From[];
  /** Steps that are left: a short text can mean very many columns (SELECT *, * within SELECT *, * …) or rounds. */
  readonly budget: { left: number };
  /** What a query within this one gives. */
  readonly query: (query: Node, scope: Scope) => SelectShape;
}

/** Whether so many steps could still be taken. */
export const spend = ({ budget }: Scope, steps: number): boolean => {
  budget.left -= steps;
  return budget.left >= 0;
};

export interface SelectShape extends Shape {
  /** What chooses its rows, for a subquery in an expression: EXISTS is made of nothing else. */
  readonly conditions?: () => Made;
}

/** What stands after FROM. */
export interface From {
  readonly relations: readonly { readonly schema: string; readonly alias: string; readonly shape: Shape }[];
  /** What * means; null where only the engine knows. */
  readonly listed: readonly Listed[] | null;
  /** Columns of USING and NATURAL, which stand for both sides. */
  readonly merged: ReadonlyMap<string, Made>;
  readonly rows: readonly Source[];
}

export interface Listed {
  readonly alias: string;
  readonly made: Made;
}

/** Where an expression looks for its names. */
export interface Place {
  readonly scope: Scope;
  readonly from: From;
  /** Columns of the list before it: SELECT a + 1 AS b, b * 2. */
  readonly before: ReadonlyMap<string, Made>;
}

export const nowhere: From = { relations: [], listed: [], merged: new Map(), rows: [] };

export const lower = (value: unknown): string => String(value ?? '').toLowerCase();
export const lowers = (values: unknown): string[] => ((values ?? []) as unknown[]).map(lower);

/** The column that a name (its parts in order) means; what follows a column's name is a field of it. */
export function inFrom(names: readonly string[], { relations, merged }: From): Made | null {
  const [first, second, third] = names.map((name) => name.toLowerCase());
  if (third !== undefined) {
    const found = relations.find(({ schema, alias }) => schema === first && alias === second)?.shape.of(third);
    if (found != null) return found;
  }
  if (second !== undefined) {
    const found = relations.find(({ alias }) => alias === first)?.shape.of(second);
    if (found != null) return found;
  }
  const shared = merged.get(first!);
  if (shared !== undefined) return shared;
  // What may have any column comes last.
  for (const open of [false, true])
    for (const { shape } of relations) {
      const found = (shape.columns === null) === open ? shape.of(first!) : null;
      if (found !== null) return found;
    }
  const row = second === undefined ? relations.find(({ alias }) => alias === first) : undefined;
  return row === undefined ? null : rowOf(first!, row.shape);
}

const rows = new WeakMap<Shape, Made>();

/** A whole row as one value; null where only the engine knows its columns. */
function rowOf(name: string, shape: Shape): Made | null {
  if (shape.columns === null) return null;
  const row = rows.get(shape) ?? { ...together(name, shape.columns), expressions: [] };
  rows.set(shape, row);
  return row;
}

export function lookUp(names: readonly string[], { scope, from, before }: Place): Made | null {
  if (!spend(scope, 1 + from.relations.length)) return null;
  const found = inFrom(names, from) ?? before.get(names[0]!.toLowerCase());
  if (found != null) return found;
  for (const around of scope.outer) {
    if (!spend(scope, around.relations.length)) return null;
    const outer = inFrom(names, around);
    if (outer !== null) return outer;
  }
  return null;
}
