/**
 * Questions that come together, as the tiles of a dashboard do: those that group the same rows of one table share one scan of it
 * (src/sql/shared.ts). Which do is decided here; nothing of what anybody may read or is answered depends on it.
 */
import type { Column } from '#core';
import { type Node, queryOf, quoteIdentifier, type Sharable, sharableOf, shareScan } from '#sql';
import type { Reader } from '#store';
import { KEPT, type Wide } from './kept.ts';
import { aggregateNames, type Bound, bound, columnsOf, estimateOf, printed } from './reading.ts';

/** A question that may share: checked, and no more than a query. */
export interface Candidate {
  /** Its place among those that came together. */
  readonly at: number;
  readonly sql: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export interface Gathering {
  /** The table that the scan fills, which only its reader sees. */
  readonly table: string;
  readonly scan: Bound;
  /** The same scan of groups that may be kept, `over` them; null where they can't be. */
  readonly wide: (Wide & { readonly over: Bound }) | null;
  readonly members: readonly (Bound & { readonly at: number })[];
}

/** Beyond so many groups reading them for each question costs more than it saves. */
const MOST_GROUPS = 200_000;
/** Of fewer rows (as estimated, behind their filters) each question is faster by itself than they are gathered. */
const FEWEST_ROWS = 20_000;
const TABLE = 'millrace shared';
const REMEMBERED = 64;
const REMEMBERED_TEXTS = 256;
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

export function newSharing(): { gather(candidates: readonly Candidate[], reader: Reader): Promise<Gathering[]> } {
  /** By texts and the table's columns: dashboards ask the same again and again. null: they can't share. */
  const known = new Map<string, Printed | null>();
  /** By text, on which alone it depends. */
  const sharables = new Map<string, Sharable | null>();

  async function sharableOnce(text: string, reader: Reader): Promise<Sharable | null> {
    const found = sharables.get(text);
    if (found !== undefined) return found;
    const made = sharableOf(await reader.serialize(text));
    if (text.length <= LONGEST) sharables.set(text, made);
    if (sharables.size > REMEMBERED_TEXTS) sharables.delete(sharables.keys().next().value!);
    return made;
  }

  async function print(list: readonly Sharable[], columns: readonly Column[], reader: Reader): Promise<Printed | null> {
    const names = columns.map(({ name }) => name);
    const shared = shareScan(list, { columns: names, name: TABLE, wideName: KEPT, aggregates: await aggregateNames(reader) });
    if (shared.statements.filter((each) => each !== null).length < 2) return null;
    const { table } = list[0]!;
    const delivered = table.schema.toLowerCase() === 'raw' ? queryOf(await reader.serialize(NEW_ROWS))['where_clause'] : null;
    const base = shared.wide && ({ ...shared.wide.base, where_clause: delivered } as Node);
    const [scan, bases, over, ...statements] = await printed(reader, [shared.scan, base, shared.wide?.over ?? null, ...shared.statements]);
    const wide = bases == null ? null : { table, base: bases, over: over!, key: JSON.stringify([columns, bases]) };
    return { scan: scan!, wide, statements, columns: shared.columns };
  }

  async function printedOnce(texts: readonly string[], list: readonly Sharable[], reader: Reader): Promise<Printed | null> {
    const { schema, name } = list[0]!.table;
    const columns = await columnsOf(reader, `SELECT * FROM ${quoteIdentifier(schema)}.${quoteIdentifier(name)} LIMIT 0`);
    const key = JSON.stringify([columns, texts]);
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = await print(list, columns, reader);
    known.set(key, made);
    if (known.size > REMEMBERED) known.delete(known.keys().next().value!);
    return made;
  }

  /** Of questions that read the same rows, those that share scans: one that groups by very many values keeps no other from it. */
  async function gatherAlike(alike: readonly Able[], reader: Reader): Promise<Gathering[]> {
    if (alike.length < 2) return [];
    const sharables = alike.map(({ sharable }) => sharable);
    const made = await printedOnce(
      alike.map(({ sql }) => sql),
      sharables,
      reader,
    );
    if (made === null) return [];
    const { values } = alike[0]!;
    const scan = bound(made.scan, values);
    const { rows, groups } = await estimateOf(scan, reader);
    if (rows < FEWEST_ROWS) return [];
    if (groups > MOST_GROUPS || groups * 5 > rows) {
      const widest = await widestOf(sharables[0]!, new Set(made.columns.flat()), reader);
      const wide = alike.filter((_, k) => made.columns[k]!.includes(widest));
      const others = alike.filter((each) => !wide.includes(each));
      if (wide.length === 0 || others.length === 0) return [];
      return [...(await gatherAlike(others, reader)), ...(await gatherAlike(wide, reader))];
    }
    const members = alike.flatMap(({ at }, k) => {
      const sql = made.statements[k];
      return sql == null ? [] : [{ at, ...bound(sql, values) }];
    });
    return [{ table: TABLE, scan, wide: made.wide && { ...made.wide, over: bound(made.wide.over, values) }, members }];
  }

  return {
    async gather(candidates, reader) {
      const seen = await Promise.all(candidates.map(async (each) => ({ ...each, sharable: await sharableOnce(each.sql, reader) })));
      const able = seen.flatMap(({ sharable, ...each }) => (sharable === null ? [] : [{ ...each, sharable }]));
      const alike = Map.groupBy(able, ({ sharable, values }) => JSON.stringify([sharable.table, sharable.rows, values]));
      const gatherings: Gathering[] = [];
      for (const each of alike.values()) gatherings.push(...(await gatherAlike(each, reader)));
      return gatherings;
    },
  };
}

/** Of the columns the one with the most different values, by the engine's own estimates, which stand on sketches of each column. */
async function widestOf({ table }: Sharable, columns: ReadonlySet<string>, reader: Reader): Promise<string> {
  let widest = { column: '', groups: -1 };
  for (const column of columns) {
    const sql = `SELECT 1 FROM ${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)} GROUP BY ${quoteIdentifier(column)}`;
    const { groups } = await estimateOf({ sql, values: {} }, reader);
    if (groups > widest.groups) widest = { column, groups };
  }
  return widest.column;
}
