import type { Client } from 'pg';
import type { SourceColumn, SourceTable } from '../source.ts';
import { type Answer, ask, id, literal } from './postgres-connection.ts';
import { columnOf } from './postgres-types.ts';

/** Tables, partitioned tables, views, materialized views and foreign tables of the schema that this user may read. */
export async function describe(client: Client, schema: string): Promise<SourceTable[]> {
  const inSchema = `n.nspname = ${literal(schema)} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND has_table_privilege(c.oid, 'SELECT')`;
  const tables = await ask(
    client,
    `SELECT c.relname AS t, CASE WHEN c.reltuples >= 0 AND c.relkind <> 'v' THEN c.reltuples::bigint::text END AS n
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${inSchema} ORDER BY 1`,
  );
  // A domain is its base type, through as many steps as it takes.
  const columns = await ask(
    client,
    `WITH RECURSIVE base (own, type, typmod) AS (
       SELECT oid, oid, -1 FROM pg_type
       UNION ALL SELECT b.own, t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE b.typmod END FROM base b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd'
     )
     SELECT c.relname AS t, a.attname AS c, format_type(a.atttypid, a.atttypmod) AS shown, ty.typname AS kind, ty.typtype::text AS sort,
       el.typname AS element, CASE WHEN b.own <> b.type THEN b.typmod ELSE a.atttypmod END AS typmod
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
       JOIN base b ON b.own = a.atttypid JOIN pg_type ty ON ty.oid = b.type AND ty.typtype <> 'd'
       LEFT JOIN pg_type el ON el.oid = ty.typelem AND ty.typcategory = 'A'
     WHERE ${inSchema} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum`,
  );
  const keys = await ask(
    client,
    `SELECT c.relname AS t, i.indexrelid::text AS i, array_to_json(array_agg(a.attname ORDER BY k.place))::text AS key FROM pg_index i
       JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
     WHERE ${inSchema} AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
     GROUP BY c.relname, i.indexrelid, i.indisprimary HAVING bool_and(a.attnotnull) ORDER BY c.relname, i.indisprimary DESC, i.indexrelid`,
  );
  const columnsOf = Map.groupBy(columns, (row) => String(row['t']));
  return tables.map(({ t, n }) => ({
    name: String(t),
    rows: n === null ? null : Number(n),
    key: JSON.parse(String(keys.find((key) => key['t'] === t)?.['key'] ?? '[]')) as string[],
    columns: (columnsOf.get(String(t)) ?? []).map(toColumn),
  }));
}

function toColumn(row: Answer): SourceColumn {
  return columnOf({
    name: String(row['c']),
    shown: String(row['shown']),
    kind: String(row['kind']),
    sort: String(row['sort']),
    element: row['element'] === null ? null : String(row['element']),
    typmod: Number(row['typmod']),
  });
}

/** A numeric without bounds, or of more than 38 digits, is a DECIMAL if its values have room; only then is the table looked through. */
export async function withNumerics(client: Client, from: string, table: SourceTable): Promise<SourceTable> {
  const open = table.columns.filter(({ type, sourceType }) => type === 'VARCHAR' && /^numeric(\(\d+,-?\d+\))?$/.test(sourceType));
  if (open.length === 0) return table;
  const facts = open.map(({ name }, k) => {
    const own = id(name);
    const finite = `${own} NOT IN ('NaN', 'Infinity', '-Infinity')`;
    return `max(scale(${own})) AS s${k}, coalesce(max(length(trunc(abs(${own}))::text)) FILTER (WHERE ${finite}), 1) AS w${k}, coalesce(bool_or(NOT (${finite})), false) AS odd${k}`;
  });
  const [row] = await ask(client, `SELECT ${facts.join(', ')} FROM ${from}`, table.name);
  const columns = table.columns.map((column) => {
    const k = open.indexOf(column);
    if (k < 0) return column;
    if (row![`odd${k}`] === true) return { ...column, note: 'text: it holds NaN or infinity' };
    const scale = Number(row![`s${k}`] ?? 0);
    if (Number(row![`w${k}`]) + scale > 38) return { ...column, note: 'text: its values have more than 38 digits' };
    return {
      ...column,
      type: `DECIMAL(38,${scale})`,
      cursor: 'number' as const,
      note: `its values have room in 38 digits, ${scale} after the point`,
    };
  });
  return { ...table, columns };
}
