/** The warehouse child's side of transfers: what a transfer's own process asks of it over the socket. */
import { linkSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { basename, join } from 'node:path';
import { json } from 'node:stream/consumers';
import { MillraceError } from '#core';
import {
  type Applied,
  applySlice,
  type Check,
  checksum,
  closeTarget,
  hashes,
  isFatal,
  openTarget,
  type Store,
  setCursor,
  TRANSFER_TABLES,
  type TransferSlice,
  type TransferTarget,
  text,
  transferStates,
} from '#store';
import type { RunReport } from '#transfer';
import type { Routes } from './http.ts';

export async function transferRoutes(store: Store): Promise<Routes> {
  await store.write((tx) => tx.run(TRANSFER_TABLES));
  const rows = (sql: string) => store.rows(sql);
  const asked = async <T>(request: IncomingMessage) => (await json(request)) as T;
  return {
    'POST /transfer/open': async ({ request }) => {
      const { target } = await asked<{ target: TransferTarget }>(request);
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
    'POST /transfer/checksum': async ({ request }) => {
      const { check, buckets } = await asked<{ check: Check; buckets: readonly string[] | null }>(request);
      return checksum(rows, check, buckets);
    },
    'POST /transfer/hashes': async ({ request }) => {
      const { check, key, bucket } = await asked<{ check: Check; key: readonly string[]; bucket: number }>(request);
      return hashes(rows, check, key, bucket);
    },
    'POST /transfer/cursor': async ({ request }) => {
      const { at, cursor } = await asked<{ at: { transfer: string; source: string; target: string }; cursor: string | null }>(request);
      await store.write((tx) => setCursor(tx, at, cursor));
      return {};
    },
    'POST /transfer/report': async ({ request }) => {
      await record(store, await asked<RunReport>(request));
      return {};
    },
    'GET /transfer/state': async () => ({ states: await transferStates(rows) }),
    'GET /transfer/runs': async ({ query }) => ({ runs: await runs(store, query.get('transfer')) }),
  };
}

/** Values that are known to fit are read straight into their types; only when one does not is the slice read again with care. */
async function apply(store: Store, target: TransferTarget, slice: TransferSlice): Promise<Applied> {
  // The warehouse can read no folder but this; the transfer keeps its own name of the file, should this process be restarted.
  const file = join(store.folders.slices, `${target.run}-${basename(slice.file)}`);
  rmSync(file, { force: true });
  linkSync(slice.file, file);
  try {
    return await store.write((tx) => applySlice(tx, target, { ...slice, file }, false));
  } catch (thrown) {
    if (!(thrown instanceof MillraceError && thrown.code === 'STORE_WRITE') || isFatal(thrown) || isFatal(thrown.cause)) throw thrown;
    return await store.write((tx) => applySlice(tx, target, { ...slice, file }, true));
  } finally {
    rmSync(file, { force: true });
  }
}

async function record(store: Store, report: RunReport): Promise<void> {
  const sum = (of: 'rows' | 'replaced' | 'quarantined') => report.tables.reduce((total, table) => total + table[of], 0);
  const parities = report.tables.map(({ parity }) => parity).filter((parity) => parity !== null);
  const equal = parities.length === 0 ? 'NULL' : String(parities.every((parity) => parity.equal));
  const code = report.error === null ? 'NULL' : text(report.error.code);
  await store.write((tx) =>
    tx.run(
      `INSERT INTO millrace.transfer_run SELECT ${text(report.run)}, ${text(report.transfer)}, ${text(report.began)}, ${text(report.ended)}, ${text(report.outcome)},
         ${sum('rows')}, ${sum('replaced')}, ${sum('quarantined')}, ${equal}, ${code}, $1
       WHERE NOT EXISTS (SELECT 1 FROM millrace.transfer_run WHERE run = ${text(report.run)})`,
      [JSON.stringify(report)],
    ),
  );
}

async function runs(store: Store, transfer: string | null): Promise<unknown[]> {
  const found = await store.rows(
    `SELECT report FROM millrace.transfer_run ${transfer === null ? '' : `WHERE transfer = ${text(transfer)}`} ORDER BY began DESC LIMIT 50`,
  );
  return found.map((row) => JSON.parse(String(row['report'])));
}
