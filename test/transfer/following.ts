import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Transfer, TransferTable } from '#core';
import type { RunReport } from '#transfer';
import { type Ground, tableOf } from './harness.ts';

/** A run that goes on until it is stopped. */
export interface Run {
  readonly report: Promise<RunReport>;
  stop(): Promise<RunReport>;
}

export function start(ground: Ground, transfer: Transfer): Run {
  const stop = new AbortController();
  const report = ground.run(transfer, { signal: stop.signal });
  return {
    report,
    stop() {
      stop.abort();
      return report;
    },
  };
}

export const followed = (source: string, more: Partial<TransferTable> = {}): TransferTable => tableOf({ source, mode: 'cdc', ...more });

/** Waits until the rows are as they should be, and says how they are if they never become so. */
export async function becomes(ground: Ground, sql: string, wanted: unknown[][], run: Run): Promise<void> {
  let found: unknown[][] = [];
  const ended: RunReport[] = [];
  void run.report.then((report) => ended.push(report));
  for (let tries = 0; tries < 300 && ended.length === 0; tries++) {
    found = await ground.rows(sql).catch(() => []);
    if (JSON.stringify(found) === JSON.stringify(wanted)) return;
    await sleep(40);
  }
  assert.deepEqual(found, wanted, JSON.stringify(ended[0]?.error ?? 'it did not come'));
}
