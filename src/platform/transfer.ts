/**
 * A transfer's child: one run, then it ends. Reading a source is heavy JavaScript that must stand neither in the way of acknowledgement
 * (the front) nor of delivery (the warehouse), so it has a process of its own, with low priority. It ends when its parent is gone.
 */
import { hash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { asMillraceError, type ErrorBody, fail, type Transfer } from '#core';
import type { TransferState } from '#store';
import {
  type FileChoice,
  guess,
  lookAtFile,
  type Opened,
  openSource,
  type Preview,
  type Progress,
  planned,
  preview,
  type Rules,
  type RunReport,
  runTransfer,
  verifyTransfer,
  type Warehouse,
  type World,
} from '#transfer';
import { type WarehouseClient, warehouseClient } from './warehouse-client.ts';

/** What the child is to do. `folder` is where relative paths stand, `anywhere` whether files may lie outside of it. */
export type TransferJob = { readonly folder: string; readonly anywhere: boolean; readonly rules?: Rules } & (
  | { readonly kind: 'guess'; readonly address: string; readonly kept?: string }
  | { readonly kind: 'preview'; readonly transfer: Transfer; readonly rows: number }
  | { readonly kind: 'plan'; readonly transfer: Transfer }
  | { readonly kind: 'look'; readonly path: string; readonly choice: FileChoice; readonly rows: number }
  | {
      readonly kind: 'run' | 'verify';
      readonly transfer: Transfer;
      readonly run: string;
      readonly socket: string;
      readonly slices: string;
      readonly came?: readonly string[];
    }
);

export interface PlannedStep {
  readonly source: string;
  readonly target: string;
  readonly mode: string;
  readonly key: readonly string[];
  readonly cursor: string | null;
  readonly rows: number | null;
  readonly columns: readonly { name: string; source_type: string; type: string; note: string | null }[];
}

/** Compare both sides while the run goes on; the answer has the same number. */
export interface Comparison {
  readonly kind: 'compare';
  readonly run: string;
}

export type TransferMessage =
  | { readonly kind: 'compared'; readonly report: RunReport }
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly error: ErrorBody };

const PATIENCE = 120_000;

async function main(): Promise<void> {
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  process.on('disconnect', () => process.exit(1));
  const stop = new AbortController();
  process.on('SIGTERM', () => stop.abort());
  // Ctrl-C in a terminal reaches the whole group; the front decides when this process ends.
  process.on('SIGINT', () => {});
  // Over the channel: a definition may be longer than an argument, and arguments can be read by others.
  const job = await new Promise<TransferJob>((resolve) => process.once('message', (message) => resolve(message as TransferJob)));
  process.on('message', (asked: Comparison) => void compared(asked, 'transfer' in job ? job.transfer.name : job.kind));
  let last: TransferMessage;
  try {
    last = { kind: 'done', result: await doJob(job, stop.signal) };
  } catch (thrown) {
    last = { kind: 'failed', error: asMillraceError(thrown).body };
  }
  process.send!(last, () => process.exit(0));
}

async function doJob(job: TransferJob, signal: AbortSignal): Promise<unknown> {
  const world = worldOf(job);
  if (job.kind === 'guess') {
    const { text, secrets } = await guess(job.address, world, job.kept);
    return { text, secrets };
  }
  if (job.kind === 'look') return lookAtFile(job.path, job.choice, world, job.rows);
  if (job.kind === 'run' || job.kind === 'verify') return withWarehouse(job, signal);
  const source = await openSource(job.transfer, world);
  try {
    return job.kind === 'preview' ? await preview(job.transfer, source, job.rows) : await steps(job.transfer, source);
  } finally {
    await source.close();
  }
}

async function steps(transfer: Transfer, source: Opened): Promise<PlannedStep[]> {
  return (await planned(transfer, source)).map(({ definition, table, columns, key, cursor }) => ({
    source: definition.source,
    target: definition.target,
    mode: definition.mode,
    key,
    cursor: cursor?.name ?? null,
    rows: table.rows,
    columns: columns.map(({ name, sourceType, type, note }) => ({ name, source_type: sourceType, type, note })),
  }));
}

function worldOf(job: TransferJob): World {
  const { folder, anywhere, rules } = job;
  const stamp = 'transfer' in job ? { stamp: stampOf(job.transfer) } : {};
  return { folder, anywhere, env: process.env, ...stamp, ...(rules === undefined ? {} : { rules }) };
}

/** Whatever says how rows are read: another address, other types or another target is another content. */
function stampOf({ source, connection, tables }: Transfer): string {
  return hash('sha256', JSON.stringify([source, connection, tables])).slice(0, 16);
}

type WithWarehouse = Extract<TransferJob, { kind: 'run' | 'verify' }>;

async function withWarehouse(job: WithWarehouse, signal: AbortSignal): Promise<RunReport> {
  const client = warehouseClient(job.socket);
  const warehouse = warehouseOf(client);
  mkdirSync(job.slices, { recursive: true, mode: 0o700 });
  const began = new Date().toISOString();
  let report: RunReport;
  try {
    const source = await openSource(job.transfer, { ...worldOf(job), ...standing(job, await states(client)) });
    try {
      report =
        job.kind === 'verify'
          ? await verifyTransfer(job.transfer, { run: job.run, source, warehouse, folder: job.slices, known: await states(client) })
          : await runTransfer(job.transfer, {
              run: job.run,
              source,
              warehouse,
              folder: job.slices,
              signal,
              onFollowing: (compareNow) => {
                following = { transfer: job.transfer.name, compareNow };
              },
              onProgress: (progress) => process.send?.({ kind: 'progress', progress } satisfies TransferMessage),
            });
    } finally {
      await source.close();
    }
  } catch (thrown) {
    const error = asMillraceError(thrown).body;
    const kind = job.kind === 'verify' ? { kind: job.kind } : {};
    const ended = new Date().toISOString();
    report = { run: job.run, transfer: job.transfer.name, ...kind, began, ended, outcome: 'failed', tables: [], error };
  } finally {
    rmSync(job.slices, { recursive: true, force: true });
  }
  if (job.kind === 'run') ({ report } = await patiently(() => client.json<{ report: RunReport }>('POST', '/transfer/report', report)));
  client.close();
  return report;
}

/** The run of this process, once it follows its source's log. */
let following: { readonly transfer: string; readonly compareNow: () => Promise<RunReport['tables']> } | null = null;

async function compared({ run }: Comparison, transfer: string): Promise<void> {
  const began = new Date().toISOString();
  const end = (outcome: RunReport['outcome'], tables: RunReport['tables'], error: ErrorBody | null) => {
    const report: RunReport = { run, transfer, kind: 'verify', began, ended: new Date().toISOString(), outcome, tables, error };
    process.send?.({ kind: 'compared', report } satisfies TransferMessage);
  };
  try {
    end('done', (await following?.compareNow()) ?? fail('TRANSFER_BUSY', { transfer }), null);
  } catch (thrown) {
    end('failed', [], asMillraceError(thrown).body);
  }
}

/** What the source may take for done. A verification looks at everything. */
function standing(
  { kind, transfer, came }: WithWarehouse,
  all: readonly TransferState[],
): Pick<World, 'done' | 'cut' | 'again' | 'known' | 'came'> {
  if (kind === 'verify') return {};
  const targets = new Set(transfer.tables.map(({ target }) => target));
  const began = all.filter((state) => state.transfer === transfer.name && targets.has(state.target));
  const sources = (states: readonly TransferState[]) => new Set(states.map(({ source }) => source));
  const own = began.filter(({ event }) => event === 'close').sort((a, b) => (a.at < b.at ? -1 : 1));
  const versions = transfer.tables.map(({ source, target, cursor }) =>
    cursor === null ? own.find((state) => state.source === source && state.target === target)?.cursor : null,
  );
  const [known = null] = versions;
  return {
    done: sources(own),
    cut: sources(began.filter(({ event }) => event === 'open' || event === 'slice')),
    // Set by hand; where a run took a part's rows out, its own id stands.
    again: sources(began.filter(({ event, run }) => event === 'edit' && run === 'edit')),
    known: versions.every((version) => version === known) ? known : null,
    ...(came === undefined ? {} : { came: new Set(came) }),
  };
}

async function states(client: WarehouseClient): Promise<TransferState[]> {
  return (await patiently(() => client.json<{ states: TransferState[] }>('GET', '/transfer/state'))).states;
}

/** The warehouse over its socket. Each call is done once however often it is made, so a restart in between is waited for. */
function warehouseOf(client: WarehouseClient): Warehouse {
  const call = <T>(what: string, body: unknown) => patiently(() => client.json<T>('POST', `/transfer/${what}`, body));
  return {
    open: (target) => call('open', { target }),
    apply: (target, slice) => call('slice', { target, slice }),
    close: (target, complete) => call('close', { target, complete }),
    stream: (of) => call('stream', of),
    reshape: (target) => call('reshape', { target }),
    changes: (slices) => call('changes', { slices }),
    pause: (of) => call('pause', of),
    columns: (target) => call('columns', { target }),
    checksum: (check, buckets) => call('checksum', { check, buckets }),
    hashes: (check, key, bucket) => call('hashes', { check, key, bucket }),
    merged: (check, file) => call('merged', { check, file }),
  };
}

async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  const until = performance.now() + PATIENCE;
  for (let delay = 50; ; delay = Math.min(delay * 2, 2_000)) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = asMillraceError(thrown);
      if (error.code !== 'STORE_UNAVAILABLE' || performance.now() + delay > until) throw error;
      await sleep(delay);
    }
  }
}

export type { Preview };

await main();
