/**
 * Parts that were merged into one table (files of a folder) against the table: of each key the last row of the part that was brought last
 * counts, as the merge itself has it (apply.ts). `_batch` says where a row here came from: one
 * from elsewhere (a part that is gone, another transfer, quarantine) is left out, and so is its key, unless a part that has it was brought
 * since. In that case the part's row was equal and left this one alone, or the table is wrong.
 */
import type { Bytes } from '#core';
import type { Row } from './lane.ts';
import { name, parseTable, quoted, text } from './names.ts';
import { type CheckedColumn, canonical, sixtyBitsOf } from './parity.ts';
import { exactly } from './slice.ts';
import { columnIn, typesOf } from './target.ts';

export interface MergedCheck {
  readonly transfer: string;
  readonly table: string;
  readonly key: readonly string[];
  /** The parts, as their last whole runs brought them; `layout` is the place of a part's columns in `layouts`. */
  readonly parts: readonly { readonly source: string; readonly run: string; readonly layout: number }[];
  readonly layouts: readonly (readonly CheckedColumn[])[];
  /** Are these all that there are? Otherwise only their keys are compared. */
  readonly all: boolean;
  /** At least the bytes of the longest line. */
  readonly longest: Bytes;
  /** How many differences are listed. */
  readonly most: number;
}

export interface Merged {
  readonly source: { readonly rows: number; readonly sum: string };
  readonly warehouse: { readonly rows: number; readonly sum: string };
  readonly differences: readonly { readonly key: readonly (string | null)[]; readonly kind: 'missing' | 'extra' | 'different' }[];
  /** Rows here that came from elsewhere: of keys that the parts have as well, and others. */
  readonly replaced: number;
  readonly elsewhere: number;
}

/**
 * `file` has a line for each row of the parts: its place among all, its part's, its hash, the texts of its key as JSON, with tabs between
 * them. Cost: one pass over the file and the table, two where they differ; what does not fit in memory goes to the disk.
 */
export async function compareMerged(rows: (sql: string) => Promise<Row[]>, check: MergedCheck, file: string): Promise<Merged> {
  const types = await typesOf({ rows }, parseTable(check.table));
  const keys = check.key.map((column, k) => ({ ...columnIn(types, column)!, k: `_millrace_k${k}` }));
  const told = toldBeside(check, keys, file);
  const sum = (of: string, how: string) => `CAST(coalesce(${of}, 0) - coalesce(${how}, 0) AS VARCHAR)`;
  const [found] = await rows(`${told}
    SELECT (SELECT count(*) FROM theirs) - count(DISTINCT there) FILTER (kind = 'left') AS rows_there,
      ${sum('(SELECT sum(_millrace_hash::HUGEINT) FROM theirs)', `sum(DISTINCT there::HUGEINT) FILTER (kind = 'left')`)} AS sum_there,
      count(here) AS rows_here, ${sum('sum(here::HUGEINT)', '0')} AS sum_here,
      count(there) FILTER (kind = 'left') AS replaced, count(*) FILTER (kind = 'left' AND there IS NULL) AS elsewhere FROM told`);
  const source = { rows: Number(found!['rows_there']), sum: String(found!['sum_there']) };
  const warehouse = { rows: Number(found!['rows_here']), sum: String(found!['sum_here']) };
  const equal = source.rows === warehouse.rows && source.sum === warehouse.sum;
  const shown = keys.map(({ k, type }) => canonical({ name: k, type, long: false }));
  const listed = equal
    ? []
    : await rows(`${told}
    SELECT coalesce(odd, CAST(to_json([${shown.join(', ')}]) AS VARCHAR)) AS key, CASE kind WHEN 'equal' THEN 'extra' ELSE kind END AS kind FROM told
    WHERE kind <> 'left' QUALIFY kind <> 'equal' OR row_number() OVER (PARTITION BY there, kind) > 1
    ORDER BY ${keys.map(({ k }) => k).join(', ')} LIMIT ${check.most}`);
  return {
    source,
    warehouse,
    differences: listed.map(({ key, kind }) => ({ key: JSON.parse(String(key)), kind: kind as 'missing' | 'extra' | 'different' })),
    replaced: Number(found!['replaced']),
    elsewhere: Number(found!['elsewhere']),
  };
}

type Key = { readonly name: string; readonly type: string; readonly k: string };

/**
 * `theirs`: a row for each key of the parts. `told`: those beside the rows here. A key is a value of the table's type: texts of one value
 * may differ between files; `odd` is one that is none, and stands in quarantine.
 */
function toldBeside({ transfer, table, parts, layouts, all, longest }: MergedCheck, keys: readonly Key[], file: string): string {
  const given = JSON.stringify(parts.map((part, k) => ({ part: k, ...part })));
  const misfit = keys.map((_, k) => `(t[${k + 1}] IS NOT NULL AND _millrace_k${k} IS NULL)`).join(' OR ');
  const same = keys.map((key) => `s.${key.k} IS NOT DISTINCT FROM o.${name(key.name)}`).join(' AND ');
  const own = layouts.map((columns, k) => `WHEN ${k} THEN ${sixtyBitsOf(columns)}`).join('\n');
  return `WITH parts AS MATERIALIZED (
      SELECT part, layout, t.batch FROM (SELECT unnest(from_json(${text(given)}, '[{"part":"INTEGER","source":"VARCHAR","run":"VARCHAR","layout":"INTEGER"}]'), recursive := true)) p
      LEFT JOIN millrace.transfer t ON t.source = p.source AND t.run = p.run AND t.event = 'slice' AND t.transfer = ${text(transfer)} AND t.target = ${text(table)}),
    lines AS (
      SELECT *, from_json(key, '["VARCHAR"]') AS t FROM read_csv(${text(file)}, columns = {'place': 'BIGINT', 'part': 'INTEGER', 'hash': 'VARCHAR', 'key': 'VARCHAR'},
        delim = '\\t', quote = '', escape = '', header = false, auto_detect = false,
        max_line_size = ${Math.max(2_097_152, longest)}, buffer_size = ${Math.max(8_388_608, longest + 1)})),
    texts AS (SELECT *, ${keys.map(({ type, k }, at) => `${exactly(`t[${at + 1}]`, type)} AS ${k}`).join(', ')} FROM lines),
    theirs AS MATERIALIZED (
      SELECT ${keys.map(({ k }) => k).join(', ')}, CASE WHEN ${misfit} THEN key END AS _millrace_odd, arg_max(began, turn) AS _millrace_began, arg_max(layout, turn) AS _millrace_layout,
        arg_max(('0x' || substr(hash, 1, 15))::UBIGINT, turn) AS _millrace_hash
      FROM (SELECT texts.*, layout, began, began * 1000000000000::HUGEINT + place AS turn
        FROM texts JOIN (SELECT part, layout, coalesce(min(batch), 0) AS began FROM parts GROUP BY ALL) USING (part)) GROUP BY ALL),
    ours AS (
      SELECT *, NULL::VARCHAR AS _millrace_none, true AS _millrace_here,
        _batch IS NOT NULL AND _batch NOT IN (SELECT batch FROM parts WHERE batch IS NOT NULL) AS _millrace_other
      FROM ${quoted(parseTable(table))} o${all ? '' : ` SEMI JOIN theirs s ON ${same} AND s._millrace_odd IS NULL`}),
    held AS (
      SELECT ${keys.map((key) => `coalesce(s.${key.k}, o.${name(key.name)}) AS ${key.k}`).join(', ')}, _millrace_odd AS odd, _millrace_hash AS there,
        coalesce(_millrace_other AND (_millrace_began IS NULL OR _batch > _millrace_began), false) AS _millrace_left,
        CASE WHEN _millrace_here AND NOT _millrace_left THEN CASE coalesce(_millrace_layout, 0) ${own || 'WHEN 0 THEN 0'} END END AS here
      FROM theirs s FULL JOIN ours o ON ${same} AND s._millrace_odd IS NOT DISTINCT FROM o._millrace_none),
    told AS (
      SELECT *, CASE WHEN _millrace_left THEN 'left' WHEN there IS NULL THEN 'extra' WHEN here IS NULL THEN 'missing' WHEN here = there THEN 'equal' ELSE 'different' END AS kind
      FROM held)`;
}
