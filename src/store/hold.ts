/**
 * Rows of transfers that did not fit. They stand in quarantine, and `millrace.transfer_hold` says which of them are still the newest that
 * is known of their key. What came later for a key ends the wait of what came before (`release`), so that a replay after a fix never puts
 * a row over a newer one. Of a table that has no key each row waits for itself.
 *
 *   misfit ──► held ──► replayed                      its columns take it now
 *                 └───► released                      a newer row, a deletion, a whole copy, or a run that is read again
 */
import type { ErrorCode } from '#core';
import { pointer } from './columns.ts';
import type { Transaction } from './lane.ts';
import { name, parseTable, quoted, type TableName, text } from './names.ts';
import { exactly, PLACE, type TransferSlice } from './slice.ts';
import { among, type Of, type TransferColumn, type TransferTarget, topicOf, typesOf } from './target.ts';
import { OP, putChanges, SAME } from './upsert.ts';

/** Keys that wait for this table, whichever part of the source they came from. */
export function waiting({ transfer, target }: Pick<Of, 'transfer' | 'target'>, of = ''): string {
  return `${of}transfer = ${text(transfer)} AND ${of}target = ${text(target)}`;
}

/** A row's key as the text of its values. */
export function heldKey(places: readonly number[], prefix = 'c'): string {
  return `CAST(to_json([${places.map((k) => `${prefix}${k}`).join(', ')}]) AS VARCHAR)`;
}

export function keyPlaces(key: readonly string[], columns: readonly TransferColumn[]): number[] {
  return key.map((each) => columns.findIndex((column) => column.name.toLowerCase() === each.toLowerCase()));
}

/** The names of the key as a hold keeps them; a table of mode full or append holds rows apart from any key. */
export function heldNames(target: Pick<TransferTarget, 'mode' | 'key'>): string {
  return JSON.stringify(keyed(target) ? target.key : []);
}

function keyed({ mode }: Pick<TransferTarget, 'mode'>): boolean {
  return mode === 'merge' || mode === 'cdc';
}

/** A row of a slice that is no row of the table: `misfits` has them all, by key and place. */
const MISFITS = `CREATE OR REPLACE TEMP TABLE misfits (_key VARCHAR, _id VARCHAR, _place DOUBLE)`;

/**
 * Rows of the slice that do not fit go to quarantine, and to `misfits`. `careful` says whether there is a table `staged`. `columns` are
 * the table's, in the order of the source's. Gives how many.
 */
export async function quarantineMisfits(
  tx: Transaction,
  target: TransferTarget,
  columns: readonly TransferColumn[],
  { slice, careful }: { slice: TransferSlice; careful: boolean },
): Promise<number> {
  await tx.run(MISFITS);
  const refused = await quarantineRefused(tx, target, columns, slice);
  return careful ? refused + (await quarantineStaged(tx, target, columns, slice)) : refused;
}

async function quarantineStaged(
  tx: Transaction,
  target: TransferTarget,
  columns: readonly TransferColumn[],
  slice: TransferSlice,
): Promise<number> {
  const code: ErrorCode = 'RECORD_FIELD';
  const id = `${text(`t-${target.run}-${target.source}-${slice.number}-`)} || _n`;
  const misfit = (what: (column: TransferColumn, k: number) => string) => `[${columns.map(what).join(', ')}][_bad + 1]`;
  const body = `json_object(${columns.map((column, k) => `${text(column.name)}, c${k}`).join(', ')})`;
  const count = await tx.run(`INSERT INTO millrace.quarantine (id, topic, received, code, reason, sender, body, replayed)
    SELECT ${id}, ${text(topicOf(target))}, now(), ${text(code)},
      'The value ' || left(${misfit((_, k) => `c${k}`)}, 200) || ' of "' || ${misfit((column) => text(column.name))} || '" does not fit ' || ${misfit((column) => text(column.type))} || '.',
      ${text(target.transfer)}, encode(CAST(${body} AS VARCHAR)), NULL
    FROM staged WHERE _bad >= 0`);
  const key = keyed(target) ? heldKey(keyPlaces(target.key, columns)) : id;
  if (count > 0) await tx.run(`INSERT INTO misfits SELECT ${key}, ${id}, _n FROM staged WHERE _bad >= 0`);
  return count;
}

/** Of a record that can't be read only the bytes are kept, and it waits for nothing: only a source that is mended can give it. */
async function quarantineRefused(
  tx: Transaction,
  target: TransferTarget,
  columns: readonly TransferColumn[],
  { refused }: TransferSlice,
): Promise<number> {
  if (refused.length === 0) return 0;
  await tx.run(
    'CREATE OR REPLACE TEMP TABLE refused (line BIGINT, reason VARCHAR, body VARCHAR, cells JSON, before BIGINT, undecoded VARCHAR[])',
  );
  await tx.run(
    `INSERT INTO refused SELECT unnest(from_json($1, '[{"line":"BIGINT","reason":"VARCHAR","body":"VARCHAR","cells":"JSON","before":"BIGINT","undecoded":["VARCHAR"]}]'), recursive := true)`,
    [JSON.stringify(refused)],
  );
  const [misfit, whole, encoding]: readonly ErrorCode[] = ['RECORD_FIELD', 'RECORD_UNREADABLE', 'RECORD_ENCODING'];
  const id = `${text(`t-${target.run}-${target.source}-line-`)} || line`;
  const cells = columns.map((_, k) => `json_extract_string(cells, ${pointer(target.columns[k]!.name)})`);
  const values = columns.map((column, k) => `${text(column.name)}, ${cells[k]}`).join(', ');
  const odd = columns.map(
    (column, k) => `CASE WHEN list_contains(undecoded, ${text(target.columns[k]!.name)}) THEN ${text(column.name)} END`,
  );
  const read = `json_type(cells) = 'OBJECT'`;
  const decoded = `len(undecoded) = 0`;
  const body = `CASE WHEN ${decoded} THEN json_object(${values}) ELSE json_object(${values}, '${UNDECODED}', ${present(odd)}) END`;
  await tx.run(`INSERT INTO millrace.quarantine (id, topic, received, code, reason, sender, body, replayed)
    SELECT ${id}, ${text(topicOf(target))}, now(), CASE WHEN NOT ${decoded} THEN ${text(encoding!)} WHEN ${read} THEN ${text(misfit!)} ELSE ${text(whole!)} END,
      CASE WHEN ${decoded} THEN 'Line ' ELSE 'Row ' END || line || ': ' || reason,
      ${text(target.transfer)}, CASE WHEN ${read} THEN encode(CAST(${body} AS VARCHAR)) ELSE from_base64(body) END, NULL FROM refused`);
  const parts = keyPlaces(target.key, columns).map((place) => cells[place]);
  const key = keyed(target) ? `CAST(to_json([${parts.join(', ')}]) AS VARCHAR)` : id;
  await tx.run(`INSERT INTO misfits SELECT ${key}, ${id}, before + row_number() OVER () / 100000 FROM refused WHERE ${read}`);
  return refused.length;
}

/** Of `misfits` those wait of which nothing newer is known; by key also beside the rows of the same slice, which `incoming` has. */
export async function holdMisfits(tx: Transaction, target: TransferTarget, columns: readonly TransferColumn[] | null): Promise<void> {
  const [some] = await tx.rows('SELECT 1 FROM misfits LIMIT 1');
  if (some === undefined) return;
  if (keyed(target)) {
    await release(tx, target, 'key IN (SELECT _key FROM misfits)');
    const last = 'SELECT arg_max(_id, _place) FROM misfits GROUP BY _key';
    const newer =
      columns === null ? '' : ` OR EXISTS (SELECT 1 FROM incoming n WHERE n.${PLACE} > m._place AND ${sameKey(target, columns, 'm._key')})`;
    await tx.run(`CREATE OR REPLACE TEMP TABLE overtaken AS SELECT _id FROM misfits m WHERE _id NOT IN (${last})${newer}`);
    await tx.run('UPDATE millrace.quarantine SET replayed = now() WHERE id IN (SELECT _id FROM overtaken)');
    await tx.run('DELETE FROM misfits WHERE _id IN (SELECT _id FROM overtaken)');
  }
  await tx.run(`INSERT INTO millrace.transfer_hold (transfer, source, target, key, seq, quarantine, names)
    SELECT ${text(target.transfer)}, ${text(target.source)}, ${text(target.target)}, _key, 0, _id, ${text(heldNames(target))} FROM misfits`);
}

/** Is the row `n` of that key? As a value: texts of one value may differ. */
function sameKey(target: TransferTarget, columns: readonly TransferColumn[], key: string): string {
  const parts = keyPlaces(target.key, columns).map((place, k) => {
    const { name: own, type } = columns[place]!;
    const told = `json_extract_string(${key}, '$[${k}]')`;
    return `n.${name(own)} IS NOT DISTINCT FROM ${exactly(told, type)} AND (n.${name(own)} IS NULL) = (${told} IS NULL)`;
  });
  return parts.join(' AND ');
}

/** Holds of which `where` says true wait no longer; what stood in quarantine for them has been dealt with. */
export async function release(tx: Transaction, of: Pick<Of, 'transfer' | 'target'>, where: string): Promise<void> {
  const held = `FROM millrace.transfer_hold WHERE ${waiting(of)} AND (${where})`;
  await tx.run(`UPDATE millrace.quarantine SET replayed = now() WHERE id IN (SELECT quarantine ${held})`);
  await tx.run(`DELETE ${held}`);
}

/** Rows of `incoming` are newer than what waits for their keys. */
export async function releaseIncoming(tx: Transaction, target: TransferTarget, columns: readonly TransferColumn[]): Promise<void> {
  const [held] = await tx.rows(`SELECT 1 FROM millrace.transfer_hold WHERE ${waiting(target)} LIMIT 1`);
  if (held === undefined) return;
  const names = text(heldNames(target));
  await release(
    tx,
    target,
    `names = ${names} AND key IN (SELECT h.key FROM millrace.transfer_hold h JOIN incoming n ON ${sameKey(target, columns, 'h.key')} WHERE ${waiting(target, 'h.')} AND h.names = ${names})`,
  );
}

/** A whole copy has taken the place of everything that was read before it. */
export async function releaseFormer(tx: Transaction, target: TransferTarget): Promise<void> {
  await release(tx, target, `NOT starts_with(quarantine, ${text(`t-${target.run}-`)})`);
  await supersede(tx, target, 'true');
}

/** The source's records were all read again by this run: what it could not read before is told anew. */
export async function releaseReread(tx: Transaction, target: TransferTarget): Promise<void> {
  // An id is t-, the run, which is a UUID, and the source.
  await supersede(tx, target, `contains(id, ${text(`-${target.source}-line-`)}) AND code = 'RECORD_UNREADABLE'`);
}

async function supersede(tx: Transaction, target: TransferTarget, where: string): Promise<void> {
  await tx.run(`UPDATE millrace.quarantine SET replayed = now()
    WHERE topic = ${text(topicOf(target))} AND sender = ${text(target.transfer)} AND replayed IS NULL AND NOT starts_with(id, ${text(`t-${target.run}-`)}) AND ${where}`);
}

/** Rows of a run that are taken out again will be read again. */
export async function releaseUndone(
  tx: Transaction,
  of: Of & { readonly run: string },
  above: { column: string; type: string; cursor: string } | null,
): Promise<void> {
  const run = `${among(of)} AND starts_with(quarantine, ${text(`t-${of.run}-`)})`;
  if (above === null) return release(tx, of, run);
  const told = `json_extract_string(CAST(decode(q.body) AS JSON), ${pointer(above.column)})`;
  const value = `TRY_CAST(${told} AS ${above.type})`;
  // A cursor that is no value of its type stands where the source's order of texts puts it.
  const beyond = `coalesce(${value} > ${text(above.cursor)}::${above.type}, ${told} > ${text(above.cursor)}, true)`;
  await release(
    tx,
    of,
    `${run} AND quarantine IN (SELECT q.id FROM millrace.quarantine q WHERE q.topic = ${text(topicOf(of))} AND q.replayed IS NULL AND ${beyond})`,
  );
}

/** In the body of a change: the columns whose values the log left out. */
export const UNCHANGED = '_unchanged';
/** In the body of a row: the columns whose text could not be decoded. It fits nowhere. */
export const UNDECODED = '_undecoded';

/** Those of the names (SQL, one NULL where it is not meant) that are meant, as a list. */
export function present(names: readonly string[]): string {
  return `list_filter([${names.join(', ')}], lambda x: x IS NOT NULL)`;
}

/**
 * Rows that wait, as far as the table's columns take them now: written, and no longer waiting. Changes of one key are put together in
 * their order. `only` names the entries of quarantine that are meant; null is all. Gives how many rows were written.
 */
export async function replayHeld(tx: Transaction, of: Pick<Of, 'transfer' | 'target'>, only: string = 'true'): Promise<number> {
  const kinds = await tx.rows(`SELECT DISTINCT names FROM millrace.transfer_hold WHERE ${waiting(of)} AND names IS NOT NULL AND (${only})`);
  if (kinds.length === 0) return 0;
  const table = parseTable(of.target);
  const columns = [...(await typesOf(tx, table))].flatMap(([own, type]) => (own === '_batch' ? [] : [{ name: own, type }]));
  let rows = 0;
  for (const { names } of kinds) rows += await replayKind(tx, { table, of, columns, names: String(names), only });
  if (rows > 0) tx.changed({ kind: 'transfer', target: of.target, rows });
  return rows;
}

interface Replaying {
  readonly table: TableName;
  readonly of: Pick<Of, 'transfer' | 'target'>;
  readonly columns: readonly TransferColumn[];
  readonly names: string;
  readonly only: string;
}

async function replayKind(tx: Transaction, { table, of, columns, names, only }: Replaying): Promise<number> {
  const key = JSON.parse(names) as string[];
  // A table that has lost a column of the key can't be written by it.
  if (keyPlaces(key, columns).includes(-1)) return 0;
  await standing(tx, { table, of, columns, names, only });
  const values = columns.map((column, k) => `d${k} AS ${name(column.name)}`).join(', ');
  const fits = 'FROM standing WHERE _bad < 0';
  let rows: number;
  if (key.length === 0) {
    const own = columns.map((column) => name(column.name)).join(', ');
    rows = await tx.run(`INSERT INTO ${quoted(table)} (${own}, _batch) SELECT ${own}, ${tx.batch} FROM (SELECT ${values} ${fits})`);
  } else {
    const select = `SELECT ${values}, 'u' AS ${OP}, _same AS ${SAME} ${fits}`;
    const prefix = `t-replay-${tx.batch}-`;
    ({ rows } = await putChanges(tx, { table, of: { ...of, source: '' }, key, columns, select, moved: false, places: columns, prefix }));
  }
  await release(tx, of, `names = ${text(names)} AND key IN (SELECT _key ${fits})`);
  return rows;
}

/** `standing`: a row for each key that waits, as text and as values; `_bad` is the first column that does not take it, -1 when all do. */
async function standing(tx: Transaction, { of, columns, names, only }: Replaying): Promise<void> {
  const listed = (list: string) => (column: TransferColumn) =>
    `coalesce(list_contains(CAST(json_extract(body, '/${list}') AS VARCHAR[]), ${text(column.name)}), false)`;
  const [unchanged, undecoded] = [listed(UNCHANGED), listed(UNDECODED)];
  const told = (column: TransferColumn) => `json_exists(body, ${pointer(column.name)}) AND NOT ${unchanged(column)}`;
  const values = columns.flatMap((column, k) => [
    `arg_max_null(json_extract_string(body, ${pointer(column.name)}), seq) FILTER (${told(column)}) AS c${k}`,
    `coalesce(arg_max(${undecoded(column)}, seq) FILTER (${told(column)}), false) AS u${k}`,
    `count(*) FILTER (${told(column)}) = 0 AND count(*) FILTER (${unchanged(column)}) > 0 AS s${k}`,
  ]);
  const casts = columns.map((column, k) => `${exactly(`c${k}`, column.type)} AS d${k}`);
  const cases = columns.map((_, k) => `WHEN u${k} OR (c${k} IS NOT NULL AND d${k} IS NULL) THEN ${k} `).join('');
  const absent = columns.map((_, k) => `CASE WHEN s${k} THEN '${k}' END`).join(', ');
  await tx.run(`CREATE OR REPLACE TEMP TABLE standing AS SELECT *, CASE ${cases}ELSE -1 END AS _bad, nullif(concat_ws(' ', ${absent}), '') AS _same FROM (
    SELECT *, ${casts.join(', ')} FROM (
      SELECT key AS _key, ${values.join(', ')} FROM (
        SELECT h.key, h.seq, CAST(decode(q.body) AS JSON) AS body FROM millrace.transfer_hold h JOIN millrace.quarantine q ON q.id = h.quarantine
        WHERE ${waiting(of, 'h.')} AND h.names = ${text(names)} AND h.key IN (SELECT key FROM millrace.transfer_hold WHERE ${waiting(of)} AND (${only})))
      GROUP BY key))`);
}

/**
 * The same for all transfers, or the table that the quarantine's topic names; `ids` are entries of quarantine. Rows of a run that has not
 * ended wait for its end, unless their key keeps them from being doubled. Of records that a source could not read none is accepted.
 */
export async function replayQuarantined(
  tx: Transaction,
  { topic, ids }: { readonly topic?: string | undefined; readonly ids?: readonly string[] | undefined },
): Promise<{ tried: number; accepted: number; rejected: number }> {
  const one = topic === undefined ? [] : [`topic = ${text(topic)}`];
  const some = ids === undefined ? [] : [`id IN (${ids.map(text).join(', ') || 'NULL'})`];
  // What this write itself puts there has its time.
  const meant = [`starts_with(topic, 'transfer:')`, 'replayed IS NULL', 'received < now()', ...one, ...some].join(' AND ');
  const count = async () => Number((await tx.rows(`SELECT count(*) AS n FROM millrace.quarantine WHERE ${meant}`))[0]!['n']);
  const entries = `SELECT id FROM millrace.quarantine WHERE ${meant}`;
  const open = `SELECT source FROM (SELECT * FROM millrace.transfer QUALIFY row_number() OVER (PARTITION BY transfer, source, target ORDER BY seq DESC) = 1)
    WHERE event IN ('open', 'slice')`;
  const tried = await count();
  const tables = await tx.rows(
    `SELECT DISTINCT transfer, target FROM millrace.transfer_hold WHERE quarantine IN (${entries}) ORDER BY ALL`,
  );
  for (const { transfer, target } of tables)
    await replayHeld(
      tx,
      { transfer: String(transfer), target: String(target) },
      `quarantine IN (${entries}) AND (names <> '[]' OR source NOT IN (${open}))`,
    );
  const rejected = await count();
  return { tried, accepted: tried - rejected, rejected };
}
