/**
 * Rows of transfers into their tables, exactly once: each slice is one write together with the transfer's state, which is appended to
 * `millrace.transfer` (the newest row of a transfer's table counts). A slice that was applied is recognised by its number.
 *
 *   open ──► slice 1 ──► … ──► slice n ──► close          a run of one table
 *     ▲        a later open takes over: slices of the run before are refused
 */
import { unlinkSync } from 'node:fs';
import { type Bytes, type Drift, type ErrorCode, fail, type TransferMode } from '#core';
import type { Row, Transaction } from './lane.ts';
import { name, parseTable, quoted, type TableName, text } from './names.ts';

export interface TransferColumn {
  readonly name: string;
  /** The source's type in the warehouse's words; texts of a slice are values of it. */
  readonly type: string;
}

/** One table in one run of a transfer. */
export interface TransferTarget {
  readonly transfer: string;
  readonly run: string;
  /** The table's name at the source. */
  readonly source: string;
  /** schema.name */
  readonly target: string;
  readonly mode: TransferMode;
  readonly key: readonly string[];
  readonly cursor: string | null;
  readonly drift: Drift;
  readonly columns: readonly TransferColumn[];
}

/** Rows of a file in the form of src/transfer/rows.ts. */
export interface TransferSlice {
  /** From 1, without gaps. */
  readonly number: number;
  readonly file: string;
  readonly rows: number;
  readonly bytes: Bytes;
  /** All rows of the source up to this cursor have been applied with this slice; null if none was completed since the run began. */
  readonly complete: string | null;
  /** Rows that the source could not read, body in base64. */
  readonly refused: readonly { readonly line: number; readonly reason: string; readonly body: string }[];
}

export interface Applied {
  /** Rows that were written: those that stood there unchanged are not among them. */
  readonly rows: number;
  readonly replaced: number;
  readonly quarantined: number;
}

/** Where a transfer's table stands. */
export interface TransferState {
  readonly transfer: string;
  readonly source: string;
  readonly target: string;
  readonly run: string;
  /** open and slice: the run has not ended, or was cut off. */
  readonly event: 'open' | 'slice' | 'close' | 'edit';
  readonly slice: number;
  readonly cursor: string | null;
  readonly at: string;
  readonly rows: number;
  readonly replaced: number;
  readonly quarantined: number;
}

/** `seq` orders the rows; `batch` is the write that brought them. Appended, never updated. */
export const TRANSFER_TABLES = `
CREATE TABLE IF NOT EXISTS millrace.transfer (
  seq BIGINT NOT NULL, written TIMESTAMPTZ NOT NULL, batch BIGINT NOT NULL, transfer VARCHAR NOT NULL, source VARCHAR NOT NULL, target VARCHAR NOT NULL,
  run VARCHAR NOT NULL, event VARCHAR NOT NULL, slice BIGINT NOT NULL, cursor VARCHAR, rows BIGINT NOT NULL, replaced BIGINT NOT NULL, quarantined BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS millrace.transfer_run (
  run VARCHAR NOT NULL, transfer VARCHAR NOT NULL, began TIMESTAMPTZ NOT NULL, ended TIMESTAMPTZ NOT NULL, outcome VARCHAR NOT NULL,
  rows BIGINT NOT NULL, replaced BIGINT NOT NULL, quarantined BIGINT NOT NULL, equal BOOLEAN, code VARCHAR, report VARCHAR
);
CREATE TABLE IF NOT EXISTS millrace.transfer_hold (
  transfer VARCHAR NOT NULL, source VARCHAR NOT NULL, target VARCHAR NOT NULL, key VARCHAR NOT NULL, seq BIGINT NOT NULL, quarantine VARCHAR NOT NULL
);
`;

/** Whole copies fill a table of this name beside the target; no user's table can have it. */
export const NEXT = '_next_';

/** A full run, and the copy with which one that follows changes begins. */
const isWhole = ({ mode }: TransferTarget): boolean => mode === 'full' || mode === 'cdc';

/**
 * Takes the table over for this run, makes or adapts the target, and undoes what a run that was cut off left unfinished. Gives the
 * state's cursor, and the columns that are to be read. Errors: TABLE_NAME, TRANSFER_DRIFT.
 */
export async function openTarget(
  tx: Transaction,
  target: TransferTarget,
): Promise<{ cursor: string | null; columns: string[]; notes: string[] }> {
  const table = parseTable(target.target);
  const before = await stateOf(tx, target);
  await tx.run(`CREATE SCHEMA IF NOT EXISTS ${name(table.schema)}`);
  const notes: string[] = [];
  let columns = target.columns.map((column) => column.name);
  if (isWhole(target)) {
    await createTable(tx, { schema: table.schema, name: NEXT + table.name }, target.columns, 'OR REPLACE');
    if (target.mode === 'cdc') await release(tx, target, 'true');
  } else {
    await createTable(tx, table, target.columns, 'IF NOT EXISTS');
    columns = await adapt(tx, table, target, notes);
    if (target.mode === 'append' && before !== null && before.event !== 'close' && before.event !== 'edit')
      await undo(tx, table, target, before);
  }
  const cursor = target.cursor === null || isWhole(target) ? null : (before?.cursor ?? null);
  await record(tx, target, { event: 'open', slice: 0, cursor, applied: NOTHING });
  return { cursor, columns, notes };
}

export const NOTHING: Applied = { rows: 0, replaced: 0, quarantined: 0 };

/**
 * One slice. `careful` reads every value as text and puts rows with a value that does not fit into quarantine; without it such a value
 * fails the whole write (STORE_WRITE), which is several times cheaper for rows that are known to fit. Errors: TRANSFER_SUPERSEDED.
 */
export async function applySlice(tx: Transaction, target: TransferTarget, slice: TransferSlice, asked: boolean): Promise<Applied> {
  const before = await stateOf(tx, target);
  if (before === null || before.run !== target.run) fail('TRANSFER_SUPERSEDED', { transfer: target.transfer });
  if (before.slice >= slice.number) return { rows: before.rows, replaced: before.replaced, quarantined: before.quarantined };
  const table = parseTable(target.target);
  const into = isWhole(target) ? { schema: table.schema, name: NEXT + table.name } : table;
  const types = await typesOf(tx, into);
  const columns = target.columns.map((column) => ({ ...column, type: typeIn(types, column.name) ?? column.type }));
  // Texts are values of the source's types; the reader would round 30.5 where the table kept an integer.
  const careful = asked || columns.some(({ type }, k) => type !== target.columns[k]!.type);
  let quarantined = await quarantineRefused(tx, target, slice);
  let rows = 0;
  let replaced = 0;
  if (slice.rows > 0) {
    const from = careful ? await staged(tx, columns, slice) : { select: typed(columns, slice), bad: 0 };
    if (careful) quarantined += await quarantineMisfits(tx, target, columns, slice);
    if (careful && target.mode === 'cdc') await holdMisfits(tx, target, columns, slice);
    const names = columns.map((column) => name(column.name)).join(', ');
    if (target.mode === 'merge') ({ rows, replaced } = await merge(tx, table, target, columns, from.select));
    else rows = await tx.run(`INSERT INTO ${quoted(into)} (${names}, _batch) SELECT ${names}, ${tx.batch} FROM (${from.select})`);
  }
  const applied = { rows, replaced, quarantined };
  // A hidden table is nobody's news before it is swapped in.
  if (!isWhole(target) || quarantined > 0)
    tx.changed({ kind: 'transfer', target: isWhole(target) ? 'millrace.quarantine' : target.target, rows, quarantined });
  await record(tx, target, { event: 'slice', slice: slice.number, cursor: slice.complete ?? before.cursor, applied });
  return applied;
}

/** The run has read all: a full one swaps its table in; the cursor stands at `complete`. Errors: TRANSFER_SUPERSEDED. */
export async function closeTarget(tx: Transaction, target: TransferTarget, complete: string | null): Promise<void> {
  const before = await stateOf(tx, target);
  if (before === null || before.run !== target.run) fail('TRANSFER_SUPERSEDED', { transfer: target.transfer });
  if (before.event === 'close') return;
  if (isWhole(target)) {
    const table = parseTable(target.target);
    await tx.run(`DROP TABLE IF EXISTS ${quoted(table)}`);
    await tx.run(`ALTER TABLE ${quoted({ schema: table.schema, name: NEXT + table.name })} RENAME TO ${name(table.name)}`);
    await tx.run(`DROP TABLE IF EXISTS change.${name(target.target)}`);
    const [count] = await tx.rows(`SELECT count(*) AS n FROM ${quoted(table)}`);
    tx.changed({ kind: 'transfer', target: target.target, key: 'whole', rows: Number(count!['n']) });
  }
  await record(tx, target, { event: 'close', slice: before.slice, cursor: complete ?? before.cursor, applied: NOTHING });
}

/** A run that nobody will begin again: what it appended is taken out, a table that it was filling is dropped. A merge stays as far as it came. */
export async function abandonRun(tx: Transaction, target: Of & Pick<TransferTarget, 'mode'>): Promise<void> {
  const before = await stateOf(tx, target);
  if (before === null || before.event === 'close' || before.event === 'edit') return;
  const table = parseTable(target.target);
  if (target.mode === 'full') await tx.run(`DROP TABLE IF EXISTS ${quoted({ schema: table.schema, name: NEXT + table.name })}`);
  if (target.mode === 'append') await undo(tx, table, { ...target, cursor: null, columns: [] }, before);
  await record(tx, { ...target, run: before.run }, { event: 'edit', slice: before.slice, cursor: before.cursor, applied: NOTHING });
}

/** Sets where the next run begins. */
export async function setCursor(
  tx: Transaction,
  at: { transfer: string; source: string; target: string },
  cursor: string | null,
): Promise<void> {
  await record(tx, { ...at, run: 'edit' }, { event: 'edit', slice: 0, cursor, applied: NOTHING });
}

/** The newest state of each table of each transfer. */
export async function transferStates(rows: (sql: string) => Promise<Row[]>): Promise<TransferState[]> {
  return (
    await rows(
      `SELECT ${STATE} FROM millrace.transfer QUALIFY row_number() OVER (PARTITION BY transfer, source, target ORDER BY seq DESC) = 1 ORDER BY transfer, source`,
    )
  ).map(toState);
}

const STATE = `transfer, source, target, run, event, slice, cursor, strftime(written, '%Y-%m-%dT%H:%M:%S.%gZ') AS shown, rows, replaced, quarantined`;

function toState(row: Row): TransferState {
  return {
    transfer: String(row['transfer']),
    source: String(row['source']),
    target: String(row['target']),
    run: String(row['run']),
    event: row['event'] as TransferState['event'],
    slice: Number(row['slice']),
    cursor: row['cursor'] as string | null,
    at: String(row['shown']),
    rows: Number(row['rows']),
    replaced: Number(row['replaced']),
    quarantined: Number(row['quarantined']),
  };
}

export type Of = Pick<TransferTarget, 'transfer' | 'source' | 'target'>;

export function among({ transfer, source, target }: Of, of = ''): string {
  return `${of}transfer = ${text(transfer)} AND ${of}source = ${text(source)} AND ${of}target = ${text(target)}`;
}

export async function stateOf(tx: Transaction, target: Of): Promise<TransferState | null> {
  const [row] = await tx.rows(`SELECT ${STATE} FROM millrace.transfer WHERE ${among(target)} ORDER BY seq DESC LIMIT 1`);
  return row === undefined ? null : toState(row);
}

export async function record(
  tx: Transaction,
  target: Of & { readonly run: string },
  now: { event: TransferState['event']; slice: number; cursor: string | null; applied: Applied },
): Promise<void> {
  const { rows, replaced, quarantined } = now.applied;
  await tx.run(
    `INSERT INTO millrace.transfer SELECT coalesce(max(seq), 0) + 1, now(), ${tx.batch}, ${text(target.transfer)}, ${text(target.source)}, ${text(target.target)},
       ${text(target.run)}, ${text(now.event)}, ${now.slice}, ${now.cursor === null ? 'NULL' : text(now.cursor)}, ${rows}, ${replaced}, ${quarantined} FROM millrace.transfer`,
  );
}

async function createTable(
  tx: Transaction,
  table: TableName,
  columns: readonly TransferColumn[],
  how: 'OR REPLACE' | 'IF NOT EXISTS',
): Promise<void> {
  const [before, after] = how === 'OR REPLACE' ? [' OR REPLACE', ''] : ['', ' IF NOT EXISTS'];
  await tx.run(
    `CREATE${before} TABLE${after} ${quoted(table)} (${columns.map((column) => `${name(column.name)} ${column.type}, `).join('')}_batch BIGINT)`,
  );
}

export async function typesOf(tx: Transaction, table: TableName): Promise<Map<string, string>> {
  const rows = await tx.rows(
    `SELECT column_name AS c, data_type AS t FROM duckdb_columns() WHERE schema_name = ${text(table.schema)} AND table_name = ${text(table.name)} ORDER BY column_index`,
  );
  return new Map(rows.map((row) => [String(row['c']), String(row['t'])]));
}

/** The warehouse takes names without regard to case. */
function typeIn(types: ReadonlyMap<string, string>, column: string): string | undefined {
  const exact = types.get(column);
  return exact ?? [...types].find(([own]) => own.toLowerCase() === column.toLowerCase())?.[1];
}

/** Brings the target to the source's columns as far as the drift policy says. Gives the columns that are taken. */
export async function adapt(tx: Transaction, table: TableName, target: TransferTarget, notes: string[]): Promise<string[]> {
  const own = await typesOf(tx, table);
  if (!own.has('_batch')) await tx.run(`ALTER TABLE ${quoted(table)} ADD COLUMN _batch BIGINT`);
  const taken: string[] = [];
  const frozen = (problem: string) => target.drift === 'freeze' && fail('TRANSFER_DRIFT', { table: target.target, problem });
  for (const column of target.columns) {
    const has = typeIn(own, column.name);
    if (has === undefined) {
      frozen(`"${column.name}" is new at the source`);
      notes.push(target.drift === 'discard' ? `"${column.name}" is new at the source and is left out` : `"${column.name}" is new`);
      if (target.drift === 'discard') continue;
      for (const each of await withChanges(tx, table, target))
        await tx.run(`ALTER TABLE ${each} ADD COLUMN ${name(column.name)} ${column.type}`);
    } else if (has !== column.type) {
      frozen(`"${column.name}" is ${column.type} at the source and ${has} here`);
      const widened = target.drift === 'evolve' && (await retype(tx, table, target, { ...column, has }));
      notes.push(
        widened ? `"${column.name}" became ${column.type}, it was ${has}` : `"${column.name}" stays ${has}; the source says ${column.type}`,
      );
    }
    taken.push(column.name);
  }
  for (const gone of own.keys()) {
    if (gone === '_batch' || target.columns.some((column) => column.name.toLowerCase() === gone.toLowerCase())) continue;
    frozen(`"${gone}" is no longer at the source`);
    notes.push(`"${gone}" is not at the source: new rows have NULL there`);
  }
  return taken;
}

async function withChanges(tx: Transaction, table: TableName, target: TransferTarget): Promise<string[]> {
  const found = await tx.rows(`SELECT 1 FROM duckdb_tables() WHERE schema_name = 'change' AND table_name = ${text(target.target)}`);
  return found.length === 0 ? [quoted(table)] : [quoted(table), `change.${name(target.target)}`];
}

const INTEGER = /^U?(TINY|SMALL|BIG)?INT(EGER)?$/;

/** Only where each value that stands there comes through unchanged: by its text, an integer that gets decimals by its value. */
async function retype(
  tx: Transaction,
  table: TableName,
  target: TransferTarget,
  column: TransferColumn & { readonly has: string },
): Promise<boolean> {
  const own = name(column.name);
  const as = INTEGER.test(column.has) && column.type.startsWith('DECIMAL') ? column.has : 'VARCHAR';
  const [row] = await tx.rows(
    `SELECT count(*) AS n FROM ${quoted(table)} WHERE ${own} IS NOT NULL AND TRY_CAST(TRY_CAST(${own} AS ${column.type}) AS ${as}) IS DISTINCT FROM CAST(${own} AS ${as})`,
  );
  if (Number(row!['n']) > 0) return false;
  for (const each of await withChanges(tx, table, target)) await tx.run(`ALTER TABLE ${each} ALTER COLUMN ${own} TYPE ${column.type}`);
  return true;
}

/** An append that was cut off: rows above the last complete cursor, or of the whole run where there is no cursor, are taken out again. */
async function undo(
  tx: Transaction,
  table: TableName,
  target: Of & Pick<TransferTarget, 'cursor' | 'columns'>,
  state: TransferState,
): Promise<void> {
  const batches = `_batch IN (SELECT batch FROM millrace.transfer WHERE ${among(target)} AND run = ${text(state.run)} AND event = 'slice')`;
  const above =
    target.cursor === null
      ? 'true'
      : state.cursor === null
        ? 'true'
        : `${name(target.cursor)} > ${text(state.cursor)}::${target.columns.find((column) => column.name === target.cursor)!.type}`;
  const where = `${batches} AND (${above})`;
  await keepReplaced(tx, table, target, `SELECT * FROM ${quoted(table)} WHERE ${where}`);
  const rows = await tx.run(`DELETE FROM ${quoted(table)} WHERE ${where}`);
  if (rows > 0) tx.changed({ kind: 'transfer', target: target.target, rows: 0 });
}

/** What a write takes away stands in `change` with the number of the write: views find the partitions to compute again by it. */
export async function keepReplaced(
  tx: Transaction,
  table: TableName,
  target: Pick<TransferTarget, 'target'>,
  select: string,
): Promise<void> {
  const change = `change.${name(target.target)}`;
  await tx.run(`CREATE TABLE IF NOT EXISTS ${change} AS SELECT * FROM ${quoted(table)} LIMIT 0`);
  await tx.run(`INSERT INTO ${change} BY NAME SELECT * EXCLUDE (_batch), ${tx.batch}::BIGINT AS _batch FROM (${select})`);
}

export const READ_AS_ITSELF = /^(U?(TINY|SMALL|BIG)INT|U?INTEGER|DECIMAL\(.*\)|DATE|TIMESTAMP|VARCHAR)$/;

/** A SELECT of the slice's rows as values. The reader itself makes most types; the others are cast. */
function typed(columns: readonly TransferColumn[], slice: TransferSlice): string {
  const types = columns.map((column) => (READ_AS_ITSELF.test(column.type) ? column.type : 'VARCHAR'));
  const values = columns.map(
    (column, k) => `${types[k] === column.type ? `c${k}` : cast(`c${k}`, column.type, 'CAST')} AS ${name(column.name)}`,
  );
  return `SELECT ${values.join(', ')} FROM ${reader(slice, types)}`;
}

export function cast(value: string, type: string, how: 'CAST' | 'TRY_CAST'): string {
  if (type === 'BLOB') return how === 'CAST' ? `from_hex(${value})` : `try(from_hex(${value}))`;
  return `${how}(${value} AS ${type})`;
}

/** The whole slice in one buffer: a parallel reader would have to guess where a quoted line end is the end of a row. */
export function reader(slice: Pick<TransferSlice, 'file' | 'bytes'>, types: readonly string[]): string {
  const columns = types.map((type, k) => `'c${k}': ${text(type)}`).join(', ');
  return `read_csv(${text(slice.file)}, columns = {${columns}}, delim = ',', quote = '"', escape = '"', header = false, auto_detect = false,
    nullstr = '', allow_quoted_nulls = false, new_line = '\\n', max_line_size = ${Math.max(2_097_152, slice.bytes)},
    buffer_size = ${Math.max(8_388_608, 2 * slice.bytes)})`;
}

/** The slice as text beside its values, in order; `_bad` is the first column whose text does not fit, -1 when all do. */
async function staged(tx: Transaction, columns: readonly TransferColumn[], slice: TransferSlice): Promise<{ select: string }> {
  const casts = columns.map((column, k) => `${exactly(`c${k}`, column.type)} AS d${k}`);
  const cases = columns
    .map((column, k) => (column.type === 'VARCHAR' ? '' : `WHEN c${k} IS NOT NULL AND d${k} IS NULL THEN ${k} `))
    .join('');
  await tx.run(`CREATE OR REPLACE TEMP TABLE staged AS SELECT *, ${cases === '' ? '-1' : `CASE ${cases}ELSE -1 END`} AS _bad FROM (
    SELECT *, ${casts.join(', ')} FROM ${reader(
      slice,
      columns.map(() => 'VARCHAR'),
    )})`);
  return { select: `SELECT ${columns.map((column, k) => `d${k} AS ${name(column.name)}`).join(', ')} FROM staged WHERE _bad < 0` };
}

/** NULL where the value would change: a cast makes 2 of '1.5' and drops digits that a DECIMAL has no room for. */
export function exactly(value: string, type: string): string {
  if (type === 'VARCHAR') return value;
  const tried = cast(value, type, 'TRY_CAST');
  if (/^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/.test(type))
    return `CASE WHEN regexp_full_match(${value}, '-?[0-9]+(\\.0*)?') THEN TRY_CAST(split_part(${value}, '.', 1) AS ${type}) END`;
  const scale = /^DECIMAL\(\d+,(\d+)\)$/.exec(type)?.[1];
  return scale === undefined ? tried : `CASE WHEN regexp_full_match(${value}, '-?[0-9]*(\\.[0-9]{0,${scale}}0*)?') THEN ${tried} END`;
}

async function quarantineMisfits(
  tx: Transaction,
  target: TransferTarget,
  columns: readonly TransferColumn[],
  slice: TransferSlice,
): Promise<number> {
  const code: ErrorCode = 'RECORD_FIELD';
  const shown = `[${columns.map((_, k) => `c${k}`).join(', ')}][_bad + 1]`;
  const names = `[${columns.map((column) => text(column.name)).join(', ')}][_bad + 1]`;
  const types = `[${columns.map((column) => text(column.type)).join(', ')}][_bad + 1]`;
  const body = `json_object(${columns.map((column, k) => `${text(column.name)}, c${k}`).join(', ')})`;
  return tx.run(`INSERT INTO millrace.quarantine
    SELECT ${text(`t-${target.run}-${target.source}-${slice.number}-`)} || row_number() OVER (), ${text(topicOf(target))}, now(), ${text(code)},
      'The value ' || left(${shown}, 200) || ' of "' || ${names} || '" does not fit ' || ${types} || '.', ${text(target.transfer)}, encode(CAST(${body} AS VARCHAR)), NULL
    FROM staged WHERE _bad >= 0`);
}

/** A row's key as the text of its values. */
export function heldKey(places: readonly number[], prefix = 'c'): string {
  return `CAST(to_json([${places.map((k) => `${prefix}${k}`).join(', ')}]) AS VARCHAR)`;
}

/** Changes of a key whose row stands in quarantine wait behind it. */
async function holdMisfits(
  tx: Transaction,
  target: TransferTarget,
  columns: readonly TransferColumn[],
  slice: TransferSlice,
): Promise<void> {
  const places = target.key.map((each) => columns.findIndex((column) => column.name === each));
  await tx.run(`INSERT INTO millrace.transfer_hold
    SELECT ${text(target.transfer)}, ${text(target.source)}, ${text(target.target)}, ${heldKey(places)}, 0,
      ${text(`t-${target.run}-${target.source}-${slice.number}-`)} || row_number() OVER () FROM staged WHERE _bad >= 0`);
}

/** The keys of which `where` holds wait no longer; what stood in quarantine for them has been dealt with. */
export async function release(tx: Transaction, target: Of, where: string): Promise<void> {
  const held = `FROM millrace.transfer_hold WHERE ${among(target)} AND (${where})`;
  await tx.run(`UPDATE millrace.quarantine SET replayed = now() WHERE id IN (SELECT quarantine ${held})`);
  await tx.run(`DELETE ${held}`);
}

async function quarantineRefused(tx: Transaction, target: TransferTarget, { refused }: TransferSlice): Promise<number> {
  const code: ErrorCode = 'RECORD_UNREADABLE';
  for (const { line, reason, body } of refused) {
    await tx.run(
      `INSERT INTO millrace.quarantine VALUES (${text(`t-${target.run}-${target.source}-line-${line}`)}, ${text(topicOf(target))}, now(), ${text(code)}, $1, ${text(target.transfer)}, from_base64($2), NULL)`,
      [`Line ${line}: ${reason}`, body],
    );
  }
  return refused.length;
}

/** How a transfer's table is named in quarantine: no topic can have a colon. */
export function topicOf(target: TransferTarget): string {
  return `transfer:${target.target}`;
}

/** Of rows with the same key the last one counts; rows that stand there unchanged are left alone. */
async function merge(
  tx: Transaction,
  table: TableName,
  target: TransferTarget,
  columns: readonly TransferColumn[],
  select: string,
): Promise<{ rows: number; replaced: number }> {
  const keys = target.key.map(name);
  const same = (names: readonly string[]) => names.map((each) => `o.${each} IS NOT DISTINCT FROM n.${each}`).join(' AND ');
  const all = columns.map((column) => name(column.name));
  await tx.run(`CREATE OR REPLACE TEMP TABLE incoming AS SELECT * EXCLUDE (_n) FROM (SELECT *, row_number() OVER () AS _n FROM (${select}))
    QUALIFY row_number() OVER (PARTITION BY ${keys.join(', ')} ORDER BY _n DESC) = 1`);
  await tx.run(
    `CREATE OR REPLACE TEMP TABLE former AS SELECT o.* FROM ${quoted(table)} o WHERE EXISTS (SELECT 1 FROM incoming n WHERE ${same(keys)})`,
  );
  await tx.run(`DELETE FROM incoming n WHERE EXISTS (SELECT 1 FROM former o WHERE ${same(all)})`);
  const gone = `SELECT o.* FROM former o WHERE EXISTS (SELECT 1 FROM incoming n WHERE ${same(keys)})`;
  const [count] = await tx.rows(`SELECT count(*) AS n FROM (${gone})`);
  const replaced = Number(count!['n']);
  if (replaced > 0) {
    await keepReplaced(tx, table, target, gone);
    await tx.run(`DELETE FROM ${quoted(table)} o WHERE EXISTS (SELECT 1 FROM incoming n WHERE ${same(keys)})`);
  }
  const rows = await tx.run(`INSERT INTO ${quoted(table)} (${all.join(', ')}, _batch) SELECT ${all.join(', ')}, ${tx.batch} FROM incoming`);
  return { rows, replaced };
}

/** The file of a slice that was applied, or never will be. */
export function removeSlice(file: string): void {
  try {
    unlinkSync(file);
  } catch {
    // A restarted warehouse has emptied the folder.
  }
}
