import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { openCheckpoints } from '../../src/store/checkpoint.ts';
import { folder } from './fixture.ts';
import { killsAmongCheckpoints } from './kills.ts';

async function opened(t: Parameters<typeof folder>[0] & { after(fn: () => unknown): void }) {
  const file = join(folder(t), 'warehouse.duckdb');
  const instance = await DuckDBInstance.create(file);
  t.after(() => instance.closeSync());
  const connection = await instance.connect();
  await connection.run(
    `SET checkpoint_threshold = '1GB'; CREATE SCHEMA millrace; CREATE TABLE millrace.batch (n BIGINT); CREATE TABLE t (n BIGINT)`,
  );
  const wal = () => statSync(`${file}.wal`, { throwIfNoEntry: false })?.size ?? 0;
  // A clock that stands still: none of them takes long, and none rests.
  const checkpoints = await openCheckpoints(
    instance,
    `${file}.wal`,
    () => {},
    100_000,
    () => 0,
  );
  /** A write of 100 kB and more, as the lane makes it. */
  const write = async (appends: boolean, sql = 'INSERT INTO t SELECT range FROM range(20000)') => {
    await connection.run(`BEGIN; ${sql}`);
    await checkpoints.before(appends);
    await connection.run('COMMIT');
    checkpoints.after();
  };
  const rows = async (sql: string) => Number((await connection.runAndReadAll(sql)).getRows()[0]![0]);
  return { wal, checkpoints, write, rows };
}

test('what was written is checkpointed beside the writes that follow, and none of them is lost', async (t) => {
  const { wal, checkpoints, write, rows } = await opened(t);
  let largest = 0;
  for (let k = 0; k < 40; k++) {
    await write(true);
    largest = Math.max(largest, wal());
  }
  await checkpoints.close();
  assert.ok(largest > 100_000, 'there was something to checkpoint');
  assert.ok(wal() < 40 * 160_000 * 0.6, `of some 6 MB in all, ${wal()} are still in the write-ahead log`);
  assert.equal(await rows('SELECT count(*) FROM t'), 800_000);
});

test('a write that deletes is followed by a checkpoint that gives the room back', async (t) => {
  const { checkpoints, write, rows } = await opened(t);
  await write(false, 'INSERT INTO t SELECT random() * 1e15 FROM range(1000000)');
  await write(false, 'DELETE FROM t');
  const groupsOf = () => rows(`SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('t')`);
  let writes = 0;
  // A write that meets a checkpoint under way leaves it to the next.
  do {
    await write(false);
    await sleep(100);
  } while (++writes < 6 && (await groupsOf()) > 2);
  await checkpoints.close();
  assert.equal(await rows('SELECT count(*) FROM t'), writes * 20_000);
  const groups = await groupsOf();
  assert.ok(groups <= 2, `the eight groups of rows that were deleted are still there: ${groups}`);
});

test('killed among deliveries and checkpoints, the warehouse opens again with every delivery, once', async (t) => {
  assert.ok((await killsAmongCheckpoints(folder(t), [300, 700, 450])) > 0);
});

test('one that took long is followed by four times as much time without, unless twice as much as is due has gathered', async (t) => {
  const wal = join(folder(t), 'wal');
  let [now, checkpoints] = [0, 0];
  const instance = {
    connect: async () => ({
      closeSync: () => {},
      async run(sql: string) {
        if (sql !== 'CHECKPOINT') return;
        checkpoints++;
        now += 100;
      },
    }),
  } as unknown as DuckDBInstance;
  const held = await openCheckpoints(
    instance,
    wal,
    (cause) => assert.fail(String(cause)),
    1000,
    () => now,
  );
  /** After a write with so much in the log, how many there were. */
  const written = async (bytes: number) => {
    writeFileSync(wal, Buffer.alloc(bytes));
    await held.before(true);
    held.after();
    await held.close();
    return checkpoints;
  };
  assert.equal(await written(999), 0, 'not due');
  assert.equal(await written(1000), 1);
  now += 399;
  assert.equal(await written(1999), 1, 'it rests');
  assert.equal(await written(2000), 2, 'it presses');
  now += 400;
  assert.equal(await written(1000), 3, 'it has rested');
});
