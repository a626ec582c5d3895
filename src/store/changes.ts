/**
 * Changes that follow another system's log, exactly once: the changes of all tables of a transfer and the source's position are one
 * write. The position is the cursor of the transfer's own row in `millrace.transfer` (source and target `*`); each table's row says as
 * of which position its whole copy was taken. A row that does not fit waits in quarantine, and later changes of its key behind it.
 */
import { type Bytes, catalogue, type ErrorCode, fail } from '#core';
import { heldKey, heldNames, keyPlaces, present, release, replayHeld, UNCHANGED, UNDECODED, waiting } from './hold.ts';
import type { Transaction } from './lane.ts';
import { name, parseTable, quoted, type TableName, text } from './names.ts';
import { cast, exactly, READ_AS_ITSELF, reader } from './slice.ts';
import {
  type Applied,
  adapt,
  among,
  keepReplaced,
  NOTHING,
  type Of,
  record,
  stateOf,
  type TransferColumn,
  type TransferTarget,
  topicOf,
  typesOf,
} from './target.ts';
import { FROM, ODD, OP, OVER, putChanges, SAME } from './upsert.ts';

/**
 * The outcome of each key that changed in one table: a file of the columns, then `u` or `d`, the places of values that were left out, those of
 * values whose bytes are no text, and former keys.
 */
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
  /** Are there values whose bytes are no text? What stands for them only shows them. */
  readonly undecoded: boolean;
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
  return { columns, notes, replayed: await replayHeld(tx, target) };
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

async function applyTable(tx: Transaction, changes: TableChanges, number: number, careful: boolean): Promise<Applied> {
  const { target } = changes;
  const table = parseTable(target.target);
  const types = await typesOf(tx, table);
  const columns = target.columns.map((column) => ({ ...column, type: types.get(column.name) ?? column.type }));
  let removed = 0;
  if (changes.truncate) removed = await truncate(tx, table, target);
  const held = await tx.rows(`SELECT 1 FROM millrace.transfer_hold WHERE ${waiting(target)} LIMIT 1`);
  const withCare = careful || changes.undecoded || held.length > 0;
  const all = [...columns, ...extras(changes, columns)];
  const quarantined = withCare ? await judge(tx, changes, columns, all, number) : 0;
  const own = columns.filter((column) => changes.taken.includes(column.name));
  const select = withCare
    ? `SELECT ${shown(own, all, columns, 'd')} FROM judged WHERE _verdict = 'apply'`
    : direct(changes, own, columns, all);
  const { moved } = changes;
  const prefix = `t-${target.run}-${target.source}-p${number}-`;
  const { rows, replaced, partial } = await putChanges(tx, {
    table,
    of: target,
    key: target.key,
    columns: own,
    select,
    moved,
    places: columns,
    prefix,
  });
  const applied = { rows, replaced: replaced + removed, quarantined: quarantined + partial };
  tx.changed({ kind: 'transfer', target: target.target, rows, quarantined: applied.quarantined });
  return applied;
}

/** What stands in the file behind the table's columns. */
function extras({ moved, undecoded, target }: TableChanges, columns: readonly TransferColumn[]): TransferColumn[] {
  const from = target.key.map((each, k) => ({ name: `${FROM}${k}`, type: columns.find((column) => column.name === each)!.type }));
  const plain = [OP, SAME, ...(undecoded ? [ODD] : [])].map((each) => ({ name: each, type: 'VARCHAR' }));
  return [...plain, ...(moved ? from : [])];
}

function shown(own: readonly TransferColumn[], all: readonly TransferColumn[], columns: readonly TransferColumn[], prefix: string): string {
  const place = (column: TransferColumn) => all.findIndex((each) => each.name === column.name);
  return [...own, ...all.slice(columns.length)].map((column) => `${prefix}${place(column)} AS ${name(column.name)}`).join(', ');
}

/**
 * The file's rows as values, read straight into their types. Columns that are left out are read as well: DuckDB (1.5.6) looks for the place of a
 * value it can't read among those that a query takes, and where it is not there the whole database fails.
 */
function direct(
  changes: TableChanges,
  own: readonly TransferColumn[],
  columns: readonly TransferColumn[],
  all: readonly TransferColumn[],
): string {
  const wanted = new Set([...own, ...all.slice(columns.length)].map((column) => column.name));
  const types = all.map((column) => (wanted.has(column.name) && READ_AS_ITSELF.test(column.type) ? column.type : 'VARCHAR'));
  const values = all.map((column, k) => {
    if (!wanted.has(column.name)) return `c${k} AS ${OVER}${k}`;
    return `${types[k] === column.type ? `c${k}` : cast(`c${k}`, column.type, 'CAST')} AS ${name(column.name)}`;
  });
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
  const odd = changes.undecoded ? same + 1 : null;
  const casts = all.map((column, k) => `${exactly(`c${k}`, column.type)} AS d${k}`);
  const cases = columns
    .map((column, k) =>
      column.type === 'VARCHAR' || !changes.taken.includes(column.name) ? '' : `WHEN c${k} IS NOT NULL AND d${k} IS NULL THEN ${k} `,
    )
    .join('');
  const places = keyPlaces(target.key, columns);
  const former = changes.moved
    ? `CASE WHEN c${same} IS NOT NULL THEN ${heldKey(places.map((_, k) => (odd ?? same) + 1 + k))} END`
    : 'NULL::VARCHAR';
  const own = columns.flatMap(({ name: each }, k) => (changes.taken.includes(each) ? [`'${k}'`] : []));
  // The first of the columns whose text can't be decoded.
  const unreadable = odd === null ? 'NULL::INTEGER' : `CAST(list_intersect(string_split(c${odd}, ' '), [${own.join(', ')}])[1] AS INTEGER)`;
  const waits = `(SELECT key FROM millrace.transfer_hold WHERE ${waiting(target)})`;
  const read = reader(
    changes,
    all.map(() => 'VARCHAR'),
  );
  await tx.run(`CREATE OR REPLACE TEMP TABLE judged AS
    SELECT *, CASE WHEN c${op} = 'd' THEN CASE WHEN _odd IS NULL THEN 'apply' ELSE 'nothing' END WHEN _bad >= 0 THEN 'misfit' WHEN _key IN ${waits} OR coalesce(_former IN ${waits}, false) THEN 'held' ELSE 'apply' END AS _verdict FROM (
      SELECT *, ${unreadable} AS _odd, CASE WHEN ${unreadable} IS NOT NULL THEN ${unreadable} ${cases}ELSE -1 END AS _bad, ${heldKey(places)} AS _key, ${former} AS _former, row_number() OVER () AS _n
      FROM (SELECT *, ${casts.join(', ')} FROM ${read}))`);
  await release(tx, target, `key IN (SELECT _key FROM judged WHERE c${op} = 'd')`);
  const prefix = text(`t-${target.run}-${target.source}-c${number}-`);
  const named = (what: (column: TransferColumn, k: number) => string) => `[${columns.map(what).join(', ')}][_bad + 1]`;
  const misfit: ErrorCode = 'RECORD_FIELD';
  const behind: ErrorCode = 'TRANSFER_HELD';
  const encoding: ErrorCode = 'RECORD_ENCODING';
  const told = (held: string, unread: string, unfit: string) =>
    `CASE WHEN _verdict = 'held' THEN ${held} WHEN _odd IS NOT NULL THEN ${unread} ELSE ${unfit} END`;
  const shownValue = `left(${named((_, k) => `c${k}`)}, 200)`;
  const shownName = named((column) => text(column.name));
  const reason = told(
    text(catalogue[behind].what()),
    `'The text of "' || ${shownName} || '" is not valid UTF-8: ' || ${shownValue}`,
    `'The value ' || ${shownValue} || ' of "' || ${shownName} || '" does not fit ' || ${named((column) => text(column.type))} || '.'`,
  );
  const gone = `FROM judged WHERE _verdict IN ('held', 'misfit')`;
  const count = await tx.run(`INSERT INTO millrace.quarantine (id, topic, received, code, reason, sender, body, replayed)
    SELECT ${prefix} || _n, ${text(topicOf(target))}, now(), ${told(text(behind), text(encoding), text(misfit))}, ${reason},
      ${text(target.transfer)}, encode(CAST(${bodyOf(columns, same, odd)} AS VARCHAR)), NULL ${gone}`);
  if (count > 0)
    await tx.run(`INSERT INTO millrace.transfer_hold (transfer, source, target, key, seq, quarantine, names)
      SELECT ${text(target.transfer)}, ${text(target.source)}, ${text(target.target)}, _key,
        (SELECT coalesce(max(seq), 0) + 1 FROM millrace.transfer_hold WHERE ${waiting(target)}), ${prefix} || _n, ${text(heldNames(target))} ${gone}`);
  return count;
}

/** A row as JSON of its texts; the columns that the log left out, and those whose text can't be decoded, are listed beside. */
function bodyOf(columns: readonly TransferColumn[], same: number, odd: number | null): string {
  const values = columns.map((column, k) => `${text(column.name)}, c${k}`).join(', ');
  const listed = (list: string, place: number) => {
    const names = columns.map((column, k) => `CASE WHEN list_contains(string_split(c${place}, ' '), '${k}') THEN ${text(column.name)} END`);
    return `, '${list}', ${present(names)}`;
  };
  const unchanged = listed(UNCHANGED, same);
  const body = (more: string) =>
    `CASE WHEN c${same} IS NULL THEN json_object(${values}${more}) ELSE json_object(${values}${unchanged}${more}) END`;
  return odd === null ? body('') : `CASE WHEN c${odd} IS NULL THEN ${body('')} ELSE ${body(listed(UNDECODED, odd))} END`;
}
