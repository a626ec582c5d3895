/**
 * Lineage of columns: from a column through the definitions that make it, level by level, down to columns that nothing defines.
 *
 *   revenue ◄── mart.daily.revenue ◄── sum(raw.orders.amount) ◄── raw.orders.amount, of the topic orders
 */
import { json } from 'node:stream/consumers';
import { type Analyst, expressionsOf, type Look, MODEL, shapeOfText } from '#analyze';
import { fail, MillraceError, type Principal, type Table } from '#core';
import type { Keeper, Queries } from '#process';
import { fullName, isColumn, type Made, readStatement, renamed, type Shape, type Source, shapeWith } from '#sql';
import type { Reader, Store } from '#store';
import type { Routes } from './http.ts';
import type { Transfers } from './lineage.ts';

interface Column {
  readonly id: string;
  /** A table or a model. */
  readonly of: string;
  /** Null for its rows as such, for a model, and where the asker may not read it. */
  readonly column: string | null;
  readonly kind: 'topic' | 'transfer' | 'load' | 'table' | 'view' | 'materialized view' | 'scheduled query' | 'model' | 'system';
  /** The topic or the transfers that fill it. */
  readonly by: readonly string[];
  readonly withheld: boolean;
}

/** What makes something; `left_out`: so many more columns do, which were too many to follow. `partly`: more may do. */
interface Making {
  readonly expression: string | null;
  readonly from: readonly string[];
  readonly left_out: number;
  readonly partly: boolean;
}

export interface ColumnLineage {
  readonly columns: readonly (Making & { readonly name: string })[];
  readonly nodes: readonly (Column & Making)[];
}

interface Definition {
  readonly kind: 'view' | 'materialized view' | 'scheduled query';
  readonly shape: Shape;
  /** Tables that it reads, in lower case. */
  readonly reads: ReadonlySet<string>;
}

const MOST = 400;
const DEEPEST = 12;
/** Of one column. */
const WIDEST = 30;
const LONGEST = 300;

export function columnRoutes(input: {
  readonly store: Store;
  readonly keeper: Keeper;
  readonly queries: Queries;
  readonly analyst: Pick<Analyst, 'readable'>;
}): Routes {
  const { store } = input;

  async function told(who: Principal, transfers: Transfers, start: (known: Known) => Promise<readonly Start[]>): Promise<ColumnLineage> {
    const [tables, readable] = await Promise.all([store.tables(), input.analyst.readable(who)]);
    const reader = await store.reader();
    try {
      const known = newKnown({ ...input, reader, tables, readable: new Set(readable), transfers });
      return await follow(await start(known), known, reader);
    } finally {
      reader.close();
    }
  }

  return {
    /** Of a result with these columns. */
    'POST /lineage/result': async ({ who, request }) => {
      const { sql, columns, transfers } = (await json(request)) as { sql: string; columns: readonly string[]; transfers: Transfers };
      return told(who, transfers, async (known) => {
        const shape = await known.shapeOf(sql);
        return columns.map((name, at) => ({ name, made: shape === null ? null : columnOf(shape, { name, at, of: columns.length }) }));
      });
    },
    /** Of a column of a table. TABLE_UNKNOWN also for one that the asker may not read. */
    'POST /lineage/column': async ({ who, request }) => {
      const { table: asked, column, transfers } = (await json(request)) as { table: string; column: string; transfers: Transfers };
      return told(who, transfers, async ({ table, readable }) => {
        const found = table(asked);
        if (found === undefined || !readable.has(asked.toLowerCase())) return fail('TABLE_UNKNOWN', { table: asked.slice(0, 200) });
        const own = found.columns.find(({ name }) => name.toLowerCase() === column.toLowerCase());
        if (own === undefined) return fail('REQUEST_INVALID', { problem: `${asked} has no column "${column.slice(0, 200)}"` });
        return [{ name: own.name, made: shapeOfTable(found).of(own.name) }];
      });
    },
  };
}

interface Start {
  readonly name: string;
  readonly made: Made | null;
}

interface Known {
  readonly readable: ReadonlySet<string>;
  readonly table: (full: string) => Table | undefined;
  readonly shapeOf: (sql: string) => Promise<Shape | null>;
  readonly definition: (full: string) => Promise<Definition | null>;
  readonly column: (source: Source) => Column;
}

function newKnown(input: {
  readonly keeper: Keeper;
  readonly queries: Queries;
  readonly reader: Reader;
  readonly tables: readonly Table[];
  readonly readable: ReadonlySet<string>;
  readonly transfers: Transfers;
}): Known {
  const { keeper, queries, reader, readable } = input;
  const tables = new Map(input.tables.map((table) => [fullName(table).toLowerCase(), table]));
  const texts = keeper.plainTexts();
  const known = new Map<string, Promise<Definition | null>>();
  const shapes = new Map<Table, Shape>();

  /** A view is bound where it stands: a bare name is first looked for in its own schema. */
  async function defined(kind: Definition['kind'], sql: string, schema: string): Promise<Definition | null> {
    const reads = new Set<string>();
    const look: Look = (named, name) => {
      const found = [named ?? schema, named ?? 'main'].map((each) => tables.get(`${each}.${name}`.toLowerCase())).find((each) => each);
      if (found === undefined) return null;
      reads.add(fullName(found).toLowerCase());
      const shape = shapes.get(found) ?? shapeOfTable(found);
      shapes.set(found, shape);
      return shape;
    };
    const shape = await understood(() => shapeOfText(sql, reader, look));
    return shape && { kind, shape, reads };
  }

  async function definitionOf(full: string): Promise<Definition | null> {
    const kept = keeper.bodyOf(full);
    if (kept !== undefined) return defined('materialized view', kept, 'main');
    const scheduled = queries.bodyOf(full);
    if (scheduled !== undefined) return defined('scheduled query', scheduled, 'main');
    const text = (await texts).get(full);
    // What another program made may be no statement of ours.
    const view = text === undefined ? null : await understood(() => readStatement(text, (sql) => reader.serialize(sql)));
    if (view?.kind !== 'create_view') return null;
    const found = await defined('view', view.body, full.split('.')[0]!);
    return found && { ...found, shape: renamed(found.shape, view.columns ?? []) };
  }

  return {
    readable,
    table: (full) => tables.get(full.toLowerCase()),
    shapeOf: async (sql) => (await defined('view', sql, 'main'))?.shape ?? null,
    definition(full) {
      const found = known.get(full) ?? definitionOf(full);
      known.set(full, found);
      return found;
    },
    column({ of, column }) {
      if (of.startsWith(MODEL)) return { id: of, of: of.slice(MODEL.length), column: null, kind: 'model', by: [], withheld: false };
      const withheld = !readable.has(of.toLowerCase());
      const shown = withheld ? null : column;
      const told = { id: shown === null ? of : `${of}.${shown}`, of, column: shown, withheld };
      const table = tables.get(of.toLowerCase());
      const by = input.transfers.flatMap(({ name, targets }) => (targets.some((target) => isSame(target, of)) ? [name] : []));
      if (table?.origin === 'topic') return { ...told, kind: 'topic', by: [table.name] };
      if (keeper.bodyOf(of) !== undefined) return { ...told, kind: 'materialized view', by: [] };
      if (queries.bodyOf(of) !== undefined) return { ...told, kind: 'scheduled query', by: [] };
      if (by.length > 0) return { ...told, kind: 'transfer', by };
      const kind = table?.kind === 'view' ? 'view' : table?.origin === 'load' || table?.origin === 'system' ? table.origin : 'table';
      return { ...told, kind, by: [] };
    },
  };
}

const isSame = (target: string, full: string): boolean =>
  (target.includes('.') ? target : `main.${target}`).toLowerCase() === full.toLowerCase();

/** A text that is not taken has nothing to tell. */
async function understood<T>(read: () => Promise<T | null>): Promise<T | null> {
  try {
    return await read();
  } catch (thrown) {
    if (thrown instanceof MillraceError) return null;
    throw thrown;
  }
}

function shapeOfTable(table: Table): Shape {
  const full = fullName(table);
  const columns = table.columns.map(({ name }): Made => {
    const column = {
      class: 'COLUMN_REF',
      type: 'COLUMN_REF',
      alias: '',
      query_location: 0,
      column_names: [table.schema, table.name, name],
    };
    return { name, expressions: [column], from: [{ of: full, column: name }], partly: false };
  });
  return shapeWith(columns, [{ of: full, column: null }]);
}

/** By its place where the query tells of as many columns, by its name else. */
function columnOf({ columns, of: find }: Shape, { name, at, of }: { name: string; at: number; of: number }): Made | null {
  const own = columns?.length === of ? columns[at]! : null;
  const isSame = own !== null && (own.name === '' || name.toLowerCase().startsWith(own.name.toLowerCase()));
  return isSame ? own : find(name);
}

/** Level by level, so that what is near is told before what is far. */
async function follow(starts: readonly Start[], known: Known, reader: Reader): Promise<ColumnLineage> {
  const nodes = new Map<string, { column: Column; made: Made | null; hidden: boolean; kept: readonly string[]; left: number }>();
  let level: Source[] = [];

  function keep(made: Made | null, depth: number): { kept: string[]; left: number } {
    const sources = made?.from ?? [];
    const kept = new Set<string>();
    let left = Math.max(0, sources.length - WIDEST);
    for (const source of sources.slice(0, WIDEST)) {
      const column = known.column(source);
      const isNew = !nodes.has(column.id);
      if (isNew && (nodes.size >= MOST || depth >= DEEPEST)) {
        left++;
        continue;
      }
      kept.add(column.id);
      if (!isNew) continue;
      nodes.set(column.id, { column, made: null, hidden: false, kept: [], left: 0 });
      level.push(source);
    }
    return { kept: [...kept], left };
  }

  const columns = starts.map(({ name, made }) => ({ name, made, ...keep(made, 0) }));
  for (let depth = 1; level.length > 0; depth++) {
    const now = level;
    level = [];
    for (const source of now) {
      const { column } = nodes.get(known.column(source).id)!;
      if (column.withheld || column.kind === 'model') continue;
      const definition = await known.definition(column.of.toLowerCase());
      if (definition === null) continue;
      const made = madeIn(definition.shape, column, known.table(column.of));
      // Its text names columns of tables that are not the asker's.
      const hidden = [...definition.reads].some((table) => !known.readable.has(table));
      nodes.set(column.id, { column, made, hidden, ...keep(made, depth) });
    }
  }
  const all = [...nodes.values()];
  const told = [...columns.map(({ made }) => made), ...all.map(({ made, hidden }) => (hidden ? null : made))];
  const texts = await expressionsOf(
    told.map((made) => ({ ...NOTHING, ...(made !== null && !isPlain(made) && made) })),
    reader,
  );
  const making = (made: Made | null, { kept, left, at }: { kept: readonly string[]; left: number; at: number }): Making => ({
    expression: cut(texts[at]!),
    from: kept,
    left_out: left,
    partly: made?.partly ?? false,
  });
  return {
    columns: columns.map(({ name, made, ...each }, at) => ({ name, ...making(made ?? UNKNOWN, { ...each, at }) })),
    nodes: all.map(({ column, made, ...each }, at) => ({ ...column, ...making(made, { ...each, at: columns.length + at }) })),
  };
}

const NOTHING: Made = { name: '', expressions: [], from: [], partly: false };
const UNKNOWN: Made = { ...NOTHING, partly: true };

/** A column as it is, or several. */
const isPlain = ({ expressions }: Made): boolean => expressions.every(isColumn);

const cut = (text: string | null): string | null => (text !== null && text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);

/** What makes a column of a table in the query that writes it. */
function madeIn(shape: Shape, { column }: Column, table: Table | undefined): Made | null {
  if (column === null) return { ...NOTHING, from: shape.rows };
  // A view's own batch, which no query gives.
  const columns = (table?.columns ?? []).filter(({ name }) => name !== '_batch');
  const at = columns.findIndex(({ name }) => name === column);
  return at < 0 ? null : (columnOf(shape, { name: column, at, of: columns.length }) ?? UNKNOWN);
}
