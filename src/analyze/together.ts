/**
 * Questions that come together, as the tiles of a dashboard do: those that group the same rows of one table share one scan of it
 * (src/sql/shared.ts). Which do is decided here; nothing of what anybody may read or is answered depends on it.
 */
import { quoteIdentifier, type Sharable, sharableOf, shareScan } from '#sql';
import type { Reader, Values } from '#store';
import { aggregateNames, columnNames, firstRow, printed } from './reading.ts';

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
  readonly members: readonly (Bound & { readonly at: number })[];
}

export interface Bound {
  readonly sql: string;
  readonly values: Values;
}

/** Beyond so many groups reading them for each question costs more than it saves. */
const MOST_GROUPS = 200_000;
/** Of fewer rows (as estimated, behind their filters) each question is faster by itself than they are gathered. */
const FEWEST_ROWS = 20_000;
const TABLE = 'millrace shared';
const REMEMBERED = 64;

type Printed = Pick<Gathering, 'table'> & { readonly scan: string; readonly statements: readonly (string | null)[] };

export function newSharing(): { gather(candidates: readonly Candidate[], reader: Reader): Promise<Gathering[]> } {
  /** By texts and the table's columns: dashboards ask the same again and again. null: they can't share. */
  const known = new Map<string, Printed | null>();

  async function print(sharables: readonly Sharable[], columns: readonly string[], reader: Reader): Promise<Printed | null> {
    const shared = shareScan(sharables, { columns, name: TABLE, aggregates: await aggregateNames(reader) });
    if (shared.statements.filter((each) => each !== null).length < 2) return null;
    const [scan, ...statements] = await printed(reader, [shared.scan, ...shared.statements]);
    return { table: TABLE, scan: scan!, statements };
  }

  async function printedOnce(texts: readonly string[], sharables: readonly Sharable[], reader: Reader): Promise<Printed | null> {
    const { schema, name } = sharables[0]!.table;
    const columns = await columnNames(reader, `SELECT * FROM ${quoteIdentifier(schema)}.${quoteIdentifier(name)} LIMIT 0`);
    const key = JSON.stringify([columns, texts]);
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = await print(sharables, columns, reader);
    known.set(key, made);
    if (known.size > REMEMBERED) known.delete(known.keys().next().value!);
    return made;
  }

  return {
    async gather(candidates, reader) {
      const seen = await Promise.all(candidates.map(async (each) => ({ each, sharable: sharableOf(await reader.serialize(each.sql)) })));
      const able = seen.flatMap(({ each, sharable }) => (sharable === null ? [] : [{ each, sharable }]));
      const groups = Map.groupBy(able, ({ each, sharable }) => JSON.stringify([sharable.table, sharable.rows, each.values]));
      const gatherings: Gathering[] = [];
      for (const group of groups.values()) {
        if (group.length < 2) continue;
        const made = await printedOnce(
          group.map(({ each }) => each.sql),
          group.map(({ sharable }) => sharable),
          reader,
        );
        if (made === null) continue;
        const { values } = group[0]!.each;
        const scan = bound(made.scan, values);
        if (!(await pays(scan, reader))) continue;
        gatherings.push({
          table: made.table,
          scan,
          members: group.flatMap(({ each }, k) => {
            const sql = made.statements[k];
            return sql == null ? [] : [{ at: each.at, ...bound(sql, values) }];
          }),
        });
      }
      return gatherings;
    },
  };
}

/** Only the values that a text reads: the engine refuses others. */
function bound(sql: string, values: Readonly<Record<string, unknown>>): Bound {
  const read = Object.entries(values).filter(([name]) => new RegExp(`\\$${name}\\b`).test(sql));
  return { sql, values: Object.fromEntries(read) };
}

/** By the engine's own estimates, which stand on sketches of each column's different values. */
async function pays({ sql, values }: Bound, reader: Reader): Promise<boolean> {
  const [, plan] = await firstRow(reader, `EXPLAIN (FORMAT json) ${sql}`, values);
  const nodes = all(JSON.parse(plan!) as PlanNode[]);
  const estimate = (node: PlanNode) => Number(node.extra_info?.['Estimated Cardinality'] ?? 0);
  const rows = Math.max(0, ...nodes.filter(({ name }) => /SCAN/.test(name)).map(estimate));
  const groups = Math.max(0, ...nodes.filter(({ name }) => name === 'HASH_GROUP_BY').map(estimate));
  return rows >= FEWEST_ROWS && groups <= MOST_GROUPS && groups * 5 <= rows;
}

interface PlanNode {
  readonly name: string;
  readonly extra_info?: Readonly<Record<string, unknown>>;
  readonly children?: readonly PlanNode[];
}

const all = (nodes: readonly PlanNode[]): PlanNode[] => nodes.flatMap((node) => [node, ...all(node.children ?? [])]);
