import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Transfer, TransferTable } from '#core';
import type { Warehouse } from '#transfer';
import { connectionTo, counted, cutAfter, type Ground, openGround, tableOf } from './harness.ts';
import { absent, type MariaDb, startMariaDb } from './mariadb.ts';

let db: MariaDb;
let ground: Ground;

function of(...tables: TransferTable[]): Transfer {
  return {
    name: 'shop',
    source: 'mysql',
    connection: connectionTo(db),
    tables,
  };
}

async function run(table: TransferTable, warehouse?: Warehouse) {
  const report = await ground.run(of(table), warehouse === undefined ? {} : { warehouse });
  return { report, table: report.tables[0]! };
}

const LONG = "REPEAT('x', 400)";

describe('modes of a transfer', { skip: absent ?? false }, () => {
  before(async () => {
    db = await startMariaDb();
    ground = await openGround({ PW: db.password });
    await db.ask("SET SESSION sql_mode = '', time_zone = '+00:00'");
  });
  after(async () => {
    await ground?.close();
    await db?.stop();
  });

  test('a full run replaces the table at its end: until then readers see the former rows', async () => {
    await db.ask('CREATE TABLE f (id INT PRIMARY KEY, v INT)');
    await db.ask('INSERT INTO f VALUES (1, 1), (2, 2)');
    await run(tableOf({ source: 'f' }));
    await db.ask('DELETE FROM f WHERE id = 1');
    await db.ask('ALTER TABLE f ADD COLUMN w TEXT');
    await db.ask("INSERT INTO f VALUES (3, 3, 'new')");
    const seen: unknown[] = [];
    const { table } = await run(tableOf({ source: 'f' }), {
      ...ground.warehouse,
      close: async (target, complete) => {
        seen.push(await ground.rows('SELECT id, v FROM shop.f ORDER BY id'), (await ground.store.names()).has('shop._next_f'));
        await ground.warehouse.close(target, complete);
      },
    });
    assert.deepEqual(seen, [
      [
        [1, 1],
        [2, 2],
      ],
      false,
    ]);
    assert.deepEqual(await ground.rows('SELECT id, v, w FROM shop.f ORDER BY id'), [
      [2, 2, null],
      [3, 3, 'new'],
    ]);
    assert.equal(table.parity!.equal, true);
    assert.deepEqual(await ground.rows(`SELECT key FROM millrace.batch WHERE target = 'shop.f' ORDER BY batch DESC LIMIT 1`), [['whole']]);
  });

  test('a full run that is cut off leaves the former table, and the next one brings the whole', async () => {
    await db.ask('CREATE TABLE fc (id INT PRIMARY KEY, s TEXT)');
    await db.ask("INSERT INTO fc VALUES (1, 'old')");
    await run(tableOf({ source: 'fc' }));
    await db.ask(`INSERT INTO fc SELECT seq + 1, ${LONG} FROM seq_1_to_30000`);
    const cut = await run(tableOf({ source: 'fc' }), cutAfter(ground.warehouse, 1));
    assert.equal(cut.report.outcome, 'failed');
    assert.deepEqual(await ground.rows('SELECT count(*) FROM shop.fc'), [[1]]);
    const { table } = await run(tableOf({ source: 'fc' }));
    assert.deepEqual(await ground.rows('SELECT count(*), count(DISTINCT id) FROM shop.fc'), [[30_001, 30_001]]);
    assert.equal(table.parity!.equal, true);
  });

  test('an empty table makes an empty table', async () => {
    await db.ask('CREATE TABLE e (id INT PRIMARY KEY, v INT)');
    const { table } = await run(tableOf({ source: 'e' }));
    assert.deepEqual(await ground.rows('SELECT count(*) FROM shop.e'), [[0]]);
    assert.equal(table.parity!.equal, true);
  });

  test('an append with a cursor takes only the rows above it, run after run', async () => {
    await db.ask('CREATE TABLE a (id BIGINT PRIMARY KEY, v INT)');
    const table = tableOf({ source: 'a', mode: 'append', cursor: 'id' });
    await db.ask('INSERT INTO a VALUES (1, 1), (9007199254740993, 2)');
    assert.equal((await run(table)).table.rows, 2);
    assert.equal((await run(table)).table.rows, 0);
    await db.ask('INSERT INTO a VALUES (9007199254740994, 3)');
    const third = await run(table);
    assert.deepEqual(
      { rows: third.table.rows, cursor: third.table.cursor, equal: third.table.parity!.equal },
      { rows: 1, cursor: '9007199254740994', equal: true },
    );
    assert.deepEqual(await ground.rows('SELECT v FROM shop.a ORDER BY v'), [[1], [2], [3]]);
  });

  test('short rows come in slices of exactly a group of rows, over the batches of the source', async () => {
    await db.ask('CREATE TABLE short (id INT PRIMARY KEY, s CHAR(80))');
    await db.ask(`INSERT INTO short SELECT seq, REPEAT('x', 80) FROM seq_1_to_200000`);
    const { warehouse, slices } = counted(ground.warehouse);
    const { table } = await run(tableOf({ source: 'short' }), warehouse);
    assert.deepEqual(slices, [122_880, 77_120]);
    assert.deepEqual(await ground.rows('SELECT count(*), count(DISTINCT id) FROM shop.short'), [[200_000, 200_000]]);
    assert.equal(table.parity!.equal, true);
  });

  test('an append that was cut off in the middle of equal cursors neither loses nor doubles a row', async () => {
    await db.ask('CREATE TABLE ties (id INT PRIMARY KEY, day DATE, s TEXT)');
    // Two days, each of several slices: every cut falls among equal cursors.
    await db.ask(`INSERT INTO ties SELECT seq, IF(seq <= 30000, '2024-01-01', '2024-01-02'), ${LONG} FROM seq_1_to_60000`);
    const table = tableOf({ source: 'ties', mode: 'append', cursor: 'day' });
    for (const slices of [1, 2]) assert.equal((await run(table, cutAfter(ground.warehouse, slices))).report.outcome, 'failed');
    const done = await run(table);
    assert.equal(done.report.error, null);
    assert.deepEqual(await ground.rows('SELECT count(*), count(DISTINCT id) FROM shop.ties'), [[60_000, 60_000]]);
    assert.equal((await run(table)).table.rows, 0);
  });

  test('an append without cursor adds the whole table, and a cut run is taken back by the next', async () => {
    await db.ask('CREATE TABLE w (id INT PRIMARY KEY, s TEXT)');
    await db.ask(`INSERT INTO w SELECT seq, ${LONG} FROM seq_1_to_30000`);
    const table = tableOf({ source: 'w', mode: 'append' });
    await run(table, cutAfter(ground.warehouse, 1));
    const first = await run(table);
    assert.deepEqual(await ground.rows('SELECT count(*) FROM shop.w'), [[30_000]]);
    const second = await run(table);
    assert.deepEqual(await ground.rows('SELECT count(*), count(DISTINCT id) FROM shop.w'), [[60_000, 30_000]]);
    assert.deepEqual([first.table.parity!.equal, second.table.parity!.equal], [true, true]);
  });

  test('a merge replaces rows of the same key, adds new ones, leaves equal ones alone, and keeps what it replaced', async () => {
    await db.ask('CREATE TABLE m (a INT, b VARCHAR(10), v INT, at DATETIME(6), PRIMARY KEY (a, b))');
    const table = tableOf({ source: 'm', mode: 'merge', cursor: 'at', lookback: { millis: 60_000 } });
    await db.ask(
      "INSERT INTO m VALUES (1, 'x', 10, '2024-01-01 00:00:00'), (1, 'y', 11, '2024-01-01 00:00:30'), (2, '', NULL, '2024-01-01 00:01:00')",
    );
    await run(table);
    await db.ask("UPDATE m SET v = 99, at = '2024-01-01 00:02:00' WHERE a = 1 AND b = 'x'");
    // Committed late: its time is below the cursor, within the lookback.
    await db.ask("INSERT INTO m VALUES (3, 'z', 5, '2024-01-01 00:00:15')");
    const { table: second } = await run(table);
    assert.deepEqual({ read: second.read, rows: second.rows, replaced: second.replaced }, { read: 4, rows: 2, replaced: 1 });
    assert.deepEqual(await ground.rows('SELECT a, b, v FROM shop.m ORDER BY a, b'), [
      [1, 'x', 99],
      [1, 'y', 11],
      [2, '', null],
      [3, 'z', 5],
    ]);
    assert.equal(second.parity!.equal, true);
    const [[batch]] = (await ground.rows(`SELECT max(batch) FROM millrace.batch WHERE target = 'shop.m'`)) as [[number]];
    assert.deepEqual(await ground.rows('SELECT a, b, v, _batch FROM change."shop.m"'), [[1, 'x', 10, batch]]);
    assert.deepEqual(await ground.rows(`SELECT a, b FROM shop.m WHERE _batch = ${batch} ORDER BY a`), [
      [1, 'x'],
      [3, 'z'],
    ]);
  });

  test('a merge that was cut off is finished by the next run', async () => {
    await db.ask('CREATE TABLE mc (id INT PRIMARY KEY, n INT, s TEXT)');
    await db.ask(`INSERT INTO mc SELECT seq, seq, ${LONG} FROM seq_1_to_30000`);
    const table = tableOf({ source: 'mc', mode: 'merge', cursor: 'n' });
    await run(table, cutAfter(ground.warehouse, 1));
    await db.ask('UPDATE mc SET n = n + 100000, s = "changed" WHERE id % 2 = 0');
    const { table: second } = await run(table);
    assert.equal(second.parity!.equal, true);
    const sums = await db.ask('SELECT COUNT(*) AS n, CAST(SUM(n) AS CHAR) AS total FROM mc');
    assert.deepEqual(await ground.rows('SELECT count(*), sum(n)::VARCHAR FROM shop.mc'), [[Number(sums[0]!['n']), sums[0]!['total']]]);
  });

  test('rows deleted at the source are named by the parity report of a merge', async () => {
    await db.ask('CREATE TABLE gone (id INT PRIMARY KEY, v INT)');
    await db.ask('INSERT INTO gone VALUES (1, 1), (2, 2)');
    const table = tableOf({ source: 'gone', mode: 'merge' });
    await run(table);
    await db.ask('DELETE FROM gone WHERE id = 1');
    const { table: second } = await run(table);
    assert.deepEqual(second.parity!.differences, [{ key: ['1'], kind: 'extra' }]);
  });

  test('rows without a cursor are not transferred, and the report says so', async () => {
    await db.ask('CREATE TABLE nc (id INT PRIMARY KEY, at DATETIME)');
    await db.ask("INSERT INTO nc VALUES (1, NULL), (2, '2024-01-01')");
    const { table } = await run(tableOf({ source: 'nc', mode: 'append', cursor: 'at' }));
    assert.deepEqual({ rows: table.rows, notes: table.notes }, { rows: 1, notes: ['rows without "at" are not transferred'] });
  });

  test('a run that a newer one has overtaken writes nothing more', async () => {
    await db.ask('CREATE TABLE o (id INT PRIMARY KEY, s TEXT)');
    await db.ask(`INSERT INTO o SELECT seq, ${LONG} FROM seq_1_to_50000`);
    const table = tableOf({ source: 'o', mode: 'append', cursor: 'id' });
    let overtaken = false;
    const slow = await run(table, {
      ...ground.warehouse,
      apply: async (target, slice) => {
        if (slice.number === 2 && !overtaken) {
          overtaken = true;
          assert.equal((await run(table)).report.error, null);
        }
        return ground.warehouse.apply(target, slice);
      },
    });
    assert.equal(slow.report.error?.code, 'TRANSFER_SUPERSEDED');
    assert.deepEqual(await ground.rows('SELECT count(*), count(DISTINCT id) FROM shop.o'), [[50_000, 50_000]]);
  });

  test('a slice that is handed over twice is written once', async () => {
    await db.ask('CREATE TABLE twice (id INT PRIMARY KEY, v INT)');
    await db.ask('INSERT INTO twice VALUES (1, 1)');
    await run(tableOf({ source: 'twice', mode: 'append', cursor: 'id' }), {
      ...ground.warehouse,
      apply: async (target, slice) => {
        const first = await ground.warehouse.apply(target, slice);
        assert.deepEqual(await ground.warehouse.apply(target, slice), first);
        return first;
      },
    });
    assert.deepEqual(await ground.rows('SELECT count(*) FROM shop.twice'), [[1]]);
  });

  test('drift: evolve takes new, wider and missing columns, discard leaves new ones out, freeze refuses', async () => {
    await db.ask('CREATE TABLE d (id INT PRIMARY KEY, v SMALLINT, old TEXT)');
    await db.ask("INSERT INTO d VALUES (1, 1, 'a')");
    const table = (drift: TransferTable['drift']) => tableOf({ source: 'd', target: `shop.d_${drift}`, mode: 'merge', drift });
    for (const drift of ['evolve', 'discard', 'freeze'] as const) await run(table(drift));
    await db.ask('UPDATE d SET v = 2');
    await run(table('evolve'));
    await db.ask('ALTER TABLE d MODIFY v BIGINT, DROP COLUMN old, ADD COLUMN born DATE FIRST');
    await db.ask("INSERT INTO d (id, v, born) VALUES (2, 9000000000, '2024-01-01')");
    const evolved = await run(table('evolve'));
    assert.deepEqual(evolved.table.notes, [
      '"born" is new',
      '"v" became BIGINT, it was SMALLINT',
      '"old" is not at the source: new rows have NULL there',
    ]);
    assert.deepEqual(await ground.rows('SELECT id, v, old, born FROM shop.d_evolve ORDER BY id'), [
      [1, 2, 'a', null],
      [2, 9_000_000_000, null, '2024-01-01'],
    ]);
    assert.equal(evolved.table.parity!.equal, true);
    const discarded = await run(table('discard'));
    assert.equal(discarded.table.quarantined, 1, 'a value that does not fit the kept type stands in quarantine');
    assert.deepEqual(await ground.rows("SELECT column_name FROM duckdb_columns() WHERE table_name = 'd_discard' ORDER BY column_index"), [
      ['id'],
      ['v'],
      ['old'],
      ['_batch'],
    ]);
    const frozen = await run(table('freeze'));
    assert.equal(frozen.report.error?.code, 'TRANSFER_DRIFT');
    assert.deepEqual(await ground.rows('SELECT id, v FROM shop.d_freeze'), [[1, 1]]);
  });

  test('every run changes only its own tables', async () => {
    const before = await ground.rows(`SELECT target, max(batch) FROM millrace.batch WHERE target <> 'shop.own' GROUP BY 1 ORDER BY 1`);
    await db.ask('CREATE TABLE own (id INT PRIMARY KEY)');
    await db.ask('INSERT INTO own VALUES (1)');
    await run(tableOf({ source: 'own', mode: 'merge' }));
    assert.deepEqual(
      await ground.rows(`SELECT target, max(batch) FROM millrace.batch WHERE target <> 'shop.own' GROUP BY 1 ORDER BY 1`),
      before,
    );
  });
});
