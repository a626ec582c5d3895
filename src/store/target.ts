/**
 * Tables that transfers fill: what each is to be, where it stands (`millrace.transfer`: appended, the newest row of a transfer's table
 * counts), and how it follows the columns of its source.
 */
import { type Drift, fail, type TransferMode } from '#core';
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
  /** Of an append: the sources whose rows are taken out when this run is whole, in its transaction; of its own source, earlier runs' rows. */
  readonly replaces?: readonly string[];
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
ALTER TABLE millrace.transfer ADD COLUMN IF NOT EXISTS mode VARCHAR;
ALTER TABLE millrace.transfer_hold ADD COLUMN IF NOT EXISTS names VARCHAR;
ALTER TABLE millrace.transfer_run ADD COLUMN IF NOT EXISTS kind VARCHAR DEFAULT 'run';
`;

/** Whole copies fill a table of this name beside the target; no user's table can have it. */
export const NEXT = '_next_';

/** A full run, and the copy with which one that follows changes begins. */
export const isWhole = ({ mode }: TransferTarget): boolean => mode === 'full' || mode === 'cdc';

export interface Applied {
  /** Rows that were written: those that stood there unchanged are not among them. */
  readonly rows: number;
  readonly replaced: number;
  readonly quarantined: number;
}

export const NOTHING: Applied = { rows: 0, replaced: 0, quarantined: 0 };

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
  target: Of & { readonly run: string } & Partial<Pick<TransferTarget, 'mode'>>,
  now: { event: TransferState['event']; slice: number; cursor: string | null; applied: Applied },
): Promise<void> {
  const { rows, replaced, quarantined } = now.applied;
  await tx.run(
    `INSERT INTO millrace.transfer BY NAME SELECT coalesce(max(seq), 0) + 1 AS seq, now() AS written, ${tx.batch} AS batch, ${text(target.transfer)} AS transfer,
       ${text(target.source)} AS source, ${text(target.target)} AS target, ${text(target.run)} AS run, ${text(now.event)} AS event, ${now.slice} AS slice,
       ${now.cursor === null ? 'NULL' : text(now.cursor)} AS cursor, ${rows} AS rows, ${replaced} AS replaced, ${quarantined} AS quarantined,
       ${target.mode === undefined ? 'NULL' : text(target.mode)} AS mode FROM millrace.transfer`,
  );
}

export async function createTable(
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

export async function typesOf(tx: Pick<Transaction, 'rows'>, table: TableName): Promise<Map<string, string>> {
  const rows = await tx.rows(
    `SELECT column_name AS c, data_type AS t FROM duckdb_columns() WHERE schema_name = ${text(table.schema)} AND table_name = ${text(table.name)} ORDER BY column_index`,
  );
  return new Map(rows.map((row) => [String(row['c']), String(row['t'])]));
}

/** The columns of a transfer's table, without our own; none where it is not there. */
export async function columnsOf(rows: (sql: string) => Promise<Row[]>, target: string): Promise<string[]> {
  const { schema, name: own } = parseTable(target);
  const found = await rows(
    `SELECT column_name AS c FROM duckdb_columns() WHERE schema_name = ${text(schema)} AND table_name = ${text(own)} AND column_name <> '_batch' ORDER BY column_index`,
  );
  return found.map((row) => String(row['c']));
}

/** The warehouse takes names without regard to case. */
export function columnIn(types: ReadonlyMap<string, string>, column: string): TransferColumn | null {
  const exact = types.get(column);
  if (exact !== undefined) return { name: column, type: exact };
  const found = [...types].find(([own]) => own.toLowerCase() === column.toLowerCase());
  return found === undefined ? null : { name: found[0], type: found[1] };
}

/** Brings the target to the source's columns as far as the drift policy says. Gives the columns that are taken. */
export async function adapt(tx: Transaction, table: TableName, target: TransferTarget, notes: string[]): Promise<string[]> {
  const own = await typesOf(tx, table);
  if (!own.has('_batch')) await tx.run(`ALTER TABLE ${quoted(table)} ADD COLUMN _batch BIGINT`);
  const taken: string[] = [];
  let [more, other] = [!own.has('_batch'), false];
  const frozen = (problem: string) => target.drift === 'freeze' && fail('TRANSFER_DRIFT', { table: target.target, problem });
  for (const column of target.columns) {
    const has = columnIn(own, column.name)?.type;
    if (has === undefined) {
      frozen(`"${column.name}" is new at the source`);
      notes.push(target.drift === 'discard' ? `"${column.name}" is new at the source and is left out` : `"${column.name}" is new`);
      if (target.drift === 'discard') continue;
      for (const each of await withChanges(tx, table, target))
        await tx.run(`ALTER TABLE ${each} ADD COLUMN ${name(column.name)} ${column.type}`);
      more = true;
    } else if (has !== column.type) {
      frozen(`"${column.name}" is ${column.type} at the source and ${has} here`);
      const widened = target.drift === 'evolve' && (await retype(tx, table, target, { ...column, has }));
      other ||= widened;
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
  // A hidden table is nobody's news.
  if ((more || other) && !table.name.startsWith(NEXT))
    tx.changed({ kind: 'transfer', target: target.target, key: other ? 'types' : 'columns', rows: 0 });
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

/** How a transfer's table is named in quarantine: no topic can have a colon. */
export function topicOf({ target }: Pick<Of, 'target'>): string {
  return `transfer:${target}`;
}
