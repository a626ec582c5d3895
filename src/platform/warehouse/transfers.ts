/** The warehouse child's side of transfers: what a transfer's own process asks of it over the socket. */
import { linkSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { basename, join } from 'node:path';
import { json } from 'node:stream/consumers';
import { MillraceError } from '#core';
import {
  type Applied,
  abandonRun,
  applyChanges,
  applySlice,
  beginAnew,
  type ChangeSlices,
  type Check,
  checksum,
  closeStream,
  closeTarget,
  columnsOf,
  compareMerged,
  hashes,
  isFatal,
  type MergedCheck,
  openStream,
  openTarget,
  replayQuarantined,
  reshapeTarget,
  type Store,
  setCursor,
  TRANSFER_TABLES,
  type Transaction,
  type TransferSlice,
  type TransferTarget,
  text,
  transferStates,
  undoAppends,
} from '#store';
import type { RunReport } from '#transfer';
import type { Routes } from './http.ts';

/** `beforeLoad` refuses a target whose rows are not to be written. */
export async function transferRoutes(store: Store, beforeLoad: (table: string) => void): Promise<Routes> {
  await store.write((tx) => tx.run(TRANSFER_TABLES));
  const rows = (sql: string) => store.rows(sql);
  const { scan } = store;
  const asked = async <T>(request: IncomingMessage) => (await json(request)) as T;
  return {
    'POST /transfer/open': async ({ request }) => {
      const { target } = await asked<{ target: TransferTarget }>(request);
      beforeLoad(target.target);
      return store.write((tx) => openTarget(tx, target));
    },
    'POST /transfer/slice': async ({ request }) => {
      const { target, slice } = await asked<{ target: TransferTarget; slice: TransferSlice }>(request);
      return apply(store, target, slice);
    },
    'POST /transfer/close': async ({ request }) => {
      const { target, complete } = await asked<{ target: TransferTarget; complete: string | null }>(request);
      await store.write((tx) => closeTarget(tx, target, complete));
      return {};
    },
    'POST /transfer/abandon': async ({ request }) => {
      const { target } = await asked<{ target: Pick<TransferTarget, 'transfer' | 'source' | 'target' | 'mode'> }>(request);
      await store.write((tx) => abandonRun(tx, target));
      return {};
    },
    'POST /transfer/stream': async ({ request }) => {
      const of = await asked<{ transfer: string; run: string }>(request);
      return store.write((tx) => openStream(tx, of));
    },
    'POST /transfer/reshape': async ({ request }) => {
      const { target } = await asked<{ target: TransferTarget }>(request);
      return store.write((tx) => reshapeTarget(tx, target));
    },
    'POST /transfer/changes': async ({ request }) => {
      const { slices } = await asked<{ slices: ChangeSlices }>(request);
      return changes(store, slices);
    },
    'POST /transfer/pause': async ({ request }) => {
      const of = await asked<{ transfer: string; run: string }>(request);
      await store.write((tx) => closeStream(tx, of));
      return {};
    },
    'POST /transfer/columns': async ({ request }) => {
      const { target } = await asked<{ target: string }>(request);
      return columnsOf(rows, target);
    },
    'POST /transfer/checksum': async ({ request }) => {
      const { check, buckets } = await asked<{ check: Check; buckets: readonly string[] | null }>(request);
      return checksum(scan, check, buckets);
    },
    'POST /transfer/hashes': async ({ request }) => {
      const { check, key, bucket } = await asked<{ check: Check; key: readonly string[]; bucket: number }>(request);
      return hashes(scan, check, key, bucket);
    },
    'POST /transfer/merged': async ({ request }) => {
      const { check, file } = await asked<{ check: MergedCheck; file: string }>(request);
      return withFiles(store, 'merged', [file], ([own]) => compareMerged(scan, check, own!));
    },
    'POST /transfer/cursor': async ({ request }) => {
      const { at, cursor } = await asked<{ at: Parameters<typeof setCursor>[1]; cursor: string | null }>(request);
      await store.write((tx) => setCursor(tx, at, cursor));
      return {};
    },
    'POST /transfer/anew': async ({ request }) => {
      const { at } = await asked<{ at: Parameters<typeof beginAnew>[1] }>(request);
      await store.write((tx) => beginAnew(tx, at));
      return {};
    },
    'POST /transfer/replay': async ({ request }) => {
      const meant = await asked<{ topic?: string; ids?: readonly string[] }>(request);
      return store.write((tx) => replayQuarantined(tx, meant));
    },
    'POST /transfer/report': async ({ request }) => {
      return { report: await record(store, await asked<RunReport>(request)) };
    },
    'GET /transfer/state': async () => ({ states: await transferStates(rows) }),
    'GET /transfer/runs': async ({ query }) => ({ runs: await runs(store, query.get('transfer')) }),
  };
}

function apply(store: Store, target: TransferTarget, slice: TransferSlice): Promise<Applied> {
  const files = [slice.file, ...(slice.columns === null ? [] : [slice.columns])];
  // A merge reads the table again and again.
  const write = target.mode === 'merge' ? store.write : store.writeBulk;
  return withFiles(store, target.run, files, ([file, columns = null], careful) =>
    write((tx) => applySlice(tx, target, { ...slice, file: file!, columns }, careful)),
  );
}

function changes(store: Store, slices: ChangeSlices): Promise<Applied[]> {
  const files = slices.changes.map(({ file }) => file);
  return withFiles(store, slices.run, files, (linked, careful) => {
    const own = slices.changes.map((each, k) => ({ ...each, file: linked[k]! }));
    return store.write((tx) => applyChanges(tx, { ...slices, changes: own }, careful));
  });
}

/** Values that are known to fit are read straight into their types; only when one does not are the files read again with care. */
async function withFiles<T>(
  store: Store,
  run: string,
  given: readonly string[],
  write: (files: readonly string[], careful: boolean) => Promise<T>,
): Promise<T> {
  // The warehouse can read no folder but this; the transfer keeps its own names of the files, should this process be restarted.
  const files = given.map((file) => join(store.folders.slices, `${run}-${basename(file)}`));
  for (const [k, file] of files.entries()) {
    rmSync(file, { force: true });
    linkSync(given[k]!, file);
  }
  try {
    return await write(files, false);
  } catch (thrown) {
    if (!(thrown instanceof MillraceError && thrown.code === 'STORE_WRITE') || isFatal(thrown)) throw thrown;
    return await write(files, true);
  } finally {
    for (const file of files) rmSync(file, { force: true });
  }
}

/** Gives the report as it stands: what a run that failed had appended is not there any more. */
async function record(store: Store, told: RunReport): Promise<RunReport> {
  return store.write(async (tx) => {
    const undone = told.outcome === 'failed' && told.kind !== 'verify' ? await undoAppends(tx, told.run) : [];
    const tables = told.tables.map((table) =>
      undone.some(({ source, target }) => source === table.source && target === table.target)
        ? { ...table, rows: 0, quarantined: 0, notes: [...table.notes, `the ${table.rows} rows that had come were taken out again`] }
        : table,
    );
    const report = { ...told, tables };
    await keep(tx, report);
    return report;
  });
}

async function keep(tx: Transaction, report: RunReport): Promise<void> {
  const sum = (of: 'rows' | 'replaced' | 'quarantined') => report.tables.reduce((total, table) => total + table[of], 0);
  const parities = report.tables.map(({ parity }) => parity).filter((parity) => parity !== null);
  const equal = parities.length === 0 ? 'NULL' : String(parities.every((parity) => parity.equal));
  const code = report.error === null ? 'NULL' : text(report.error.code);
  await tx.run(
    `INSERT INTO millrace.transfer_run BY NAME SELECT ${text(report.run)} AS run, ${text(report.transfer)} AS transfer, ${text(report.kind ?? 'run')} AS kind,
         ${text(report.began)}::TIMESTAMPTZ AS began, ${text(report.ended)}::TIMESTAMPTZ AS ended, ${text(report.outcome)} AS outcome,
         ${sum('rows')} AS rows, ${sum('replaced')} AS replaced, ${sum('quarantined')} AS quarantined, ${equal} AS equal, ${code} AS code, $1 AS report
       WHERE NOT EXISTS (SELECT 1 FROM millrace.transfer_run WHERE run = ${text(report.run)})`,
    [JSON.stringify(report)],
  );
}

async function runs(store: Store, transfer: string | null): Promise<unknown[]> {
  const found = await store.rows(
    `SELECT report FROM millrace.transfer_run ${transfer === null ? '' : `WHERE transfer = ${text(transfer)}`} ORDER BY began DESC LIMIT 50`,
  );
  return found.map((row) => JSON.parse(String(row['report'])));
}
