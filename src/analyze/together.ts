/**
 * Questions that come together, as the tiles of a dashboard do: those that group the same rows of one table share one scan of it
 * (src/sql/shared.ts); one that shares with none, and took long, may be answered of groups that are kept (kept.ts). Which do is decided here;
 * nothing of what anybody may read or is answered depends on it.
 */
import type { Column } from '#core';
import { isColumn, type Node, queryOf, quoteIdentifier, type Sharable, sharableOf, shareScan } from '#sql';
import type { Reader } from '#store';
import { baseOf, KEPT, type Wide } from './kept.ts';
import { aggregateNames, type Bound, bound, columnsOf, estimateOf, printed } from './reading.ts';

/** A question that may share: checked, and no more than a query. */
export interface Candidate {
  /** Its place among those that came together. */
  readonly at: number;
  readonly sql: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** `members` are answered from one scan, or, `over` groups that may be kept, where `wide` is not null. */
export type Gathering = Gathered &
  ({ readonly scan: Bound; readonly wide: Widened | null } | { readonly scan: null; readonly wide: Widened; readonly since: number });

interface Gathered {
  /** The table that the scan fills, which only its reader sees. */
  readonly table: string;
  /** null: a scan would save nothing, so that where no groups are kept each is asked alone; `since` then: since which version one took long. */
  readonly scan: Bound | null;
  readonly members: readonly (Bound & { readonly at: number })[];
}

type Widened = Wide & { readonly over: Bound };

/** Beyond so many groups reading them for each question costs more than it saves. */
const MOST_GROUPS = 200_000;
/** Of fewer rows (as estimated, behind their filters) each question is faster by itself than they are gathered. */
const FEWEST_ROWS = 20_000;
const TABLE = 'millrace shared';
const REMEMBERED = 256;
const LONGEST = 20_000;
const NEW_ROWS = 'SELECT 1 FROM rows WHERE _batch > $after AND _batch <= $upTo';

interface Printed {
  readonly scan: string;
  readonly wide: (Wide & { readonly over: string }) | null;
  readonly statements: readonly (string | null)[];
  /** By which columns each has the scan group. */
  readonly columns: readonly (readonly string[])[];
}

type Able = Candidate & { readonly sharable: Sharable };

export interface Sharing {
  gather(candidates: readonly Candidate[], reader: Reader): Promise<Gathering[]>;
  /** That a question took long by itself, and at which version of the tables: the next time it is looked at whether its groups may be kept. */
  tookLong(sql: string, version: number): void;
}

export function newSharing(): Sharing {
  /** By texts and the table's columns: dashboards ask the same again and again. null: they can't share. */
  const known = new Map<string, Printed | null>();
  /** By text, on which alone it depends. */
  const sharables = new Map<string, Sharable | null>();
  const long = new Map<string, number>();

  async function sharableOnce(text: string, reader: Reader): Promise<Sharable | null> {
    const found = sharables.get(text);
    if (found !== undefined) return found;
    const made = sharableOf(await reader.serialize(text));
    if (text.length <= LONGEST) sharables.set(text, made);
    forgetOldest(sharables);
    return made;
  }

  async function print(
    list: readonly Sharable[],
    inside: ReadonlySet<string>,
    columns: readonly Column[],
    reader: Reader,
  ): Promise<Printed | null> {
    const names = columns.map(({ name }) => name);
    const shared = shareScan(list, { columns: names, name: TABLE, wideName: KEPT, aggregates: await aggregateNames(reader), inside });
    const able = shared.statements.filter((each) => each !== null).length;
    if (able === 0 || (able === 1 && shared.wide === null)) return null;
    const { table } = list[0]!;
    const delivered = table.schema.toLowerCase() === 'raw' ? queryOf(await reader.serialize(NEW_ROWS))['where_clause'] : null;
    const base = shared.wide && ({ ...shared.wide.base, where_clause: delivered } as Node);
    const { over = null, made = null } = shared.wide ?? {};
    const [scan, bases, overs, mades, ...statements] = await printed(reader, [shared.scan, base, over, made, ...shared.statements]);
    const byColumns = base !== null && (base['group_expressions'] as Node[]).some(isColumn);
    const of = JSON.stringify([table, columns]);
    const has = base === null ? [] : (base['select_list'] as Node[]).map((item) => String(item['alias']));
    const wide = bases == null ? null : { table, of, has, base: bases, over: overs!, made: mades ?? null, byColumns };
    return { scan: scan!, wide, statements, columns: shared.columns };
  }

  async function printedOnce(alike: readonly Able[], inside: ReadonlySet<string>, reader: Reader): Promise<Printed | null> {
    const { schema, name } = alike[0]!.sharable.table;
    const columns = await columnsOf(reader, `SELECT * FROM ${quoteIdentifier(schema)}.${quoteIdentifier(name)} LIMIT 0`);
    const key = JSON.stringify([columns, alike.map(({ sql }) => sql), [...inside]]);
    const found = known.get(key);
    if (found !== undefined) return found;
    const list = alike.map(({ sharable }) => sharable);
    const made = await print(list, inside, columns, reader);
    known.set(key, made);
    forgetOldest(known);
    return made;
  }

  /**
   * Of questions that read the same rows, those that share scans: one that groups by very many values keeps no other from it. `inside`:
   * columns of too many values, which are grouped by as parts of expressions only; such groups are worth keeping, not making each time.
   */
  async function gatherAlike(alike: readonly Able[], reader: Reader, inside: ReadonlySet<string> = new Set()): Promise<Gathering[]> {
    if (alike.length === 1 && !long.has(alike[0]!.sql)) return [];
    const made = await printedOnce(alike, inside, reader);
    if (made === null) return [];
    const { values } = alike[0]!;
    const members = alike.flatMap(({ at }, k) => {
      const sql = made.statements[k];
      return sql == null ? [] : [{ at, ...bound(sql, values) }];
    });
    const wide = made.wide && { ...made.wide, over: bound(made.wide.over, values) };
    const scan = members.length > 1 && inside.size === 0 ? bound(made.scan, values) : null;
    const since = Math.max(...alike.map(({ sql }, k) => (made.statements[k] === null ? -1 : (long.get(sql) ?? -1))));
    if (scan === null && (wide === null || since < 0)) return [];
    const { rows, groups } = await estimateOf(scan ?? baseOf(wide!, 0, Number.MAX_SAFE_INTEGER), reader);
    if (rows < FEWEST_ROWS) return [];
    const ofColumns = scan === null && !wide!.byColumns ? 1 : groups;
    if (ofColumns > MOST_GROUPS || ofColumns * 5 > rows) {
      const { sharable } = alike[0]!;
      const widest = await widestOf(sharable, new Set(made.columns.flat()), reader);
      if (widest === null) return [];
      const withIt = alike.filter((_, k) => made.columns[k]!.includes(widest));
      const others = alike.filter((each) => !withIt.includes(each));
      if (others.length === 0) return gatherAlike(withIt, reader, new Set([...inside, widest]));
      return [...(await gatherAlike(others, reader, inside)), ...(await gatherAlike(withIt, reader, inside))];
    }
    return scan === null ? [{ table: TABLE, scan, wide: wide!, since, members }] : [{ table: TABLE, scan, wide, members }];
  }

  return {
    async gather(candidates, reader) {
      const seen = await Promise.all(candidates.map(async (each) => ({ ...each, sharable: await sharableOnce(each.sql, reader) })));
      // A value that no text reads is refused by the engine, and so it is to be.
      const reads = ({ sql, values }: Candidate) => Object.keys(bound(sql, values).values).length === Object.keys(values).length;
      const able = seen.flatMap(({ sharable, ...each }) => (sharable === null || !reads(each) ? [] : [{ ...each, sharable }]));
      const alike = Map.groupBy(able, ({ sharable, values }) => JSON.stringify([sharable.table, sharable.rows, values]));
      const gatherings: Gathering[] = [];
      for (const each of alike.values()) gatherings.push(...(await gatherAlike(each, reader)));
      return gatherings;
    },
    tookLong(sql, version) {
      if (sql.length <= LONGEST) long.set(sql, version);
      forgetOldest(long);
    },
  };
}

function forgetOldest(remembered: Map<string, unknown>): void {
  if (remembered.size > REMEMBERED) remembered.delete(remembered.keys().next().value!);
}

/** Of the columns the one with the most different values, by the engine's own estimates, which stand on sketches of each column; null of none. */
async function widestOf({ table }: Sharable, columns: ReadonlySet<string>, reader: Reader): Promise<string | null> {
  let widest: { column: string; groups: number } | null = null;
  for (const column of columns) {
    const sql = `SELECT 1 FROM ${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)} GROUP BY ${quoteIdentifier(column)}`;
    const { groups } = await estimateOf({ sql, values: {} }, reader);
    if (widest === null || groups > widest.groups) widest = { column, groups };
  }
  return widest?.column ?? null;
}
