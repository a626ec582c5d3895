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

/** A run that ends when its copy is whole, and before it has looked at the log. */
export async function losesNothingAfterACopy(
  ground: Ground,
  of: (name: string, ...tables: TransferTable[]) => Transfer,
  db: { ask(sql: string): Promise<unknown> },
): Promise<void> {
  await db.ask('CREATE TABLE gap (id INT PRIMARY KEY, v TEXT)');
  await db.ask(`INSERT INTO gap VALUES (1, 'deleted'), (2, 'stays')`);
  const transfer = of('gap', followed('gap'));
  const cut = await ground.run(transfer, {
    warehouse: { ...ground.warehouse, checksum: () => Promise.reject(new Error('killed')) },
  });
  assert.equal(cut.outcome, 'failed');
  assert.deepEqual(await ground.rows('SELECT id FROM shop.gap ORDER BY id'), [[1], [2]]);
  await db.ask('DELETE FROM gap WHERE id = 1');
  await db.ask('UPDATE gap SET id = -2 WHERE id = 2');
  const run = start(ground, transfer);
  await becomes(ground, 'SELECT id, v FROM shop.gap', [[-2, 'stays']], run);
  assert.equal((await run.stop()).error, null);
}

/** What every followed database must bring: each kind of change, by key, in order, after a copy without a gap. */
export async function bringsEveryChange(
  ground: Ground,
  of: (name: string, ...tables: TransferTable[]) => Transfer,
  db: { ask(sql: string): Promise<unknown> },
  own: { readonly thousand: string; readonly emptied: readonly string[]; readonly cursor: RegExp },
): Promise<void> {
  await db.ask('CREATE TABLE p (id INT PRIMARY KEY, v TEXT)');
  await db.ask(`INSERT INTO p ${own.thousand}`);
  const run = start(ground, of('first', followed('p')));
  await becomes(ground, 'SELECT count(*) FROM shop.p', [[1000]], run);
  await db.ask(`INSERT INTO p VALUES (1001, 'new'), (1002, NULL), (1003, '')`);
  await db.ask(`UPDATE p SET v = 'changed' WHERE id = 1`);
  await db.ask('DELETE FROM p WHERE id = 2');
  await db.ask('UPDATE p SET id = 5000 WHERE id = 3');
  await db.ask(
    `BEGIN; UPDATE p SET id = -4 WHERE id = 4; UPDATE p SET id = 4 WHERE id = 5; UPDATE p SET id = 5, v = 'swapped' WHERE id = -4; COMMIT`,
  );
  await db.ask(`BEGIN; INSERT INTO p VALUES (9999, 'rolled back'); ROLLBACK`);
  const shown = [
    [1, 'changed'],
    [4, 'old'],
    [5, 'swapped'],
    [1001, 'new'],
    [1002, null],
    [1003, ''],
    [5000, 'old'],
  ];
  await becomes(ground, 'SELECT id, v FROM shop.p WHERE id < 6 OR id > 1000 ORDER BY id', shown, run);
  for (const sql of own.emptied) await db.ask(sql);
  await becomes(ground, 'SELECT id, v FROM shop.p', [[7, 'after']], run);
  const report = await run.stop();
  assert.equal(report.error, null);
  assert.equal(report.tables[0]!.parity!.equal, true);
  assert.match(report.tables[0]!.cursor!, own.cursor);
}
