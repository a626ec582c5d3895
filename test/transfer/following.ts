import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Transfer, TransferTable } from '#core';
import type { RunReport, TableReport } from '#transfer';
import { type Ground, tableOf } from './harness.ts';

/** A run that goes on until it is stopped. */
export interface Run {
  readonly report: Promise<RunReport>;
  /** Both sides at one moment, once it follows. */
  compare(): Promise<TableReport[]>;
  stop(): Promise<RunReport>;
}

export function start(ground: Ground, transfer: Transfer): Run {
  const stop = new AbortController();
  const following = Promise.withResolvers<() => Promise<TableReport[]>>();
  const report = ground.run(transfer, { signal: stop.signal, onFollowing: following.resolve });
  return {
    report,
    compare: async () => (await following.promise)(),
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

/** Both sides are compared while the source is written to and the run goes on: equal at each time, and different where something is. */
export async function comparesWhileItIsWrittenTo(
  ground: Ground,
  of: (name: string, ...tables: TransferTable[]) => Transfer,
  db: { ask(sql: string): Promise<unknown> },
  thousand: string,
): Promise<void> {
  await db.ask('CREATE TABLE busy (id INT PRIMARY KEY, v INT)');
  await db.ask('CREATE TABLE quiet (id INT PRIMARY KEY, v INT)');
  await db.ask(`INSERT INTO busy ${thousand}`);
  await db.ask('INSERT INTO quiet VALUES (1, 1)');
  const run = start(ground, of('busy', followed('busy'), followed('quiet')));
  let written = 0;
  let writing = true;
  const writer = (async () => {
    for (let k = 1; writing; k++, written++) {
      await db.ask(`UPDATE busy SET v = v + 1 WHERE id % 7 = ${k % 7}`);
      await db.ask(`BEGIN; INSERT INTO busy VALUES (${1000 + k}, ${k}); DELETE FROM busy WHERE id = ${1000 + k - 3}; COMMIT`);
    }
  })();
  try {
    const rows = new Set<string>();
    for (let k = 0; k < 5; k++) {
      const before = written;
      const reports = await run.compare();
      for (const { source, parity } of reports) assert.deepEqual([source, parity!.differences, parity!.equal], [source, [], true]);
      rows.add(reports[0]!.parity!.source.sum);
      while (written < before + 3) await sleep(5);
    }
    assert.equal(rows.size, 5, 'the source was written to between any two');
    await ground.store.write((tx) => tx.run('UPDATE shop.quiet SET v = 2'));
    const [busy, quiet] = await run.compare();
    assert.equal(busy!.parity!.equal, true);
    assert.deepEqual(quiet!.parity!.differences, [{ key: ['1'], kind: 'different' }]);
  } finally {
    writing = false;
    await writer;
  }
  // Nothing is written any more, and the source says so by itself.
  assert.equal((await run.compare())[0]!.parity!.equal, true);
  const both = await Promise.allSettled([run.compare(), run.compare()]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
  const left = run.compare();
  const ended = assert.rejects(left, { code: 'TRANSFER_ENDED' });
  const report = await run.stop();
  await ended;
  assert.equal(report.error, null);
}
