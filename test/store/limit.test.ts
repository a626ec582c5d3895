import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { openStore } from '#store';
import { newEngineLimit } from '../../src/store/limit.ts';
import { newReadings } from '../../src/store/readings.ts';
import { folder, opening } from './fixture.ts';

/** An engine of 200 MB, locked as the store's, whose file has some 100 MB of rows that it keeps in memory. */
async function keeping(t: TestContext) {
  const instance = await DuckDBInstance.create(join(folder(t), 'warehouse.duckdb'), { memory_limit: '200MB', threads: '2' });
  t.after(() => instance.closeSync());
  const connection = await instance.connect();
  const rows = async (sql: string) => (await connection.runAndReadAll(sql)).getRows();
  await connection.run(`SET allowed_configs = ['memory_limit']; SET lock_configuration = true`);
  await connection.run('CREATE TABLE t AS SELECT k, md5(k::VARCHAR) AS w FROM range(2500000) r(k); CHECKPOINT');
  const readings = newReadings();
  const limit = newEngineLimit(await instance.connect(), {
    memory: 200e6,
    readings,
    onError: (cause) => assert.fail(String(cause)),
  });
  return {
    instance,
    readings,
    limit,
    rows,
    scan: () => rows('SELECT max(w), max(k) FROM t'),
    kept: async () =>
      Number((await rows(`SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory() WHERE tag = 'BASE_TABLE'`))[0]![0]) / 1e6,
    shown: async () => (await rows(`SELECT current_setting('memory_limit')`))[0]![0],
  };
}

test('what is kept of the file is let go but for what is spared, and the limit is what it was', async (t) => {
  const { limit, scan, kept, shown, readings } = await keeping(t);
  await scan();
  assert.ok((await kept()) > 30, `${await kept()} MB`);
  const ends = readings.begin();
  await limit.letGo(0);
  assert.ok((await kept()) > 30, 'somebody reads: it is theirs');
  ends();
  await limit.letGo(20e6);
  const spared = await kept();
  assert.ok(spared > 5 && spared <= 21, `${spared} MB`);
  await limit.letGo(0);
  assert.ok((await kept()) <= 17, `${await kept()} MB`);
  assert.equal(await shown(), '190.7 MiB');
});

test('work that reads much once keeps little meanwhile', async (t) => {
  const { limit, rows, kept } = await keeping(t);
  const seen: number[] = [];
  await limit.during(async () => {
    for (let k = 0; k < 5; k++) {
      await rows('SELECT max(md5(w)), max(k) FROM t');
      seen.push(await kept());
      await new Promise((resolve) => setTimeout(resolve, 100));
      seen.push(await kept());
    }
  });
  const resting = seen.filter((_, k) => k % 2 === 1);
  assert.ok(
    resting.every((mb) => mb <= 33),
    `MB kept: ${seen.map(Math.round).join(', ')}`,
  );
});

test('nobody who asks or writes meanwhile lacks memory for it', async (t) => {
  const { instance, limit, rows } = await keeping(t);
  const [asks, writes] = [await instance.connect(), await instance.connect()];
  const many = async (connection: DuckDBConnection, sql: string) => {
    for (let k = 0; k < 8; k++) await connection.run(sql);
  };
  await limit.during(async () => {
    await Promise.all([
      (async () => {
        for (let k = 0; k < 8; k++) await rows('SELECT max(md5(w)) FROM t');
      })(),
      many(asks, 'SELECT count(*) FROM (SELECT w, count(*) FROM t GROUP BY w)'),
      many(writes, 'CREATE OR REPLACE TABLE u AS SELECT k, w FROM t WHERE k < 200000'),
    ]);
  });
  assert.equal(Number((await rows('SELECT count(*) FROM u'))[0]![0]), 200_000);
});

test('what the engine does not count comes off its limit, half of it at most', async (t) => {
  const { limit, shown } = await keeping(t);
  await limit.uncounted(15e6);
  assert.equal(await shown(), '190.7 MiB', 'not worth it');
  await limit.uncounted(50e6);
  assert.equal(await shown(), '143.0 MiB');
  await limit.letGo(0);
  assert.equal(await shown(), '143.0 MiB', 'it is the one that comes back');
  await limit.uncounted(500e6);
  assert.equal(await shown(), '95.3 MiB');
  await limit.uncounted(0);
  assert.equal(await shown(), '190.7 MiB');
});

test('where that much is in use the limit stays, and the next time it is tried again', async () => {
  const tried: string[] = [];
  let lacks = true;
  const connection = {
    run: async (sql: string) => {
      tried.push(sql);
      if (lacks) throw new Error('Out of Memory Error: Failed to change memory limit to 100 MB');
    },
  } as unknown as DuckDBConnection;
  const limit = newEngineLimit(connection, { memory: 200e6, readings: newReadings(), onError: (cause) => assert.fail(String(cause)) });
  await limit.uncounted(50e6);
  lacks = false;
  await limit.uncounted(50e6);
  await limit.uncounted(50e6);
  assert.deepEqual(tried, [`SET memory_limit = '150MB'`, `SET memory_limit = '150MB'`]);
});

test('of a bulk write and of a scan the store keeps nothing in memory', async (t) => {
  const store = await openStore({ ...opening(folder(t)), memory: 300e6 });
  t.after(() => store.close());
  const kept = async () => {
    const [row] = await store.rows(`SELECT sum(memory_usage_bytes)::BIGINT AS n FROM duckdb_memory() WHERE tag = 'BASE_TABLE'`);
    return Number(row!['n']) / 1e6;
  };
  const fill = (name: string) => (tx: { run(sql: string): Promise<number> }) =>
    tx.run(`CREATE TABLE main.${name} AS SELECT k, md5(k::VARCHAR) AS w FROM range(2500000) r(k)`);
  await store.write(fill('some'));
  const before = await kept();
  assert.ok(before > 30, `${before} MB of what was written as ever`);
  await store.writeBulk(fill('more'));
  // The next write comes behind what follows the one before.
  await store.write(async () => {});
  assert.ok((await kept()) <= 17, `${await kept()} MB`);
  await store.scan('SELECT max(md5(w)) FROM main.more');
  await store.scan('SELECT 1');
  assert.ok((await kept()) <= 33, `${await kept()} MB`);
  assert.equal(Number((await store.rows('SELECT count(*) AS n FROM main.more'))[0]!['n']), 2_500_000);
});
