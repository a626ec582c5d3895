/**
 * The warehouse takes names without regard to case, gives each table a column `_batch`, and has no column without a name. Columns of a
 * source that could not stand beside each other so have other names from here on: definitions, state, reports and the warehouse know them
 * by these, and the source is asked by its own.
 */
import type { Feed, Followed } from './cdc/feed.ts';
import type { Rows } from './rows.ts';
import type { Opened, SourceColumn, SourceTable } from './source.ts';

/** A name that no other column of the table has stays as it is, wherever it stands. */
export function distinctNames(names: readonly string[]): string[] {
  const all = new Set(['_batch', ...names.map(folded)]);
  const given = new Set(['', '_batch']);
  return names.map((own, k) => {
    if (!given.has(folded(own))) {
      given.add(folded(own));
      return own;
    }
    const wanted = own || `column${k + 1}`;
    let name = own === '' ? wanted : `${wanted}_2`;
    for (let n = own === '' ? 2 : 3; all.has(folded(name)); n++) name = `${wanted}_${n}`;
    all.add(folded(name));
    return name;
  });
}

/** As DuckDB compares names: letters of ASCII alone have two cases. */
const folded = (name: string): string => name.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());

/** The same source by the names that its columns have here. */
export function withDistinctNames(source: Opened): Opened {
  /** The source's own names by ours, of the tables where they differ. */
  const renamed = new Map<string, ReadonlyMap<string, string>>();

  function described(table: SourceTable): SourceTable {
    const own = table.columns.map(({ name }) => name);
    const names = distinctNames(own);
    renamed.delete(table.name);
    if (names.every((name, k) => name === own[k])) return table;
    renamed.set(table.name, new Map(names.map((name, k) => [name, own[k]!])));
    const columns = table.columns.map((column, k) => {
      if (names[k] === column.name) return column;
      const note = `at the source its name is "${column.name}", which ${column.name === '_batch' ? 'is ours in each table' : 'another column has here'}`;
      return { ...column, name: names[k]!, note: column.note === null ? note : `${column.note}; ${note}` };
    });
    return { ...table, key: table.key.map((name) => names[own.indexOf(name)]!), columns };
  }

  const nameAt = (table: string, name: string): string => renamed.get(table)?.get(name) ?? name;
  const namesAt = (table: SourceTable, names: readonly string[]): readonly string[] =>
    renamed.has(table.name) ? names.map((name) => nameAt(table.name, name)) : names;
  const columnAt = (table: SourceTable, column: SourceColumn): SourceColumn => {
    const name = nameAt(table.name, column.name);
    return name === column.name ? column : { ...column, name };
  };
  const columnsAt = (table: SourceTable, columns: readonly SourceColumn[]): readonly SourceColumn[] =>
    renamed.has(table.name) ? columns.map((column) => columnAt(table, column)) : columns;
  const cursorAt = <Spanned extends { readonly cursor: SourceColumn | null }>(table: SourceTable, span: Spanned): Spanned =>
    span.cursor === null ? span : { ...span, cursor: columnAt(table, span.cursor) };

  /** One object for each: a feed tells by it whether its caller put other columns in. */
  const tables = new WeakMap<SourceTable, SourceTable>();
  function tableAt(table: SourceTable): SourceTable {
    if (!renamed.has(table.name)) return table;
    const known = tables.get(table) ?? { ...table, key: namesAt(table, table.key), columns: columnsAt(table, table.columns) };
    tables.set(table, known);
    return known;
  }
  const followedAt = (followed: readonly Followed[]): Followed[] =>
    followed.map((each) => ({
      get table() {
        return tableAt(each.table);
      },
      get key() {
        return namesAt(each.table, each.key);
      },
      known: each.known,
    }));
  function feedAt(feed: Feed): Feed {
    const { untold } = feed;
    return {
      ...feed,
      prepare: (followed, position) => feed.prepare(followedAt(followed), position),
      changes: (followed, from) => feed.changes(followedAt(followed), from),
      ...(untold === undefined ? {} : { untold: (table) => untold(tableAt(table)) }),
    };
  }

  function rowsFrom(table: SourceTable, rows: Rows): Rows {
    const names = renamed.get(table.name);
    if (names === undefined || rows.refused.length === 0) return rows;
    const here = new Map([...names].map(([name, own]) => [own, name]));
    const ours = (own: string) => here.get(own) ?? own;
    const refused = rows.refused.map((each) => ({
      ...each,
      cells: each.cells === null ? null : Object.fromEntries(Object.entries(each.cells).map(([own, value]) => [ours(own), value])),
      misfits: each.misfits.map(ours),
      ...(each.undecoded === undefined ? {} : { undecoded: each.undecoded.map(ours) }),
    }));
    return { ...rows, refused };
  }

  const { eachHash, feed, leave, parts, unchanged } = source;
  return {
    // Of a folder it is what is open then.
    get found() {
      return source.found ?? {};
    },
    describe: async (names) => (await source.describe(names)).map(described),
    async snapshot(table, cursor, after) {
      const taken = await source.snapshot(tableAt(table), cursor === null ? null : columnAt(table, cursor), after);
      return { ...taken, span: { ...taken.span, cursor } };
    },
    async *read(table, columns, span, reading, limit) {
      const batches = source.read(tableAt(table), columnsAt(table, columns), cursorAt(table, span), reading, limit);
      for await (const rows of batches) yield rowsFrom(table, rows);
    },
    checksum: (table, columns, span, buckets) =>
      source.checksum(tableAt(table), columnsAt(table, columns), cursorAt(table, span), buckets === null ? null : namesAt(table, buckets)),
    hashes: (table, columns, span, key, bucket) =>
      source.hashes(tableAt(table), columnsAt(table, columns), cursorAt(table, span), namesAt(table, key), bucket),
    close: () => source.close(),
    ...(unchanged === undefined ? {} : { unchanged }),
    ...(leave === undefined ? {} : { leave }),
    ...(parts === undefined ? {} : { parts }),
    ...(feed === undefined ? {} : { feed: (transfer: string) => feedAt(feed(transfer)) }),
    ...(eachHash === undefined
      ? {}
      : {
          eachHash: (table, columns, span, key, take) =>
            eachHash(tableAt(table), columnsAt(table, columns), cursorAt(table, span), namesAt(table, key), take),
        }),
  };
}
