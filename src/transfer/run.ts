/**
 * One run of a transfer: each table is opened, read, applied in slices and closed, then both sides are compared. Everything that must
 * outlive a kill at any moment is in the warehouse's own transaction (src/store/apply.ts); this side can be started again at will.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { asMillraceError, type Bytes, fail, type Millis, type MillraceError, type Transfer } from '#core';
import type { Applied, ChangeSlices, Check, Merged, MergedCheck, TransferSlice, TransferTarget } from '#store';
import { follow } from './cdc/follow.ts';
import { sliceColumns } from './columns.ts';
import { since } from './cursor.ts';
import { compareMerging, type MergedComparison } from './merged.ts';
import { compare } from './parity.ts';
import { emptyReport, type RunReport, type TableReport } from './report.ts';
import { appendToSlice, BATCH, GROUP_ROWS, REFUSED_BYTES, type Rows, recycle, refusedBytes, writeSlice } from './rows.ts';
import type { Opened, PartTable, Reading, SourceColumn, SourceTable, Span } from './source.ts';
import { withoutUndecodable } from './undecodable.ts';

/** The warehouse as a run needs it. Calls may be repeated: each is done once. */
export interface Warehouse {
  open(target: TransferTarget): Promise<{ cursor: string | null; columns: string[]; notes: string[] }>;
  apply(target: TransferTarget, slice: TransferSlice): Promise<Applied>;
  close(target: TransferTarget, complete: string | null): Promise<void>;
  /** Takes the stream of a transfer over: where it stands, and from where its tables do. */
  stream(of: { transfer: string; run: string }): Promise<{
    position: string | null;
    tables: { source: string; target: string; position: string | null }[];
  }>;
  /** Brings a table that is followed to the source's columns. */
  reshape(target: TransferTarget): Promise<{ columns: string[]; notes: string[]; replayed: number }>;
  /** Changes of all tables in one write, with the source's position; what became of each. */
  changes(slices: ChangeSlices): Promise<Applied[]>;
  /** The stream rests where it stands. */
  pause(of: { transfer: string; run: string }): Promise<void>;
  /** The columns of a table, without our own; none where it is not there. */
  columns(target: string): Promise<string[]>;
  checksum(check: Check, buckets: readonly string[] | null): Promise<{ bucket: number; rows: number; sum: string }[]>;
  hashes(check: Check, key: readonly string[], bucket: number): Promise<{ key: string; hash: string }[]>;
  /** `file` as merged.ts writes it. */
  merged(check: MergedCheck, file: string): Promise<Merged>;
}

export interface Progress {
  /** Null: it follows the changes of all its tables. */
  readonly table: string | null;
  readonly rows: number;
  readonly bytes: Bytes;
  /** An estimate of all rows that will be read; null where none is known. */
  readonly total: number | null;
  readonly waited: { readonly source: Millis; readonly warehouse: Millis };
}

export interface Running {
  readonly run: string;
  readonly source: Opened;
  readonly warehouse: Warehouse;
  /** A folder of its own, for slices on their way. */
  readonly folder: string;
  readonly onProgress: (progress: Progress) => void;
  readonly signal: AbortSignal;
  /** A run that follows a log can compare both sides from now on. */
  readonly onFollowing?: (compare: () => Promise<TableReport[]>) => void;
}

/**
 * The first table that fails ends the run, unless it is a file whose place others can take; the report says what was done. Never throws for
 * what can go wrong outside.
 */
export async function runTransfer(transfer: Transfer, running: Running): Promise<RunReport> {
  const report: RunReport = {
    run: running.run,
    transfer: transfer.name,
    began: new Date().toISOString(),
    ended: '',
    outcome: 'done',
    tables: [],
    error: null,
  };
  try {
    if (running.source.parts !== undefined) return ended(report, await runTables(transfer, running, report.tables));
    const plans = running.source.unchanged === true ? [] : await planned(transfer, running.source);
    if (plans.some(({ definition }) => definition.mode === 'cdc')) {
      report.tables.push(...plans.map(({ definition }) => emptyReport(definition)));
      await followTables(transfer, plans, running, report.tables);
    } else
      for (const [k, { definition }] of plans.entries()) {
        const table = emptyReport(definition);
        report.tables.push(table);
        // What was altered since the run began is there when it is its turn.
        if (k > 0) await running.source.leave?.();
        const [plan] = k === 0 ? plans : await planned({ ...transfer, tables: [definition] }, running.source);
        await runTable(transfer, plan!, running, table, null);
      }
  } catch (thrown) {
    return ended(report, asMillraceError(thrown));
  }
  return ended(report, null);
}

function ended(report: RunReport, error: MillraceError | null): RunReport {
  report.ended = new Date().toISOString();
  report.outcome = error === null ? 'done' : 'failed';
  report.error = error?.body ?? null;
  return report;
}

/** Tables that come in parts. Gives the first error of a part that others need not wait for. Throws what ends the run. */
async function runTables(transfer: Transfer, running: Running, reports: TableReport[]): Promise<MillraceError | null> {
  const { source, warehouse, folder } = running;
  let first: MillraceError | null = null;
  // Whatever a definition may not ask for is told before anything is written.
  const each = transfer.tables.map((definition) => ({ definition, parts: source.parts!([definition]) }));
  for (const { definition, parts } of each) {
    const merged =
      definition.mode === 'merge' && parts.length > 0
        ? compareMerging({ transfer: transfer.name, definition, source, warehouse, folder, all: false })
        : null;
    const failed = await runParts(transfer, parts, running, reports, merged);
    if (merged !== null && merged.count > 0) reports.push(await merged.report());
    if (merged !== null && failed !== null) throw failed;
    first ??= failed;
  }
  return first;
}

/**
 * Each part is planned when it is its turn, so that one that can't be read hides no other. Where rows are added, those behind a part that
 * fails for good are brought all the same; where they replace others they wait, since of two rows with one key the newer file's is to stay.
 * Gives the first of such errors. Throws what ends the run.
 */
async function runParts(
  transfer: Transfer,
  parts: readonly PartTable[],
  running: Running,
  reports: TableReport[],
  merged: MergedComparison | null,
): Promise<MillraceError | null> {
  let first: MillraceError | null = null;
  for (const part of parts) {
    const report = emptyReport(part);
    reports.push(report);
    try {
      const [plan] = await planned({ ...transfer, tables: [part] }, running.source);
      await runTable(transfer, plan!, running, report, merged);
    } catch (thrown) {
      const error = asMillraceError(thrown);
      // Another run has begun: what is left is its own.
      if (error.retryable || error.code === 'TRANSFER_SUPERSEDED') throw error;
      if (merged !== null) return error;
      report.notes.push(`not brought: ${error.message}`);
      first ??= error;
    }
  }
  return first;
}

const WHOLE: Span = { cursor: null, after: null, upTo: null };

function followTables(
  transfer: Transfer,
  plans: readonly PlannedTable[],
  running: Running,
  reports: readonly TableReport[],
): Promise<void> {
  return follow({
    transfer,
    plans,
    reports,
    running,
    copy: ({ plan, target, columns }, report) =>
      copy(
        { plan, target: { ...target, columns: columns.map(({ name, type }) => ({ name, type })) }, columns, span: WHOLE },
        running,
        report,
      ),
    targetOf: (plan) => targetOf(transfer.name, plan, running.run),
    async plan(source) {
      const [described] = await running.source.describe([source]);
      return planOf(transfer.tables.find((table) => table.source === source)!, described!);
    },
  });
}

/** A table of the definition beside what the source says of it. */
export interface PlannedTable {
  readonly definition: PartTable;
  readonly table: SourceTable;
  readonly columns: readonly SourceColumn[];
  readonly key: readonly string[];
  readonly cursor: SourceColumn | null;
}

/** What a run would do. Errors: TRANSFER_TABLE, TRANSFER_COLUMN. */
export async function planned(transfer: Transfer, source: Opened): Promise<PlannedTable[]> {
  const described = await source.describe(transfer.tables.map((table) => table.source));
  return transfer.tables.map((definition) => planOf(definition, described.find(({ name }) => name === definition.source)!));
}

function planOf(definition: PartTable, table: SourceTable): PlannedTable {
  const refuse = (column: string, use: string, problem: string): never =>
    fail('TRANSFER_COLUMN', { column, table: definition.source, use, problem });
  const columns = table.columns.map((column) => ({ ...column, type: definition.types[column.name] ?? column.type }));
  for (const name of Object.keys(definition.types))
    if (!columns.some((column) => column.name === name)) refuse(name, 'column of a type', 'there is none of that name');
  const key = definition.key.length > 0 ? definition.key : table.key;
  for (const name of key) if (!columns.some((column) => column.name === name)) refuse(name, 'key', 'there is none of that name');
  if ((definition.mode === 'merge' || definition.mode === 'cdc') && key.length === 0)
    refuse('', 'key', `the mode ${definition.mode} needs a key, and the source names none`);
  if (definition.cursor === null) return { definition, table, columns, key, cursor: null };
  const cursor =
    columns.find((column) => column.name === definition.cursor) ?? refuse(definition.cursor, 'cursor', 'there is none of that name');
  if (cursor.cursor === null)
    refuse(cursor.name, 'cursor', `${cursor.sourceType} has no order that both sides share; take a number or a time`);
  if (definition.lookback !== null && 'millis' in definition.lookback !== (cursor.cursor === 'time'))
    refuse(cursor.name, 'cursor', cursor.cursor === 'time' ? 'its lookback is a duration (10m)' : 'its lookback is a number');
  return { definition, table, columns, key, cursor };
}

async function runTable(
  transfer: Transfer,
  plan: PlannedTable,
  running: Running,
  report: TableReport,
  merged: MergedComparison | null,
): Promise<void> {
  const began = performance.now();
  const { definition, table } = plan;
  const wanted = targetOf(transfer.name, plan, running.run);
  const opened = await running.warehouse.open(wanted);
  report.notes.push(...opened.notes, ...plan.columns.flatMap(({ name, note }) => (note === null ? [] : [`"${name}": ${note}`])));
  const columns = plan.columns.filter(({ name }) => opened.columns.includes(name));
  const target = { ...wanted, columns: columns.map(({ name, type }) => ({ name, type })) };
  // A file that comes again has replaced another content of its name: all of its rows count.
  const after = opened.cursor === null || merged !== null ? null : since(opened.cursor, definition.lookback);
  const { span, without } = await running.source.snapshot(table, plan.cursor, after);
  if (without) report.notes.push(`rows without "${plan.cursor!.name}" are not transferred`);
  await copy({ plan, target, columns, span }, running, report);
  // Only what was read counts as read: an empty source does not move the cursor back.
  report.cursor = span.upTo ?? opened.cursor;
  await running.warehouse.close(target, report.cursor);
  report.seconds = (performance.now() - began) / 1000;
  if (merged !== null) await merged.add({ ...plan, columns }, span, { source: definition.source, run: running.run });
  else
    report.parity = await compare({
      plan: { ...plan, columns },
      span,
      run: running.run,
      source: running.source,
      warehouse: running.warehouse,
    });
}

export function targetOf(transfer: string, { definition, columns, key, cursor }: PlannedTable, run: string): TransferTarget {
  const { source, target, mode, drift, replaces } = definition;
  return {
    transfer,
    run,
    source,
    target,
    mode,
    key,
    cursor: cursor?.name ?? null,
    drift,
    columns: columns.map(({ name, type }) => ({ name, type })),
    ...(replaces === undefined ? {} : { replaces }),
  };
}

interface Copying {
  readonly plan: PlannedTable;
  readonly target: TransferTarget;
  readonly columns: readonly SourceColumn[];
  readonly span: Span;
}

/**
 * A slice has the rows of a group, unless they are too long for it: DuckDB compresses a whole group as it comes, and lets fewer rows through
 * its write-ahead log first, at 1.6 times the processor time. A merge looks each row up, and takes no more bytes than a batch.
 */
const SLICE_BYTES: Bytes = 24 * 1024 * 1024;

/** Has it a group's rows, or will it have none? `refused`: bytes of its refused records. */
function isFull({ rows, bytes }: TransferSlice, refused: Bytes, mode: TransferTarget['mode']): boolean {
  if (refused >= REFUSED_BYTES) return true;
  if (mode === 'merge' && bytes >= BATCH) return true;
  return rows >= GROUP_ROWS || bytes + BATCH > SLICE_BYTES || rows * SLICE_BYTES < GROUP_ROWS * bytes;
}

/** No two tables of a run have files of one name: an engine that knows a file by its name could take one for the other. */
let files = 0;

/** While the warehouse applies one slice, the next is read: at most one waits. */
async function copy({ plan, target, columns, span }: Copying, running: Running, report: TableReport): Promise<void> {
  const reading: Reading = { nulled: new Map() };
  const waited = { source: 0, warehouse: 0 };
  let number = 0;
  let applying: Promise<void> = Promise.resolve();
  let slice: TransferSlice | null = null;
  let heavy: Bytes = 0;
  const names = columns.map(({ name }) => name);
  const values = sliceColumns(columns.map(({ type }) => type));
  const hand = async () => {
    if (slice === null) return;
    const parquet = slice.file.replace(/csv$/, 'parquet');
    if (values?.write(parquet)) slice = { ...slice, columns: parquet };
    await timed(waited, 'warehouse', applying);
    applying = applied(target, slice, running, report);
    // It is awaited before the next slice; until then a failure must not count as unhandled.
    applying.catch(() => {});
    slice = null;
  };
  const take = async (read: Rows) => {
    if (running.signal.aborted) fail('TRANSFER_ENDED', { transfer: target.transfer, problem: 'it was stopped' });
    const rows = withoutUndecodable(read, names, report.read);
    const size = rows.bytes.length;
    if (slice === null) {
      slice = {
        number: ++number,
        file: join(running.folder, `${++files}.csv`),
        columns: null,
        rows: 0,
        bytes: 0,
        complete: null,
        refused: [],
      };
      heavy = 0;
      writeSlice(slice.file, rows.bytes);
      values?.begin();
    } else appendToSlice(slice.file, rows.bytes);
    values?.add(rows.bytes);
    recycle(rows);
    const { rows: earlier } = slice;
    heavy += rows.refused.reduce((sum, each) => sum + refusedBytes(each), 0);
    const refused = rows.refused.map(({ body, line, reason, cells, before, undecoded = [] }) => ({
      line,
      reason,
      body: body.toString('base64'),
      cells,
      before: earlier + before,
      undecoded,
    }));
    slice = {
      ...slice,
      rows: earlier + rows.count,
      bytes: slice.bytes + size,
      complete: rows.complete ?? slice.complete,
      refused: [...slice.refused, ...refused],
    };
    report.read += rows.count + refused.length;
    report.bytes += size;
    if (isFull(slice, heavy, target.mode)) await hand();
    running.onProgress({
      table: plan.definition.source,
      rows: report.read,
      bytes: report.bytes,
      // What is known of the table says nothing of the rows since the last run.
      total: span.after === null ? plan.table.rows : null,
      waited: { ...waited },
    });
  };
  const batches = running.source.read(plan.table, columns, span, reading)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await timed(waited, 'source', batches.next());
      if (next.done === true) break;
      await take(next.value);
    }
    await hand();
    await timed(waited, 'warehouse', applying);
  } finally {
    await batches.return?.(undefined);
    // Nothing comes any more behind a run that has told of its end, and its report has all rows. Of two errors the first is thrown.
    await applying.catch(() => {});
  }
  for (const [column, count] of reading.nulled) report.notes.push(`"${column}": ${count} zero dates became NULL`);
  report.slow = number < 2 ? null : waited.source > waited.warehouse ? 'source' : 'warehouse';
}

async function applied(target: TransferTarget, slice: TransferSlice, { warehouse }: Running, report: TableReport): Promise<void> {
  try {
    const { rows, replaced, quarantined } = await warehouse.apply(target, slice);
    report.rows += rows;
    report.replaced += replaced;
    report.quarantined += quarantined;
  } finally {
    rmSync(slice.file, { force: true });
    if (slice.columns !== null) rmSync(slice.columns, { force: true });
  }
}

async function timed<T>(waited: { source: Millis; warehouse: Millis }, side: 'source' | 'warehouse', work: Promise<T>): Promise<T> {
  const began = performance.now();
  try {
    return await work;
  } finally {
    waited[side] += performance.now() - began;
  }
}
