import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Transfer, TransferTable } from '#core';
import { setCursor } from '#store';
import { openSource, preview } from '#transfer';
import { comparesNamesOfOurs, connectionTo, type Ground, keepsValues, openGround, tableOf } from './harness.ts';
import { absent, type MariaDb, startMariaDb } from './mariadb.ts';
import { TYPES } from './mysql-types.ts';

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

describe('MariaDB into the warehouse', { skip: absent ?? false }, () => {
  before(async () => {
    db = await startMariaDb();
    ground = await openGround({ PW: db.password });
    await db.ask("SET SESSION sql_mode = '', time_zone = '+00:00'");
  });
  after(async () => {
    await ground?.close();
    await db?.stop();
  });

  for (const [k, one] of TYPES.entries()) {
    test(`${one[0]} becomes ${one[2]} without loss, and both sides have the same sum`, () => keepsValues(ground, db, of, `t${k}`, one));
  }

  test('zero dates become NULL and are counted, a date that is none stands in quarantine with its reason', async () => {
    await db.ask("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'");
    await db.ask('CREATE TABLE days (id INT PRIMARY KEY, d DATE)');
    await db.ask("INSERT INTO days VALUES (1, '0000-00-00'), (2, '2024-02-31'), (3, '2024-02-28')");
    const { tables } = await ground.run(of(tableOf({ source: 'days' })));
    assert.deepEqual(
      { rows: tables[0]!.rows, quarantined: tables[0]!.quarantined, notes: tables[0]!.notes },
      { rows: 2, quarantined: 1, notes: ['"d": 1 zero dates became NULL'] },
    );
    assert.deepEqual(
      await ground.rows(`SELECT topic, code, reason, decode(body) FROM millrace.quarantine WHERE topic = 'transfer:shop.days'`),
      [['transfer:shop.days', 'RECORD_FIELD', 'The value 2024-02-31 of "d" does not fit DATE.', '{"id":"2","d":"2024-02-31"}']],
    );
    assert.deepEqual(tables[0]!.parity!.differences, [{ key: ['2'], kind: 'missing' }]);
    await db.ask("SET SESSION sql_mode = ''");
  });

  for (const [type, zero] of [
    ['DATE', '0000-00-00'],
    ['DATETIME', '0000-00-00 00:00:00'],
    ['TIMESTAMP NULL', '0000-00-00 00:00:00'],
  ] as const)
    for (const mode of ['append', 'merge'] as const)
      test(`rows whose cursor is a zero date (${type}) have none: mode ${mode} leaves them out, says so, and both sides are the same`, async () => {
        const source = `zeros_${type.slice(0, 5)}_${mode}`.toLowerCase();
        const lookback = mode === 'merge' ? { millis: 600_000 } : null;
        const transfer = of(tableOf({ source, mode, cursor: 'd', lookback }));
        await db.ask(`CREATE TABLE ${source} (id INT PRIMARY KEY, d ${type})`);
        await db.ask(`INSERT INTO ${source} VALUES (1, '${zero}'), (2, '${zero}')`);
        for (const wanted of [[], [], [3]]) {
          if (wanted.length > 0) await db.ask(`INSERT INTO ${source} VALUES (3, '2026-01-02')`);
          const { error, tables } = await ground.run(transfer);
          assert.equal(error, null);
          assert.deepEqual([tables[0]!.parity!.equal, tables[0]!.parity!.source.rows], [true, wanted.length]);
          assert.equal(tables[0]!.notes.length, 1);
          assert.deepEqual((await ground.rows(`SELECT id FROM shop.${source}`)).flat(), wanted);
        }
        // Where an earlier version stood.
        await ground.store.write((tx) => setCursor(tx, { transfer: 'shop', source, target: `shop.${source}`, mode, cursor: 'd' }, zero));
        assert.equal((await ground.run(transfer)).error, null);
      });

  test('columns that are named as our questions name things are compared like others', () => comparesNamesOfOurs(ground, db, of));

  test('names of tables and columns are names, whatever they hold', async () => {
    await db.ask('CREATE TABLE `select "x`` from` (`id` INT PRIMARY KEY, `a``b"c; --` TEXT, `주문` INT)');
    await db.ask('INSERT INTO `select "x`` from` VALUES (1, ?, 2)', ["'; DROP TABLE x; --"]);
    const report = await ground.run(of(tableOf({ source: 'select "x` from', target: 'shop.odd' })));
    assert.equal(report.error, null);
    assert.deepEqual(await ground.rows('SELECT * EXCLUDE (_batch) FROM shop.odd'), [[1, "'; DROP TABLE x; --", 2]]);
    assert.equal(report.tables[0]!.parity!.equal, true);
  });

  test('a preview shows rows with the types that they would get, and writes nothing', async () => {
    await db.ask('CREATE TABLE looked (id INT PRIMARY KEY, price DECIMAL(65,30), s VARCHAR(9))');
    await db.ask("INSERT INTO looked VALUES (1, 1.5, NULL), (2, 2, '')");
    const transfer = of(tableOf({ source: 'looked' }));
    const source = await openSource(transfer, { folder: '.', anywhere: false, env: { PW: db.password } });
    try {
      const [shown] = await preview(transfer, source, 20);
      assert.deepEqual(
        shown!.columns.map(({ type, note }) => [type, note]),
        [
          ['INTEGER', null],
          ['DECIMAL(38,30)', 'its values have room in 38 digits'],
          ['VARCHAR', null],
        ],
      );
      assert.deepEqual(shown!.rows, [
        ['1', `1.5${'0'.repeat(29)}`, null],
        ['2', `2.${'0'.repeat(30)}`, ''],
      ]);
    } finally {
      await source.close();
    }
    assert.deepEqual(await ground.rows(`SELECT 1 FROM duckdb_tables() WHERE table_name = 'looked'`), []);
  });

  test('what can go wrong with a connection is a coded error that says nothing of the password', async () => {
    const password = 'hunter2-secret';
    const cases: [object, string][] = [
      [{ password: { env: 'WRONG' } }, 'TRANSFER_DENIED'],
      [{ host: 'no-such-host.invalid' }, 'TRANSFER_CONNECT'],
      [{ port: 1 }, 'TRANSFER_CONNECT'],
      [{ database: 'no_such_database' }, 'TRANSFER_DENIED'],
      [{ password: { env: 'UNSET_VARIABLE' } }, 'TRANSFER_SECRET'],
      [{ password: { file: 'no/such/file' } }, 'TRANSFER_SECRET'],
      [{ password }, 'TRANSFER_OPTION'],
      [{ tls: true }, 'TRANSFER_CONNECT'],
      [{ passwort: 'x' }, 'TRANSFER_OPTION'],
    ];
    for (const [change, code] of cases) {
      const transfer = of(tableOf({ source: 't0' }));
      const connection = { ...transfer.connection, ...change };
      await assert.rejects(
        openSource({ source: 'mysql', connection }, { folder: '.', anywhere: false, env: { PW: db.password, WRONG: password } }),
        (error: Error & { code: string }) => {
          assert.equal(error.code, code, error.message);
          assert.ok(!JSON.stringify([error.message, (error as unknown as { body: object }).body]).includes(password));
          return true;
        },
      );
    }
  });

  test('a table that is not there, a column that is no cursor and a merge without key are refused before anything is written', async () => {
    await db.ask('CREATE TABLE keyless (a TEXT, b INT)');
    const cases: [TransferTable, string][] = [
      [tableOf({ source: 'nothing' }), 'TRANSFER_TABLE'],
      [tableOf({ source: 'keyless', mode: 'merge' }), 'TRANSFER_COLUMN'],
      [tableOf({ source: 'keyless', mode: 'append', cursor: 'a' }), 'TRANSFER_COLUMN'],
      [tableOf({ source: 'keyless', mode: 'append', cursor: 'c' }), 'TRANSFER_COLUMN'],
      [tableOf({ source: 'keyless', mode: 'merge', key: ['zz'] }), 'TRANSFER_COLUMN'],
    ];
    for (const [table, code] of cases) {
      const report = await ground.run(of(table));
      assert.equal(report.error?.code, code);
      assert.equal(report.outcome, 'failed');
    }
    assert.deepEqual(await ground.rows(`SELECT 1 FROM duckdb_tables() WHERE table_name = 'keyless'`), []);
  });

  test('a value of several megabytes comes through whole', async () => {
    await db.ask('SET GLOBAL max_allowed_packet = 67108864');
    await db.ask('CREATE TABLE large (id INT PRIMARY KEY, body LONGTEXT, raw LONGBLOB)');
    await db.ask(`INSERT INTO large VALUES (1, REPEAT('한글",\n', 800000), REPEAT(x'00ff', 2000000)), (2, 'x', '')`).catch(async () => {
      // The limit holds for new connections only; this one has the default of 16 MiB, which is enough for halves.
      await db.ask(`INSERT INTO large VALUES (1, REPEAT('한글",\n', 400000), REPEAT(x'00ff', 1000000)), (2, 'x', '')`);
    });
    const report = await ground.run(of(tableOf({ source: 'large' })));
    assert.equal(report.error, null);
    assert.equal(report.tables[0]!.parity!.equal, true);
    const [there] = await db.ask('SELECT MD5(body) AS b, MD5(raw) AS r FROM large WHERE id = 1');
    assert.deepEqual(await ground.rows('SELECT md5(body), md5(raw) FROM shop.large WHERE id = 1'), [[there!['b'], there!['r']]]);
  });

  test('a run sees one moment of a table that is being written to, and its parity holds', async () => {
    await db.ask('CREATE TABLE busy (id INT PRIMARY KEY AUTO_INCREMENT, v INT, s VARCHAR(200))');
    await db.ask(`INSERT INTO busy (v, s) SELECT seq, REPEAT('x', 150) FROM seq_1_to_60000`);
    let writing = true;
    const writer = (async () => {
      while (writing) {
        await db.ask('INSERT INTO busy (v, s) VALUES (0, "new")');
        await db.ask('UPDATE busy SET v = v + 1 WHERE id % 97 = 1 LIMIT 50');
        await db.ask('DELETE FROM busy WHERE id % 89 = 1 LIMIT 5');
      }
    })();
    const report = await ground.run(of(tableOf({ source: 'busy', key: ['id'] })));
    writing = false;
    await writer;
    assert.equal(report.error, null);
    assert.deepEqual(report.tables[0]!.parity!.differences, []);
    assert.equal(report.tables[0]!.parity!.equal, true);
  });
});
