/**
 * Rows of transfers into their tables, exactly once: each slice is one write together with the transfer's state, which is appended to
 * `millrace.transfer` (the newest row of a transfer's table counts). A slice that was applied is recognised by its number.
 *
 *   open ──► slice 1 ──► … ──► slice n ──► close          a run of one table
 *     ▲        a later open takes over: slices of the run before are refused
 */
import { fail } from '#core';
import {
  holdMisfits,
  quarantineMisfits,
  release,
  releaseFormer,
  releaseIncoming,
  releaseReread,
  releaseUndone,
  replayHeld,
} from './hold.ts';
import type { Transaction } from './lane.ts';
import { name, parseTable, quoted, type TableName, text } from './names.ts';
import { PLACE, staged, type TransferSlice, typed } from './slice.ts';
import {
  type Applied,
  adapt,
  among,
  columnIn,
  createTable,
  isWhole,
  keepReplaced,
  NEXT,
  NOTHING,
  type Of,
  record,
  stateOf,
  type TransferColumn,
  type TransferState,
  type TransferTarget,
  transferStates,
  typesOf,
} from './target.ts';
import { OP, putIncoming } from './upsert.ts';

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
    columns = await openNext(tx, table, target, notes);
    if (target.mode === 'cdc') await release(tx, target, 'true');
  } else {
    await createTable(tx, table, target.columns, 'IF NOT EXISTS');
    columns = await adapt(tx, table, target, notes);
    if (target.mode === 'append' && before !== null && before.event !== 'close' && before.event !== 'edit')
      await undo(tx, table, target, before);
    const replayed = await replayHeld(tx, target);
    if (replayed > 0) notes.push(`${replayed} rows that were held fit now`);
  }
  const cursor = target.cursor === null || isWhole(target) ? null : (before?.cursor ?? null);
  await record(tx, target, { event: 'open', slice: 0, cursor, applied: NOTHING });
  return { cursor, columns, notes };
}

/** The hidden table that is filled. Under evolve it has the source's columns; otherwise those of the table that it will replace. */
async function openNext(tx: Transaction, table: TableName, target: TransferTarget, notes: string[]): Promise<string[]> {
  const next = { schema: table.schema, name: NEXT + table.name };
  const own = target.drift === 'evolve' ? 0 : (await typesOf(tx, table)).size;
  if (own === 0) {
    await createTable(tx, next, target.columns, 'OR REPLACE');
    return target.columns.map((column) => column.name);
  }
  await tx.run(`CREATE OR REPLACE TABLE ${quoted(next)} AS SELECT * FROM ${quoted(table)} LIMIT 0`);
  return adapt(tx, next, target, notes);
}

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
  const columns = target.columns.map((column) => columnIn(types, column.name) ?? column);
  // Texts are values of the source's types; the reader would round 30.5 where the table kept an integer.
  const careful = asked || columns.some(({ type }, k) => type !== target.columns[k]!.type);
  const select = careful && slice.rows > 0 ? await staged(tx, columns, slice) : typed(columns, slice);
  const quarantined = await quarantineMisfits(tx, target, columns, { slice, careful: careful && slice.rows > 0 });
  let rows = 0;
  let replaced = 0;
  if (slice.rows > 0 && target.mode === 'merge') ({ rows, replaced } = await merge(tx, table, target, columns, select));
  else {
    const names = columns.map((column) => name(column.name)).join(', ');
    if (slice.rows > 0) rows = await tx.run(`INSERT INTO ${quoted(into)} (${names}, _batch) SELECT ${names}, ${tx.batch} FROM (${select})`);
    await holdMisfits(tx, target, null);
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
    await releaseFormer(tx, target);
  } else {
    await releaseReread(tx, target);
    await takeFormer(tx, target);
  }
  await record(tx, target, { event: 'close', slice: before.slice, cursor: complete ?? before.cursor, applied: NOTHING });
}

/** The rows of the sources that this run replaces: those are begun anew should they come back. */
async function takeFormer(tx: Transaction, target: TransferTarget): Promise<void> {
  if (target.replaces === undefined || target.mode !== 'append') return;
  const table = parseTable(target.target);
  for (const source of target.replaces) {
    const former = { ...target, source };
    const before = await stateOf(tx, former);
    if (before === null) continue;
    const batches = `SELECT batch FROM millrace.transfer WHERE ${among(former)} AND run <> ${text(target.run)} AND event = 'slice'`;
    if ((await tx.rows(`${batches} LIMIT 1`)).length > 0) {
      const where = `_batch IN (${batches})`;
      await keepReplaced(tx, table, target, `SELECT * FROM ${quoted(table)} WHERE ${where}`);
      const rows = await tx.run(`DELETE FROM ${quoted(table)} WHERE ${where}`);
      if (rows > 0) tx.changed({ kind: 'transfer', target: target.target, rows: 0 });
    }
    await release(tx, former, `source = ${text(source)} AND NOT starts_with(quarantine, ${text(`t-${target.run}-`)})`);
    await releaseReread(tx, former);
    if (source !== target.source) await recordEdit(tx, former, { ...before, run: target.run });
  }
}

/** Nobody goes on from there: the table's next run begins as the row says. */
async function recordEdit(tx: Transaction, of: Of, { run, slice, cursor }: Pick<TransferState, 'run' | 'slice' | 'cursor'>): Promise<void> {
  await record(
    tx,
    { transfer: of.transfer, source: of.source, target: of.target, run },
    { event: 'edit', slice, cursor, applied: NOTHING },
  );
}

/** A run that nobody will begin again: what it appended is taken out, a table that it was filling is dropped. A merge stays as far as it came. */
export async function abandonRun(tx: Transaction, target: Of & Pick<TransferTarget, 'mode'>): Promise<void> {
  const before = await stateOf(tx, target);
  if (before === null || before.event === 'close' || before.event === 'edit') return;
  const table = parseTable(target.target);
  if (target.mode === 'full') await tx.run(`DROP TABLE IF EXISTS ${quoted({ schema: table.schema, name: NEXT + table.name })}`);
  if (target.mode === 'append') await undo(tx, table, { ...target, cursor: null, columns: [] }, before);
  await recordEdit(tx, target, before);
}

/**
 * A run that has failed: what it appended without having come to a cursor is taken out, since the next one reads it all again. Gives the
 * tables that it was. Those with a cursor keep what is complete; the rest of it goes when the next run begins.
 */
export async function undoAppends(tx: Transaction, run: string): Promise<Of[]> {
  const appended = await tx.rows(
    `SELECT DISTINCT transfer, source, target FROM millrace.transfer WHERE run = ${text(run)} AND mode = 'append' ORDER BY ALL`,
  );
  const undone: Of[] = [];
  for (const { transfer, source, target } of appended) {
    const of = { transfer: String(transfer), source: String(source), target: String(target) };
    const state = await stateOf(tx, of);
    if (state?.run !== run || state.cursor !== null || (state.event !== 'open' && state.event !== 'slice')) continue;
    await abandonRun(tx, { ...of, mode: 'append' });
    undone.push(of);
  }
  return undone;
}

/** Sets where the next run begins. What a run that was cut off appended goes first: the next one will not know of it. */
export async function setCursor(tx: Transaction, at: Of & Pick<TransferTarget, 'mode' | 'cursor'>, cursor: string | null): Promise<void> {
  const before = await stateOf(tx, at);
  const table = parseTable(at.target);
  const types = await typesOf(tx, table);
  if (at.mode === 'append' && before !== null && (before.event === 'open' || before.event === 'slice') && types.size > 0) {
    const column = at.cursor === null ? null : columnIn(types, at.cursor);
    await undo(tx, table, { ...at, cursor: column?.name ?? null, columns: column === null ? [] : [column] }, before);
  }
  await recordEdit(tx, at, { run: 'edit', slice: 0, cursor });
}

/** The same for a table that comes in parts: each of them is read again, and what an append brought of it goes when it is whole. */
export async function beginAnew(tx: Transaction, at: Pick<TransferTarget, 'transfer' | 'target' | 'mode'>): Promise<void> {
  for (const { transfer, source, target } of await transferStates((sql) => tx.rows(sql)))
    if (transfer === at.transfer && target === at.target) await setCursor(tx, { ...at, source, cursor: null }, null);
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
    target.cursor === null || state.cursor === null
      ? null
      : { column: target.cursor, type: target.columns.find(({ name: own }) => own === target.cursor)!.type, cursor: state.cursor };
  const beyond = above === null ? 'true' : `${name(above.column)} > ${text(above.cursor)}::${above.type}`;
  const where = `${batches} AND (${beyond})`;
  await keepReplaced(tx, table, target, `SELECT * FROM ${quoted(table)} WHERE ${where}`);
  const rows = await tx.run(`DELETE FROM ${quoted(table)} WHERE ${where}`);
  if (rows > 0) tx.changed({ kind: 'transfer', target: target.target, rows: 0 });
  await releaseUndone(tx, state, above);
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
  const placed = select.includes(PLACE) ? select : `SELECT *, row_number() OVER () AS ${PLACE} FROM (${select})`;
  await tx.run(`CREATE OR REPLACE TEMP TABLE incoming AS SELECT *, 'u' AS ${OP} FROM (${placed})
    QUALIFY row_number() OVER (PARTITION BY ${keys.join(', ')} ORDER BY ${PLACE} DESC) = 1`);
  await releaseIncoming(tx, target, columns);
  await holdMisfits(tx, target, columns);
  return putIncoming(tx, { table, of: target, key: target.key, columns });
}
