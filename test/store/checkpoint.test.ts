import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Topic } from '#core';
import { openStore, type Store } from '#store';
import { openCheckpoints } from '../../src/store/checkpoint.ts';
import { openReader } from '../../src/store/read.ts';
import { newReadings } from '../../src/store/readings.ts';
import { topicOf } from '../collect/fixture.ts';
import { count, delivery, folder } from './fixture.ts';
import { killsAmongCheckpoints } from './kills.ts';

const nobody = { over: async () => true };

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
  const checkpoints = await openCheckpoints(instance, file, () => {}, {
    due: 100_000,
    memory: 1e9,
    block: 262_144,
    readings: nobody,
    now: () => 0,
  });
  /** A write of 100 kB and more, as the lane makes it. */
  const write = async (appends: boolean, sql = 'INSERT INTO t SELECT range FROM range(20000)') => {
    await connection.run(`BEGIN; ${sql}`);
    await checkpoints.before([{ kind: appends ? 'deliver' : 'statement', target: 't' }]);
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

/** An engine that does nothing but `checkpoint`. */
function engineWhere(checkpoint: () => Promise<void>): DuckDBInstance {
  const run = async (sql: string) => {
    if (sql === 'CHECKPOINT') await checkpoint();
  };
  return { connect: async () => ({ closeSync: () => {}, run }) } as unknown as DuckDBInstance;
}

test('one that took long is followed by four times as much time without, unless twice as much as is due has gathered', async (t) => {
  const file = join(folder(t), 'warehouse.duckdb');
  let [now, checkpoints] = [0, 0];
  const instance = engineWhere(async () => {
    checkpoints++;
    now += 100;
  });
  const held = await openCheckpoints(instance, file, (cause) => assert.fail(String(cause)), {
    due: 1000,
    memory: 100e6,
    block: 1000,
    readings: nobody,
    now: () => now,
  });
  /** After a write with so much in the log, how many there were. */
  const written = async (bytes: number) => {
    writeFileSync(`${file}.wal`, Buffer.alloc(bytes));
    await held.before([{ kind: 'deliver', target: 't' }]);
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

test('memory: one is due where many tables were appended to, however short the log, and until it is over no more should come', async (t) => {
  let end = () => {};
  let checkpoints = 0;
  const instance = engineWhere(async () => {
    checkpoints++;
    await new Promise<void>((resolve) => {
      end = resolve;
    });
  });
  // Half a megabyte for each column: of 64 MB a quarter is 32 columns, a half 64. The widest table does not count.
  const held = await openCheckpoints(instance, join(folder(t), 'warehouse.duckdb'), (cause) => assert.fail(String(cause)), {
    memory: 2 ** 26,
    block: 262_144,
    readings: nobody,
  });
  const written = async (...targets: string[]) => {
    await held.before(targets.map((target) => ({ kind: 'deliver' as const, target, columns: target === 'wide' ? 500 : 10 })));
    held.after();
  };
  for (let k = 0; k < 3; k++) await written('wide');
  await written('a', 'b', 'c');
  await written('a', 'b');
  assert.deepEqual(
    [checkpoints, held.crowded(0), held.crowded(31), held.crowded(32)],
    [0, false, false, true],
    'the same tables hold no more',
  );
  await written('d');
  assert.deepEqual([checkpoints, held.crowded(0)], [1, false], 'forty of its columns are being taken up');
  await written('e', 'f', 'g');
  assert.deepEqual([held.crowded(3), held.crowded(4)], [false, true]);
  await written('h');
  assert.equal(held.crowded(0), true);
  end();
  await sleep(5);
  assert.equal(held.crowded(0), false, 'nothing is waited for that nobody does');
  await written('i');
  assert.equal(checkpoints, 2, 'what came meanwhile is due with the next write');
  end();
  await held.close();
});

/** An engine and readers that need so long, and what of them was to be seen of each checkpoint. */
async function watched(t: Parameters<typeof folder>[0]) {
  let now = 0;
  let [takes, reads] = [0, 0];
  let seen: string[] = [];
  const uncounted: number[] = [];
  const instance = engineWhere(async () => {
    seen.push('checkpoint');
    now += takes;
  });
  const connection = await instance.connect();
  const run = async (sql: string) => {
    if (sql.startsWith('BEGIN')) seen.push('pin');
    await connection.run(sql);
  };
  const over = async (patience: number) => {
    seen.push(`${patience}`);
    now += Math.min(reads, patience);
    return reads <= patience;
  };
  const held = await openCheckpoints(
    { connect: async () => ({ ...connection, run }) } as unknown as DuckDBInstance,
    join(folder(t), 'warehouse.duckdb'),
    (cause) => assert.fail(String(cause)),
    // Of 80 MB a quarter is 20 columns of 1 MB, an eighth 10 blocks of half a megabyte each and as many again.
    { memory: 80e6, block: 0.5e6, readings: { over }, onLoose: async (bytes) => void uncounted.push(bytes), now: () => now },
  );
  return {
    held,
    uncounted,
    pass: (millis: number) => {
      now += millis;
    },
    /** A write of so many tables of ten columns each, of which the widest does not count. */
    async next(kind: 'deliver' | 'statement', { tables = 3, takes: taking = 0, reads: reading = 0 } = {}) {
      [takes, reads, seen] = [taking, reading, []];
      await held.before(Array.from({ length: tables }, (_, k) => ({ kind, target: `t${k}`, columns: 10 })));
      held.after();
      await held.close();
      return seen.join(' ');
    },
  };
}

test('those due for memory join rows: always while that is short, else for a hundredth of the time; readers are waited for', async (t) => {
  const { next, pass } = await watched(t);
  const [joins, beside] = ['150 checkpoint', 'pin checkpoint'];
  assert.equal(await next('deliver', { takes: 100, reads: 50 }), joins);
  assert.equal(await next('statement', { takes: 10_000 }), '0 checkpoint', 'after what may delete nothing is beside it');
  assert.equal(await next('deliver', { takes: 200 }), joins, 'the last one for deliveries was short');
  pass(99 * 200 - 1);
  assert.equal(await next('deliver', { takes: 1 }), beside, 'a hundredth of the time');
  assert.equal(await next('deliver', { reads: 150 }), joins);
  assert.equal(await next('deliver', { takes: 100, reads: 51 }), joins, 'the last one was short');
  assert.equal(await next('deliver'), beside, 'to wait for readers is to wait');
});

test('where much is loose rows are joined sooner and more patiently; where they can not be, what is due for memory slows down', async (t) => {
  const { held, uncounted, next, pass } = await watched(t);
  const [joins, patient, beside] = ['150 checkpoint', '500 checkpoint', 'pin checkpoint'];
  assert.equal(await next('deliver', { takes: 1000 }), joins);
  // Each leaves 1.5 MB: seven are more than an eighth of 80.
  for (let k = 0; k < 7; k++) assert.equal(await next('deliver', { takes: 1 }), beside);
  assert.deepEqual(uncounted.slice(0, 3), [0, 60_000, 120_000], 'two kilobytes for each of thirty columns');
  assert.equal(await next('deliver'), '', 'it is slow');
  assert.equal(held.crowded(0), true, 'what nobody waits for waits');
  pass(9 * 1000 - 7);
  assert.equal(held.crowded(0), false);
  assert.equal(await next('deliver', { reads: 501 }), patient, 'a tenth of the time');
  assert.equal(held.crowded(0), false, 'nothing was appended since');
  assert.equal(await next('deliver'), '', '2 MB more than an eighth are a quarter of a second');
  assert.equal(
    await next('deliver', { tables: 5 }),
    beside,
    'half of the memory is not waited for; it has waited for readers in vain for a while',
  );
  pass(2 * 99 * 500);
  assert.equal(await next('deliver', { takes: 100 }), patient);
  assert.equal(uncounted.at(-1), 0);
  for (let k = 0; k < 3; k++) assert.equal(await next('deliver', { takes: 1 }), joins, 'nothing is loose any more');
});

/** Brings a record to each of the topics, so many times; `each` is called behind every one. */
async function trickle(store: Store, topics: readonly Topic[], rounds: number, each = async (): Promise<void> => {}): Promise<void> {
  for (let round = 0; round < rounds; round++)
    for (const topic of topics) {
      while (store.crowded()) await sleep(5);
      await store.deliver([delivery(topic, store.positions().get(topic.name) ?? 0, [{ json: '{"f0":"a"}' }])]);
      await each();
    }
}

const fields = Array.from({ length: 15 }, (_, k) => `f${k}: text`).join(', ');
const manyTopics = (count: number) => Array.from({ length: count }, (_, k) => topicOf(`topic_${k}`, `fields: {${fields}}`));

test('a trickle into many topics leaves no block behind each row, a slow statement before it or none', async (t) => {
  const dataPath = folder(t);
  const store = await openStore({ dataPath, memory: 100e6, threads: 2 });
  t.after(() => store.close());
  await store.write(async (tx) => {
    const rows = await tx.run('CREATE TABLE main.history AS SELECT md5(k::VARCHAR) AS w FROM range(1000000) t(k)');
    tx.changed({ kind: 'statement', target: 'main.history', rows });
  });
  const file = join(dataPath, 'warehouse.duckdb');
  const topics = manyTopics(40);
  await trickle(store, topics, 1);
  const before = statSync(file).size;
  await trickle(store, topics, 15);
  const grown = statSync(file).size - before;
  assert.ok(grown < 15e6, `${grown} bytes for fifteen rows in each of 40 tables`);
  for (const { name } of topics) assert.equal(await count(store, `raw.${name}`), 16);
});

/** Of a table that so many checkpoints took a row of each: its groups of rows, where a question that began before each was closed in time, or was not. */
async function groupsBeside(t: Parameters<typeof folder>[0] & { after(fn: () => unknown): void }, closes: boolean): Promise<number> {
  const file = join(folder(t), 'warehouse.duckdb');
  const instance = await DuckDBInstance.create(file, { checkpoint_threshold: '1GB' });
  t.after(() => instance.closeSync());
  const connection = await instance.connect();
  await connection.run(`CREATE SCHEMA millrace; CREATE TABLE millrace.batch (n BIGINT); CREATE TABLE t (n BIGINT)`);
  const readings = newReadings();
  let over = 0;
  const checkpoints = await openCheckpoints(instance, file, (cause) => assert.fail(String(cause)), {
    memory: 40e6,
    block: 262_144,
    readings,
    // The last that a checkpoint does: its log is gone some time before, and until then no other begins.
    onLoose: async () => void over++,
    now: () => 0,
  });
  for (let k = 0; k < 5; k++) {
    const question = await instance.connect();
    const close = (closed: { closeSync(): void }) => closed.closeSync();
    const reader = openReader(question, readings, close, (cause) => assert.fail(String(cause)));
    const result = await reader.stream('SELECT n FROM t, range(10000000)');
    await result.next();
    await checkpoints.ready();
    await connection.run('BEGIN; INSERT INTO t VALUES (1)');
    // Twenty columns of half a megabyte, as rows of other tables would hold them.
    await checkpoints.before(['t', 'u', 'v'].map((target) => ({ kind: 'deliver' as const, target, columns: 10 })));
    await connection.run('COMMIT');
    checkpoints.after();
    if (closes) setTimeout(() => reader.close(), 30);
    await checkpoints.ready();
    while (over <= k) await sleep(2);
    assert.ok(!statSync(`${file}.wal`, { throwIfNoEntry: false })?.size);
    if (!closes) reader.close();
    await readings.over(5000);
  }
  await checkpoints.close();
  const [groups] = (await connection.runAndReadAll(`SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('t')`)).getRows();
  return Number(groups![0]);
}

test('a checkpoint that is to join rows waits for questions that began before it, for a moment; else DuckDB joins nothing', {
  timeout: 60_000,
}, async (t) => {
  assert.deepEqual([await groupsBeside(t, true), await groupsBeside(t, false)], [1, 5]);
});

test('a result that is not read to its end is a state that somebody reads, until it is closed', async (t) => {
  const [readings, instance] = [newReadings(), await DuckDBInstance.create(':memory:')];
  t.after(() => instance.closeSync());
  const reader = openReader(
    await instance.connect(),
    readings,
    (connection) => connection.closeSync(),
    () => {},
  );
  assert.equal(await readings.over(0), true);
  const small = await reader.stream('SELECT 1');
  assert.equal(await readings.over(5), false);
  while ((await small.next()) !== null);
  assert.equal(await readings.over(0), true, 'read to its end');
  const large = await reader.stream('FROM range(10000000)');
  await large.next();
  assert.equal(await readings.over(5), false);
  const closing = readings.over(5000);
  reader.close();
  assert.equal(await closing, true);
});

test('many topics in little memory: what deliveries hold stays within its share', async (t) => {
  const store = await openStore({ dataPath: folder(t), memory: 60e6, threads: 2 });
  t.after(() => store.close());
  const topics = manyTopics(60);
  let most = 0;
  // Before the first checkpoint a table's blocks are small.
  await trickle(store, topics, 3, async () => {
    const [row] = await store.rows(`SELECT memory_usage_bytes AS held FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'`);
    most = Math.max(most, Number(row!['held']));
  });
  assert.ok(most > 5e6 && most < 44e6, `${most} bytes of blocks that are not written yet; without a checkpoint it would be 160 MB`);
  for (const { name } of topics) assert.equal(await count(store, `raw.${name}`), 3);
});
