/** Rows into a table by their key: what stands there unchanged is left alone, what is replaced or deleted goes to `change`. */
import { catalogue, type ErrorCode } from '#core';
import type { Transaction } from './lane.ts';
import { name, quoted, type TableName, text } from './names.ts';
import { keepReplaced, type Of, type TransferColumn, topicOf } from './target.ts';

/** Columns of `incoming` beside the table's: `u` or `d`, the places of values that were left out, of such that can't be decoded, and former keys. */
export const OP = '_millrace_op';
export const SAME = '_millrace_same';
export const ODD = '_millrace_undecoded';
export const FROM = '_millrace_from_';
/** Columns of the file that are read over: they are nobody's. */
export const OVER = '_millrace_over_';

export interface Writing {
  readonly table: TableName;
  readonly of: Of;
  readonly key: readonly string[];
  readonly columns: readonly TransferColumn[];
}

/** The rows of the temporary table `incoming`, in which a key stands once. */
export async function putIncoming(tx: Transaction, { table, of, key, columns }: Writing): Promise<{ rows: number; replaced: number }> {
  const keys = key.map(name);
  const same = (names: readonly string[]) => names.map((each) => `o.${each} IS NOT DISTINCT FROM n.${each}`).join(' AND ');
  const all = columns.map((column) => name(column.name));
  await tx.run(
    `CREATE OR REPLACE TEMP TABLE former AS SELECT o.* FROM ${quoted(table)} o WHERE EXISTS (SELECT 1 FROM incoming n WHERE ${same(keys)})`,
  );
  await tx.run(`DELETE FROM incoming n WHERE ${OP} = 'u' AND EXISTS (SELECT 1 FROM former o WHERE ${same(all)})`);
  const gone = `SELECT o.* FROM former o WHERE EXISTS (SELECT 1 FROM incoming n WHERE ${same(keys)})`;
  const [count] = await tx.rows(`SELECT count(*) AS n FROM (${gone})`);
  const replaced = Number(count!['n']);
  if (replaced > 0) {
    await keepReplaced(tx, table, of, gone);
    await tx.run(`DELETE FROM ${quoted(table)} o WHERE EXISTS (SELECT 1 FROM incoming n WHERE ${same(keys)})`);
  }
  const rows = await tx.run(
    `INSERT INTO ${quoted(table)} (${all.join(', ')}, _batch) SELECT ${all.join(', ')}, ${tx.batch} FROM incoming WHERE ${OP} = 'u'`,
  );
  return { rows, replaced };
}

/** Changes of a log, which may leave values out. */
export interface PartialWriting extends Writing {
  /** Rows with the columns and the extras; a key stands there once. */
  readonly select: string;
  readonly moved: boolean;
  /** The columns whose places the list of left out values names. */
  readonly places: readonly TransferColumn[];
  /** What ids in quarantine begin with. */
  readonly prefix: string;
}

export async function putChanges(tx: Transaction, writing: PartialWriting): Promise<{ rows: number; replaced: number; partial: number }> {
  await tx.run(`CREATE OR REPLACE TEMP TABLE incoming AS ${writing.select}`);
  const [open] = await tx.rows(`SELECT count(*) AS n FROM incoming WHERE ${SAME} IS NOT NULL`);
  const partial = Number(open!['n']) > 0 ? await fill(tx, writing) : 0;
  return { ...(await putIncoming(tx, writing)), partial };
}

/** Values that the log left out come from the row as it stands here; where there is none, the change goes to quarantine. */
async function fill(tx: Transaction, { table, of, key, columns, moved, places, prefix }: PartialWriting): Promise<number> {
  const from = key.map((each, k) => {
    const own = `n.${name(each)}`;
    return `o.${name(each)} IS NOT DISTINCT FROM ${moved ? `coalesce(n.${FROM}${k}, ${own})` : own}`;
  });
  const place = (column: TransferColumn) => places.findIndex((each) => each.name === column.name);
  const values = columns.map((column) => {
    const own = name(column.name);
    return `CASE WHEN list_contains(string_split(n.${SAME}, ' '), '${place(column)}') THEN o.${own} ELSE n.${own} END AS ${own}`;
  });
  await tx.run(`CREATE OR REPLACE TEMP TABLE filled AS SELECT n.* REPLACE (${values.join(', ')}), o._millrace_here IS NULL AND n.${SAME} IS NOT NULL AS _missing
    FROM incoming n LEFT JOIN (SELECT *, true AS _millrace_here FROM ${quoted(table)}) o ON n.${SAME} IS NOT NULL AND ${from.join(' AND ')}`);
  const code: ErrorCode = 'TRANSFER_PARTIAL';
  const shownPlace = `[${places.map((column) => text(column.name)).join(', ')}][split_part(${SAME}, ' ', 1)::INTEGER + 1]`;
  const [before, after] = catalogue[code].what({ column: '\u0000' }).split('\u0000') as [string, string];
  const count = await tx.run(`INSERT INTO millrace.quarantine (id, topic, received, code, reason, sender, body, replayed)
    SELECT ${text(prefix)} || row_number() OVER (), ${text(topicOf(of))}, now(), ${text(code)},
      ${text(before)} || ${shownPlace} || ${text(after)}, ${text(of.transfer)},
      encode(CAST(json_object(${columns.map((column) => `${text(column.name)}, CAST(${name(column.name)} AS VARCHAR)`).join(', ')}) AS VARCHAR)), NULL
    FROM filled WHERE _missing`);
  await tx.run('CREATE OR REPLACE TEMP TABLE incoming AS SELECT * EXCLUDE (_missing) FROM filled WHERE NOT _missing');
  return count;
}
