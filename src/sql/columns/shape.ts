/** What a query gives: its columns, each with what makes it and the columns of tables that it is made of. */
import type { Node } from '../tree.ts';

/** A column of what is read; null for its rows as such, which count(*) counts. */
export interface Source {
  /** As the caller names it: a table or a model. */
  readonly of: string;
  readonly column: string | null;
}

export interface Made {
  /** '' where the engine names it by itself. */
  readonly name: string;
  /** One for each part of a UNION, else one; none where nothing that is written makes it. Columns in it are those of tables, as far as it stays short. */
  readonly expressions: readonly Node[];
  readonly from: readonly Source[];
  /** It names something that is not known: there may be more than `from`. */
  readonly partly: boolean;
}

export interface Shape {
  /** In their order; null where only the engine knows them. */
  readonly columns: readonly Made[] | null;
  of(name: string): Made | null;
  /** What its rows are rows of. */
  readonly rows: readonly Source[];
}

export const unknownShape: Shape = { columns: null, of: () => null, rows: [] };

export function shapeWith(columns: readonly Made[], rows: readonly Source[]): Shape {
  const named = Map.groupBy(columns, ({ name }) => name.toLowerCase());
  return {
    columns,
    rows,
    of(asked) {
      const name = asked.toLowerCase();
      const [exact] = named.get(name) ?? [];
      if (exact !== undefined) return exact;
      // The second column of one name is called id_1, or id:1.
      const [, first, again] = /^(.*)[_:](\d+)$/s.exec(name) ?? [];
      const repeated = first === undefined ? undefined : named.get(first)?.[Number(again)];
      const unnamed = named.get('') ?? [];
      return repeated ?? (/\W/.test(name) && unnamed.length === 1 ? unnamed[0]! : null);
    },
  };
}

/** Names given in a list behind an alias; columns beyond it keep theirs. */
export function renamed(shape: Shape, names: readonly string[]): Shape {
  if (names.length === 0) return shape;
  if (shape.columns !== null)
    return shapeWith(
      shape.columns.map((column, at) => ({ ...column, name: names[at] ?? column.name })),
      shape.rows,
    );
  const taken = new Set(names.map((name) => name.toLowerCase()));
  return { ...shape, of: (name) => (taken.has(name.toLowerCase()) ? null : shape.of(name)) };
}

export function distinct(sources: readonly Source[]): Source[] {
  return [...new Map(sources.map((source) => [`${source.of}\n${source.column}`, source])).values()];
}

/** A column whose values are those of all of these. */
export function together(name: string, parts: readonly Made[]): Made {
  const texts = new Map(parts.flatMap(({ expressions }) => expressions).map((each) => [JSON.stringify(each), each]));
  return {
    name,
    expressions: [...texts.values()],
    from: distinct(parts.flatMap(({ from }) => from)),
    partly: parts.some(({ partly }) => partly),
  };
}
