/**
 * Changes that follow another system's log, exactly once: the changes of all tables of a transfer and the source's position are one
 * write. The position is the cursor of the transfer's own row in `millrace.transfer` (source and target `*`); each table's row says as
 * of which position its whole copy was taken. A row that does not fit waits in quarantine, and later changes of its key behind it.
 */
import { type Bytes, catalogue, type ErrorCode, fail } from '#core';
import {
  type Applied,
  adapt,
  among,
  cast,
  exactly,
  heldKey,
  keepReplaced,
  NOTHING,
  type Of,
  READ_AS_ITSELF,
  reader,
  record,
  release,
  stateOf,
  type TransferColumn,
  type TransferTarget,
  topicOf,
  typesOf,
} from './apply.ts';
import { pointer } from './columns.ts';
import type { Transaction } from './lane.ts';
import { name, parseTable, quoted, type TableName, text } from './names.ts';

/** The outcome of each key that changed in one table: a file of the columns, then `u` or `d`, the places of values that were left out, and former keys. */
export interface TableChanges {
  /** Its columns are those of the file. */
  readonly target: TransferTarget;
  /** Of these columns the table has its own. */
  readonly taken: readonly string[];
  readonly file: string;
  readonly rows: number;
  readonly bytes: Bytes;
  /** All former rows go first. */
  readonly truncate: boolean;
  /** Are there former keys? They say which row has the values that were left out. */
  readonly moved: boolean;
}

export interface ChangeSlices {
  readonly transfer: string;
  readonly run: string;
  /** From 1, without gaps. */
  readonly number: number;
  readonly position: string;
  readonly changes: readonly TableChanges[];
}

const ALL = '*';
const streamOf = (transfer: string): Of => ({ transfer, source: ALL, target: ALL });
/** Rows of the stream that are kept of one run; only the newest counts. */
const KEPT = 1000;

/** The run takes the stream over. Gives where it stands, and the positions of whole copies; null where there is none to go on from. */
export async function openStream(
  tx: Transaction,
  { transfer, run }: { transfer: string; run: string },
): Promise<{ position: string | null; tables: { source: string; target: string; position: string | null }[] }> {
  const stream = streamOf(transfer);
  const before = await stateOf(tx, stream);
  const rows = await tx.rows(
    `SELECT source, target, event, cursor FROM millrace.transfer WHERE transfer = ${text(transfer)} AND source <> '${ALL}'
     QUALIFY row_number() OVER (PARTITION BY source, target ORDER BY seq DESC) = 1`,
  );
  await record(tx, { ...stream, run }, { event: 'open', slice: 0, cursor: before?.cursor ?? null, applied: NOTHING });
  await tx.run(`DELETE FROM millrace.transfer WHERE ${among(stream)} AND event = 'slice'`);
  return {
    position: before?.cursor ?? null,
    tables: rows.map((row) => ({
      source: String(row['source']),
      target: String(row['target']),
      position: row['event'] === 'close' ? (row['cursor'] as string | null) : null,
    })),
  };
}

/** The stream rests. */
export async function closeStream(tx: Transaction, { transfer, run }: { transfer: string; run: string }): Promise<void> {
  const before = await stateOf(tx, streamOf(transfer));
  if (before === null || before.run !== run || before.event === 'close') return;
  await record(tx, { ...streamOf(transfer), run }, { event: 'close', slice: before.slice, cursor: before.cursor, applied: NOTHING });
}

/** Brings a table that is followed to the source's columns, and writes rows that were held and fit now. Errors: TRANSFER_DRIFT. */
export async function reshapeTarget(
  tx: Transaction,
  target: TransferTarget,
): Promise<{ columns: string[]; notes: string[]; replayed: number }> {
  const notes: string[] = [];
  const table = parseTable(target.target);
  const columns = await adapt(tx, table, target, notes);
  return { columns, notes, replayed: await replay(tx, table, target, columns) };
}

/**
 * One write. `careful` reads every value as text; without it a value that does not fit fails the whole write (STORE_WRITE).
 * Errors: TRANSFER_SUPERSEDED.
 */
export async function applyChanges(tx: Transaction, slices: ChangeSlices, careful: boolean): Promise<Applied[]> {
  const stream = streamOf(slices.transfer);
  const before = await stateOf(tx, stream);
  if (before === null || before.run !== slices.run) fail('TRANSFER_SUPERSEDED', { transfer: slices.transfer });
  if (before.slice >= slices.number) return slices.changes.map(() => NOTHING);
  const applied: Applied[] = [];
  for (const changes of slices.changes) applied.push(await applyTable(tx, changes, slices.number, careful));
  const sum = (of: keyof Applied) => applied.reduce((total, each) => total + each[of], 0);
  await record(
    tx,
    { ...stream, run: slices.run },
    {
      event: 'slice',
      slice: slices.number,
      cursor: slices.position,
      applied: { rows: sum('rows'), replaced: sum('replaced'), quarantined: sum('quarantined') },
    },
  );
  if (slices.number % KEPT === 0)
    await tx.run(`DELETE FROM millrace.transfer WHERE ${among(stream)} AND event = 'slice' AND slice < ${slices.number}`);
  return applied;
}

const OP = '_millrace_op';
const SAME = '_millrace_same';
const FROM = '_millrace_from_';

async function applyTable(tx: Transaction, changes: TableChanges, number: number, careful: boolean): Promise<Applied> {
  const { target } = changes;
  const table = parseTable(target.target);
  const types = await typesOf(tx, table);
  const columns = target.columns.map((column) => ({ ...column, type: types.get(column.name) ?? column.type }));
  let removed = 0;
  if (changes.truncate) removed = await truncate(tx, table, target);
  const held = await tx.rows(`SELECT 1 FROM millrace.transfer_hold WHERE ${among(target)} LIMIT 1`);
  const withCare = careful || held.length > 0;
  const all = [...columns, ...extras(changes, columns)];
  const quarantined = withCare ? await judge(tx, changes, columns, all, number) : 0;
  const own = columns.filter((column) => changes.taken.includes(column.name));
  const select = withCare
    ? `SELECT ${shown(own, all, columns, 'd')} FROM judged WHERE _verdict = 'apply'`
    : direct(changes, own, columns, all);
  const { rows, replaced, partial } = await write(tx, {
    table,
    target,
    columns: own,
    select,
    moved: changes.moved,
    number,
    places: columns,
  });
  const applied = { rows, replaced: replaced + removed, quarantined: quarantined + partial };
  tx.changed({ kind: 'transfer', target: target.target, rows, quarantined: applied.quarantined });
  return applied;
}

/** What stands in the file behind the table's columns. */
function extras({ moved, target }: TableChanges, columns: readonly TransferColumn[]): TransferColumn[] {
  const from = target.key.map((each, k) => ({ name: `${FROM}${k}`, type: columns.find((column) => column.name === each)!.type }));
  return [{ name: OP, type: 'VARCHAR' }, { name: SAME, type: 'VARCHAR' }, ...(moved ? from : [])];
}

function shown(own: readonly TransferColumn[], all: readonly TransferColumn[], columns: readonly TransferColumn[], prefix: string): string {
  const place = (column: TransferColumn) => all.findIndex((each) => each.name === column.name);
  return [...own, ...all.slice(columns.length)].map((column) => `${prefix}${place(column)} AS ${name(column.name)}`).join(', ');
}

/** The file's rows as values, read straight into their types. */
function direct(
  changes: TableChanges,
  own: readonly TransferColumn[],
  columns: readonly TransferColumn[],
  all: readonly TransferColumn[],
): string {
  const wanted = new Set([...own, ...all.slice(columns.length)].map((column) => column.name));
  const types = all.map((column) => (wanted.has(column.name) && READ_AS_ITSELF.test(column.type) ? column.type : 'VARCHAR'));
  const values = all.flatMap((column, k) =>
    wanted.has(column.name) ? [`${types[k] === column.type ? `c${k}` : cast(`c${k}`, column.type, 'CAST')} AS ${name(column.name)}`] : [],
  );
  return `SELECT ${values.join(', ')} FROM ${reader(changes, types)}`;
}

async function truncate(tx: Transaction, table: TableName, target: TransferTarget): Promise<number> {
  await keepReplaced(tx, table, target, `SELECT * FROM ${quoted(table)}`);
  await release(tx, target, 'true');
  return tx.run(`DELETE FROM ${quoted(table)}`);
}

/**
 * `judged`: the file's rows as text and as values, and what becomes of each. Misfits, and changes of keys that wait, go to quarantine;
 * a deletion ends the wait of its key. Gives how many went there.
 */
async function judge(
  tx: Transaction,
  changes: TableChanges,
  columns: readonly TransferColumn[],
  all: readonly TransferColumn[],
  number: number,
): Promise<number> {
  const { target } = changes;
  const [op, same] = [columns.length, columns.length + 1];
  const casts = all.map((column, k) => `${exactly(`c${k}`, column.type)} AS d${k}`);
  const cases = columns
    .map((column, k) =>
      column.type === 'VARCHAR' || !changes.taken.includes(column.name) ? '' : `WHEN c${k} IS NOT NULL AND d${k} IS NULL THEN ${k} `,
    )
    .join('');
  const places = keyPlaces(target, columns);
  const former = changes.moved ? `CASE WHEN c${same} IS NOT NULL THEN ${heldKey(places.map((_, k) => same + 1 + k))} END` : 'NULL::VARCHAR';
  const waits = `(SELECT key FROM millrace.transfer_hold WHERE ${among(target)})`;
  const read = reader(
    changes,
    all.map(() => 'VARCHAR'),
  );
  await tx.run(`CREATE OR REPLACE TEMP TABLE judged AS
    SELECT *, CASE WHEN c${op} = 'd' THEN 'apply' WHEN _bad >= 0 THEN 'misfit' WHEN _key IN ${waits} OR coalesce(_former IN ${waits}, false) THEN 'held' ELSE 'apply' END AS _verdict FROM (
      SELECT *, ${cases === '' ? '-1' : `CASE ${cases}ELSE -1 END`} AS _bad, ${heldKey(places)} AS _key, ${former} AS _former, row_number() OVER () AS _n
      FROM (SELECT *, ${casts.join(', ')} FROM ${read}))`);
  await release(tx, target, `key IN (SELECT _key FROM judged WHERE c${op} = 'd')`);
  const prefix = text(`t-${target.run}-${target.source}-c${number}-`);
  const named = (what: (column: TransferColumn, k: number) => string) => `[${columns.map(what).join(', ')}][_bad + 1]`;
  const misfit: ErrorCode = 'RECORD_FIELD';
  const waiting: ErrorCode = 'TRANSFER_HELD';
  const reason = `CASE _verdict WHEN 'held' THEN ${text(catalogue[waiting].what())}
    ELSE 'The value ' || left(${named((_, k) => `c${k}`)}, 200) || ' of "' || ${named((column) => text(column.name))} || '" does not fit ' || ${named((column) => text(column.type))} || '.' END`;
  const gone = `FROM judged WHERE _verdict <> 'apply'`;
  const count = await tx.run(`INSERT INTO millrace.quarantine
    SELECT ${prefix} || _n, ${text(topicOf(target))}, now(), CASE _verdict WHEN 'held' THEN ${text(waiting)} ELSE ${text(misfit)} END, ${reason},
      ${text(target.transfer)}, encode(CAST(${bodyOf(columns, same)} AS VARCHAR)), NULL ${gone}`);
  if (count > 0)
    await tx.run(`INSERT INTO millrace.transfer_hold SELECT ${text(target.transfer)}, ${text(target.source)}, ${text(target.target)}, _key,
      (SELECT coalesce(max(seq), 0) + 1 FROM millrace.transfer_hold WHERE ${among(target)}), ${prefix} || _n ${gone}`);
  return count;
}

const UNCHANGED = '_unchanged';

/** A row as JSON of its texts; the columns that the log left out are listed beside. */
function bodyOf(columns: readonly TransferColumn[], same: number): string {
  const values = columns.map((column, k) => `${text(column.name)}, c${k}`).join(', ');
  const absent = columns
    .map((column, k) => `CASE WHEN list_contains(string_split(c${same}, ' '), '${k}') THEN ${text(column.name)} END`)
    .join(', ');
  return `CASE WHEN c${same} IS NULL THEN json_object(${values}) ELSE json_object(${values}, '${UNCHANGED}', list_filter([${absent}], lambda x: x IS NOT NULL)) END`;
}

function keyPlaces(target: TransferTarget, columns: readonly TransferColumn[]): number[] {
  return target.key.map((each) => columns.findIndex((column) => column.name === each));
}

interface Writing {
  readonly table: TableName;
  readonly target: TransferTarget;
  readonly columns: readonly TransferColumn[];
  /** Rows with the columns and the extras; a key stands there once. */
  readonly select: string;
  readonly moved: boolean;
  readonly number: number;
  /** The columns whose places the list of left out values names. */
  readonly places: readonly TransferColumn[];
}

/** Rows that stand there unchanged are left alone; what is replaced or deleted goes to `change`. */
async function write(
  tx: Transaction,
  { table, target, columns, select, moved, number, places }: Writing,
): Promise<{ rows: number; replaced: number; partial: number }> {
  const keys = target.key.map(name);
  const same = (names: readonly string[]) => names.map((each) => `o.${each} IS NOT DISTINCT FROM n.${each}`).join(' AND ');
  const all = columns.map((column) => name(column.name));
  await tx.run(`CREATE OR REPLACE TEMP TABLE incoming AS ${select}`);
  const [open] = await tx.rows(`SELECT count(*) AS n FROM incoming WHERE ${SAME} IS NOT NULL`);
  const partial = Number(open!['n']) > 0 ? await fill(tx, { table, target, columns, select, moved, number, places }) : 0;
  await tx.run(
    `CREATE OR REPLACE TEMP TABLE former AS SELECT o.* FROM ${quoted(table)} o WHERE EXISTS (SELECT 1 FROM incoming n WHERE ${same(keys)})`,
  );
  await tx.run(`DELETE FROM incoming n WHERE ${OP} = 'u' AND EXISTS (SELECT 1 FROM former o WHERE ${same(all)})`);
  const gone = `SELECT o.* FROM former o WHERE EXISTS (SELECT 1 FROM incoming n WHERE ${same(keys)})`;
  const [count] = await tx.rows(`SELECT count(*) AS n FROM (${gone})`);
  const replaced = Number(count!['n']);
  if (replaced > 0) {
    await keepReplaced(tx, table, target, gone);
    await tx.run(`DELETE FROM ${quoted(table)} o WHERE EXISTS (SELECT 1 FROM incoming n WHERE ${same(keys)})`);
  }
  const rows = await tx.run(
    `INSERT INTO ${quoted(table)} (${all.join(', ')}, _batch) SELECT ${all.join(', ')}, ${tx.batch} FROM incoming WHERE ${OP} = 'u'`,
  );
  return { rows, replaced, partial };
}

/** Values that the log left out come from the row as it stands here; where there is none, the change goes to quarantine. */
async function fill(tx: Transaction, { table, target, columns, moved, number, places }: Writing): Promise<number> {
  const from = target.key.map((each, k) => {
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
  const count = await tx.run(`INSERT INTO millrace.quarantine
    SELECT ${text(`t-${target.run}-${target.source}-p${number}-`)} || row_number() OVER (), ${text(topicOf(target))}, now(), ${text(code)},
      ${text(before)} || ${shownPlace} || ${text(after)}, ${text(target.transfer)},
      encode(CAST(json_object(${columns.map((column) => `${text(column.name)}, CAST(${name(column.name)} AS VARCHAR)`).join(', ')}) AS VARCHAR)), NULL
    FROM filled WHERE _missing`);
  await tx.run('CREATE OR REPLACE TEMP TABLE incoming AS SELECT * EXCLUDE (_missing) FROM filled WHERE NOT _missing');
  return count;
}

/** Keys that wait, put together from their changes in quarantine; those that fit now are written and wait no longer. */
async function replay(tx: Transaction, table: TableName, target: TransferTarget, taken: readonly string[]): Promise<number> {
  const [held] = await tx.rows(`SELECT count(*) AS n FROM millrace.transfer_hold WHERE ${among(target)}`);
  if (Number(held!['n']) === 0) return 0;
  const types = await typesOf(tx, table);
  const columns = target.columns
    .filter((column) => taken.includes(column.name))
    .map((column) => ({ ...column, type: types.get(column.name)! }));
  const present = (column: TransferColumn) =>
    `json_exists(body, ${pointer(column.name)}) AND NOT coalesce(list_contains(CAST(json_extract(body, '/${UNCHANGED}') AS VARCHAR[]), ${text(column.name)}), false)`;
  const values = columns.flatMap((column, k) => [
    `arg_max_null(json_extract_string(body, ${pointer(column.name)}), seq) FILTER (${present(column)}) AS c${k}`,
    `count(*) FILTER (${present(column)}) AS n${k}`,
  ]);
  const casts = columns.map((column, k) => `${exactly(`c${k}`, column.type)} AS d${k}`);
  const cases = columns.map((_, k) => `WHEN c${k} IS NOT NULL AND d${k} IS NULL THEN ${k} `).join('');
  const absent = columns.map((_, k) => `CASE WHEN n${k} = 0 THEN '${k}' END`).join(', ');
  await tx.run(`CREATE OR REPLACE TEMP TABLE waiting AS SELECT *, CASE ${cases}ELSE -1 END AS _bad, nullif(concat_ws(' ', ${absent}), '') AS _same FROM (
    SELECT *, ${casts.join(', ')} FROM (
      SELECT key AS _key, ${values.join(', ')} FROM (
        SELECT h.key, h.seq, CAST(decode(q.body) AS JSON) AS body FROM millrace.transfer_hold h JOIN millrace.quarantine q ON q.id = h.quarantine WHERE ${among(target, 'h.')})
      GROUP BY key))`);
  const select = `SELECT ${columns.map((column, k) => `d${k} AS ${name(column.name)}`).join(', ')}, 'u' AS ${OP}, _same AS ${SAME} FROM waiting WHERE _bad < 0`;
  const { rows } = await write(tx, { table, target, columns, select, moved: false, number: 0, places: columns });
  await release(tx, target, 'key IN (SELECT _key FROM waiting WHERE _bad < 0)');
  if (rows > 0) tx.changed({ kind: 'transfer', target: target.target, rows });
  return rows;
}
