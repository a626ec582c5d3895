/** Columns that can't have their own name here: `_batch`, and names that differ only in case. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Transfer, TransferTable } from '#core';
import { guess } from '#transfer';
import { distinctNames } from '../../src/transfer/names.ts';
import { becomes, followed, start } from './following.ts';
import { connectionTo, type Ground, openGround, tableOf } from './harness.ts';
import { absent as mariaAbsent, startMariaDb } from './mariadb.ts';
import { absent as postgresAbsent, startPostgres } from './postgres-server.ts';

let ground: Ground;
before(async () => {
  ground = await openGround({ PW: 'geheim' });
});
after(() => ground?.close());

const columns = async (table: string) =>
  (
    await ground.rows(
      `SELECT column_name FROM duckdb_columns() WHERE schema_name = 'shop' AND table_name = '${table}' AND NOT internal ORDER BY column_index`,
    )
  ).flat();

for (const [given, found] of [
  [
    ['a', 'B', 'É', 'é'],
    ['a', 'B', 'É', 'é'],
  ],
  [
    ['Id', 'id', 'ID'],
    ['Id', 'id_2', 'ID_3'],
  ],
  [
    ['id', 'ID', 'Id_2'],
    ['id', 'ID_3', 'Id_2'],
  ],
  [
    ['_BATCH', '_batch', '_batch_2'],
    ['_BATCH_3', '_batch_4', '_batch_2'],
  ],
  [
    ['', 'column1', ''],
    ['column1_2', 'column1', 'column3'],
  ],
] as const)
  test(`${JSON.stringify(given)} are called ${JSON.stringify(found)}`, () => assert.deepEqual(distinctNames(given), found));

describe('PostgreSQL', { skip: postgresAbsent ?? false }, () => {
  let db: Awaited<ReturnType<typeof startPostgres>>;
  before(async () => {
    db = await startPostgres();
  });
  after(() => db?.stop());
  const of = (name: string, ...tables: TransferTable[]): Transfer => ({
    name,
    source: 'postgres',
    connection: { host: db.host, port: db.port, user: 'admin', database: db.database },
    tables,
  });
  const make = async (name: string) => {
    await db.ask(`CREATE TABLE ${name} ("Id" TEXT, "id" INT PRIMARY KEY, _batch INT NOT NULL, v TEXT)`);
    await db.ask(`INSERT INTO ${name} VALUES ('one', 1, 10, 'a'), ('two', 2, 20, 'b')`);
  };
  const rows = (table: string) => `SELECT "Id", id_2, _batch_2, v FROM shop.${table} ORDER BY id_2`;

  test('keeps the values of each, and says what they are called', async () => {
    await make('whole');
    const { error, tables } = await ground.run(of('whole', tableOf({ source: 'whole', types: { id_2: 'BIGINT' } })));
    assert.equal(error, null);
    assert.deepEqual(await columns('whole'), ['Id', 'id_2', '_batch_2', 'v', '_batch']);
    assert.deepEqual(await ground.rows(rows('whole')), [
      ['one', 1, 10, 'a'],
      ['two', 2, 20, 'b'],
    ]);
    assert.equal(tables[0]!.parity!.equal, true);
    assert.deepEqual(tables[0]!.notes, [
      '"id_2": at the source its name is "id", which another column has here',
      '"_batch_2": at the source its name is "_batch", which is ours in each table',
    ]);
  });

  test('is merged by such a key and cursor, and differences are listed by the key', async () => {
    await make('merged');
    const transfer = of('merged', tableOf({ source: 'merged', mode: 'merge', cursor: '_batch_2' }));
    assert.equal((await ground.run(transfer)).error, null);
    await db.ask(`UPDATE merged SET _batch = 30, v = 'c' WHERE "id" = 1`);
    const second = await ground.run(transfer);
    assert.deepEqual([second.error, second.tables[0]!.replaced, second.tables[0]!.cursor], [null, 1, '30']);
    assert.deepEqual(await ground.rows(rows('merged')), [
      ['one', 1, 30, 'c'],
      ['two', 2, 20, 'b'],
    ]);
    await ground.store.write((tx) => tx.run(`UPDATE shop.merged SET v = 'other' WHERE id_2 = 2`));
    const whole = of('merged', tableOf({ source: 'merged', mode: 'merge', key: ['id_2'] }));
    await ground.store.write((tx) => tx.run(`INSERT INTO shop.merged ("Id", id_2, _batch_2) VALUES ('x', 99, 1)`));
    const third = await ground.run(whole);
    assert.deepEqual(third.tables[0]!.parity!.differences, [{ key: ['99'], kind: 'extra' }]);
    const named = await ground.run(of('merged', tableOf({ source: 'merged', mode: 'merge', key: ['id'] })));
    assert.equal(named.error?.code, 'TRANSFER_COLUMN');
  });

  test('is followed by its log', async () => {
    await make('log');
    const run = start(ground, of('log', followed('log')));
    await becomes(ground, 'SELECT count(*) FROM shop.log', [[2]], run);
    await db.ask(`UPDATE log SET "id" = 3, _batch = 31 WHERE "id" = 2`);
    await db.ask(`INSERT INTO log VALUES ('four', 4, 40, NULL)`);
    await db.ask(`DELETE FROM log WHERE "id" = 1`);
    await becomes(
      ground,
      rows('log'),
      [
        ['two', 3, 31, 'b'],
        ['four', 4, 40, null],
      ],
      run,
    );
    await db.ask(`ALTER TABLE log ADD COLUMN "V" INT`);
    await db.ask(`INSERT INTO log VALUES ('five', 5, 50, 'e', 55)`);
    await becomes(ground, 'SELECT v, "V_2" FROM shop.log WHERE id_2 = 5', [['e', 55]], run);
    assert.deepEqual(
      (await run.compare()).map(({ parity }) => parity?.equal),
      [true],
    );
    assert.equal((await run.stop()).error, null);
  });

  test('gets a first definition in which they have these names', async () => {
    await make('guessed');
    const { text } = await guess(`postgres://admin:x@${db.host}:${db.port}/${db.database}`, {
      folder: ground.folder,
      anywhere: false,
      env: {},
    });
    assert.match(text, /# id_2: integer → INTEGER \(at the source its name is "id", which another column has here\)/);
  });
});

test('MariaDB: a column called _batch keeps its values', { skip: mariaAbsent ?? false }, async (t) => {
  const db = await startMariaDb();
  t.after(() => db.stop());
  await db.ask('CREATE TABLE own (id INT PRIMARY KEY, _batch INT, b2 TEXT)');
  await db.ask(`INSERT INTO own VALUES (1, 10, 'a'), (2, NULL, 'b')`);
  const local = await openGround({ PW: db.password });
  t.after(() => local.close());
  const { error, tables } = await local.run({
    name: 'own',
    source: 'mysql',
    connection: connectionTo(db),
    tables: [tableOf({ source: 'own', mode: 'merge' })],
  });
  assert.deepEqual([error, tables[0]!.parity!.equal], [null, true]);
  assert.deepEqual(await local.rows('SELECT id, _batch_2, b2 FROM shop.own ORDER BY id'), [
    [1, 10, 'a'],
    [2, null, 'b'],
  ]);
});

test('Parquet: a column called _batch keeps its values', async () => {
  const path = join(ground.store.folders.slices, 'names.parquet');
  const reader = await ground.store.reader();
  await reader.toParquet(`SELECT k AS _batch, k + 1 AS a FROM range(3) r(k)`, undefined, path);
  reader.close();
  const { error, tables } = await ground.run({
    name: 'pq',
    source: 'parquet',
    connection: { path },
    tables: [tableOf({ source: 'names' })],
  });
  assert.deepEqual([error, tables[0]!.parity!.equal], [null, true]);
  assert.deepEqual(await ground.rows('SELECT _batch_2, a FROM shop.names ORDER BY 1'), [
    [0, 1],
    [1, 2],
    [2, 3],
  ]);
});
