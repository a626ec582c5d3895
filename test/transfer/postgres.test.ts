import assert from 'node:assert/strict';
import { type AddressInfo, connect as connectSocket, createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Transfer, TransferTable } from '#core';
import { guess, openSource } from '#transfer';
import { arrayToJson } from '../../src/transfer/pgoutput/arrays.ts';
import { becomes, followed, start } from './following.ts';
import { comparesNamesOfOurs, connectionTo, counted, type Ground, keepsValues, openGround, type TypeCase, tableOf } from './harness.ts';
import { absent, type Postgres, startPostgres } from './postgres-server.ts';

let db: Postgres;
let ground: Ground;

const connectionOf = () => connectionTo(db);

function of(...tables: TransferTable[]): Transfer {
  return { name: 'shop', source: 'postgres', connection: connectionOf(), tables };
}

/** Each row of docs/transfer.md's table: a column, values as the server is given them, the type and the values here. */
const TYPES: readonly TypeCase[] = [
  ['smallint', ['-32768', '32767'], 'SMALLINT', ['-32768', '32767']],
  ['integer', ['-2147483648', 'NULL'], 'INTEGER', ['-2147483648', null]],
  ['bigint', ['-9223372036854775808', '9223372036854775807'], 'BIGINT', ['-9223372036854775808', '9223372036854775807']],
  [
    'numeric(38,10)',
    ["'1234567890123456789012345678.0123456789'", '-0.1'],
    'DECIMAL(38,10)',
    ['1234567890123456789012345678.0123456789', '-0.1000000000'],
  ],
  ['numeric', ["'12345678901234567890.12345'", '1'], 'DECIMAL(38,5)', ['12345678901234567890.12345', '1.00000']],
  [
    'numeric(50,2)',
    ["'123456789012345678901234567890123456789.01'", '0'],
    'VARCHAR',
    ['123456789012345678901234567890123456789.01', '0.00'],
  ],
  ['real', ['0.1', "'NaN'"], 'FLOAT', ['0.1', 'nan']],
  ['double precision', ['1e-7', "'-Infinity'"], 'DOUBLE', ['1e-07', '-inf']],
  ['money', ["'-1234.5'", 'NULL'], 'VARCHAR', ['-$1,234.50', null]],
  ['boolean', ['true', 'false'], 'BOOLEAN', ['true', 'false']],
  ['date', ["'0044-03-15 BC'", "'infinity'"], 'DATE', ['0044-03-15 (BC)', 'infinity']],
  ['timestamp(6)', ["'2024-02-29 23:59:59.999999'", "'-infinity'"], 'TIMESTAMP', ['2024-02-29 23:59:59.999999', '-infinity']],
  ['timestamp', ["'0044-03-15 01:02:03 BC'", 'NULL'], 'TIMESTAMP', ['0044-03-15 (BC) 01:02:03', null]],
  ['timestamptz', ["'2024-01-01 12:00:00.125+09'", "'infinity'"], 'TIMESTAMP WITH TIME ZONE', ['2024-01-01 03:00:00.125+00', 'infinity']],
  ['time', ["'23:59:59.5'", 'NULL'], 'TIME', ['23:59:59.5', null]],
  ['timetz', ["'23:59:59+09'", 'NULL'], 'VARCHAR', ['23:59:59+09', null]],
  [
    'interval',
    ["'1 year 2 mons -3 days 04:05:06.789'", "'-838:59:59'"],
    'INTERVAL',
    ['1 year 2 months -3 days 04:05:06.789', '-838:59:59'],
  ],
  ['uuid', ["'123e4567-e89b-12d3-a456-426655440000'", 'NULL'], 'UUID', ['123e4567-e89b-12d3-a456-426655440000', null]],
  ['json', [`'{"n": 12345678901234567890,  "s": "a,b"}'`, 'NULL'], 'JSON', ['{"n": 12345678901234567890,  "s": "a,b"}', null]],
  ['jsonb', [`'{"n":12345678901234567890,"a":[1,null]}'`, "'null'"], 'JSON', ['{"a": [1, null], "n": 12345678901234567890}', 'null']],
  ['bytea', ["'\\x00ff2c220a0d'", "''"], 'BLOB', ['\\x00\\xFF,\\x22\\x0A\\x0D', '']],
  ['text', ["E'a,\"b\\r\\n한글 🙂\\\\'", "' NULL '"], 'VARCHAR', ['a,"b\r\n한글 🙂\\', ' NULL ']],
  ['varchar(9)', ["''", 'NULL'], 'VARCHAR', ['', null]],
  ['char(5)', ["'x  '", "''"], 'VARCHAR', ['x', '']],
  ['integer[]', ["'{1,NULL,-3}'", "'{{1,2},{3,4}}'"], 'JSON', ['[1,null,-3]', '[[1,2],[3,4]]']],
  ['text[]', [`ARRAY['a,"b', NULL, E'한\\\\\\n', 'NULL', '']`, "'{}'"], 'JSON', ['["a,\\"b",null,"한\\\\\\n","NULL",""]', '[]']],
  ['boolean[]', ["'{t,f,NULL}'", "'[5:6]={t,f}'"], 'JSON', ['[true,false,null]', '[true,false]']],
  ['numeric[]', ["'{1.50,NaN}'", 'NULL'], 'JSON', ['[1.50,"NaN"]', null]],
  ['date[]', ["'{2024-01-31}'", 'NULL'], 'JSON', ['["2024-01-31"]', null]],
  ['mood', ["'happy'", 'NULL'], 'VARCHAR', ['happy', null]],
  ['price', ['12.50', 'NULL'], 'DECIMAL(10,2)', ['12.50', null]],
  ['inet', ["'192.168.0.1/24'", 'NULL'], 'VARCHAR', ['192.168.0.1/24', null]],
  ['int4range', ["'[1,5)'", "'empty'"], 'VARCHAR', ['[1,5)', 'empty']],
  ['point', ["'(1,2)'", 'NULL'], 'VARCHAR', ['(1,2)', null]],
  ['bit(3)', ["B'101'", 'NULL'], 'VARCHAR', ['101', null]],
  ['xml', ["'<a>1</a>'", 'NULL'], 'VARCHAR', ['<a>1</a>', null]],
];

describe('PostgreSQL into the warehouse', { skip: absent ?? false }, () => {
  before(async () => {
    db = await startPostgres();
    ground = await openGround({ PW: db.password });
    await db.ask("CREATE TYPE mood AS ENUM ('sad', 'happy')");
    await db.ask('CREATE DOMAIN price AS numeric(10,2)');
  });
  after(async () => {
    await ground?.close();
    await db?.stop();
  });

  for (const [k, one] of TYPES.entries()) {
    test(`${one[0]} becomes ${one[2]} without loss, and both sides have the same sum`, () => keepsValues(ground, db, of, `t${k}`, one));
  }

  test('a row that is not plain is taken in with those before and after it', async () => {
    await db.ask(`CREATE TABLE odd (d DATE, id INT PRIMARY KEY)`);
    await db.ask(`INSERT INTO odd VALUES ('2024-01-01', 1), ('infinity', 2), ('2024-01-03', 3)`);
    const { error } = await ground.run(of(tableOf({ source: 'odd' })));
    assert.equal(error, null);
    const rows = await ground.rows('SELECT CAST(d AS VARCHAR), id FROM shop.odd ORDER BY id');
    assert.deepEqual(rows, [
      ['2024-01-01', 1],
      ['infinity', 2],
      ['2024-01-03', 3],
    ]);
  });

  test('a value that comes by the log is the value that a copy reads, for each type', async () => {
    await db.ask(`CREATE TABLE types (id INT PRIMARY KEY, ${TYPES.map(([column], k) => `v${k} ${column}`).join(', ')})`);
    const insert = (id: number, k: number) => db.ask(`INSERT INTO types VALUES (${id}, ${TYPES.map(([, given]) => given[k]).join(', ')})`);
    await insert(0, 0);
    await insert(1, 1);
    const admin = { ...of(followed('types')), name: 'types', connection: { ...connectionOf(), user: 'admin', password: '' } };
    const run = start(ground, { ...admin, connection: { host: db.host, port: db.port, user: 'admin', database: db.database } });
    await becomes(ground, 'SELECT count(*) FROM shop.types', [[2]], run);
    await insert(2, 0);
    await insert(3, 1);
    await becomes(ground, 'SELECT count(*) FROM shop.types', [[4]], run);
    const rows = await ground.rows(`SELECT ${TYPES.map((_, k) => `CAST(v${k} AS VARCHAR)`).join(', ')} FROM shop.types ORDER BY id`);
    for (const [k, [column, , , here]] of TYPES.entries()) {
      assert.deepEqual([column, rows[0]![k], rows[1]![k]], [column, ...here], 'by the copy');
      assert.deepEqual([column, rows[2]![k], rows[3]![k]], [column, ...here], 'by the log');
    }
    assert.equal((await run.stop()).error, null);
  });

  test('any array of texts is the same JSON by the log as by the server', async () => {
    const cases = fc.sample(
      fc.array(fc.option(fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\u0000', ''))), { maxLength: 5 }),
      60,
    );
    for (const values of cases) {
      const literal = `ARRAY[${values.map((value) => (value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`)).join(', ')}]::text[]`;
      const [row] = await db.ask(`SELECT a::text AS text, to_json(a)::text AS json FROM (SELECT ${literal} AS a) x`);
      assert.equal(arrayToJson(String(row!['text']), false), row!['json']);
    }
  });

  test('a NaN in a DECIMAL stands in quarantine with its reason; as DOUBLE it comes through', async () => {
    await db.ask('CREATE TABLE nans (id INT PRIMARY KEY, v numeric(10,2))');
    await db.ask(`INSERT INTO nans VALUES (1, 'NaN'), (2, 1.5)`);
    const { tables } = await ground.run(of(tableOf({ source: 'nans' })));
    assert.deepEqual([tables[0]!.rows, tables[0]!.quarantined], [1, 1]);
    assert.deepEqual(await ground.rows(`SELECT reason FROM millrace.quarantine WHERE topic = 'transfer:shop.nans'`), [
      ['The value NaN of "v" does not fit DECIMAL(10,2).'],
    ]);
    const kept = await ground.run(of(tableOf({ source: 'nans', types: { v: 'DOUBLE' } })));
    assert.deepEqual(await ground.rows('SELECT CAST(v AS VARCHAR) FROM shop.nans ORDER BY id'), [['nan'], ['1.5']]);
    assert.equal(kept.tables[0]!.parity!.equal, true);
  });

  test('short rows come in slices of exactly a group of rows', async () => {
    await db.ask('CREATE TABLE short AS SELECT n FROM generate_series(1, 130000) n');
    const { warehouse, slices } = counted(ground.warehouse);
    await ground.run(of(tableOf({ source: 'short' })), { warehouse });
    assert.deepEqual(slices, [122_880, 7120]);
    assert.deepEqual(await ground.rows('SELECT count(DISTINCT n) FROM shop.short'), [[130_000]]);
  });

  test('an append and a merge with a lookback take the rows above the cursor, run after run', async () => {
    await db.ask('CREATE TABLE m (id INT PRIMARY KEY, v INT, at TIMESTAMPTZ)');
    await db.ask(`INSERT INTO m SELECT k, 0, '2024-01-01'::timestamptz + k * interval '1 minute' FROM generate_series(1, 100) k`);
    const merge = of(tableOf({ source: 'm', mode: 'merge', cursor: 'at', lookback: { millis: 600_000 } }));
    const append = of(tableOf({ source: 'm', target: 'shop.m_rows', mode: 'append', cursor: 'id' }));
    assert.equal((await ground.run(merge)).tables[0]!.rows, 100);
    assert.equal((await ground.run(append)).tables[0]!.cursor, '100');
    await db.ask(
      `UPDATE m SET v = 1 WHERE id = 95; INSERT INTO m VALUES (101, 1, '2024-01-01 02:00:00.5'), (102, 1, 'infinity'), (103, 1, NULL)`,
    );
    const second = await ground.run(merge);
    assert.deepEqual([second.tables[0]!.rows, second.tables[0]!.replaced, second.tables[0]!.cursor], [2, 1, '2024-01-01 02:00:00.5']);
    assert.deepEqual(second.tables[0]!.notes, ['rows without "at" are not transferred']);
    assert.equal(second.tables[0]!.parity!.equal, true);
    assert.equal((await ground.run(append)).tables[0]!.rows, 3);
    assert.deepEqual(await ground.rows('SELECT count(*), sum(v) FROM shop.m_rows'), [[103, 3]]);
  });

  test('a guess names the tables, their key and a cursor, and keeps the password to itself', async () => {
    await db.ask('CREATE TABLE guessed (id INT PRIMARY KEY, email TEXT, updated_at TIMESTAMPTZ)');
    const address = `postgres://${db.user}:${encodeURIComponent(db.password)}@${db.host}:${db.port}/${db.database}`;
    const { text, secrets } = await guess(address, { folder: '.', anywhere: false, env: {} });
    assert.match(text, /source: postgres\n/);
    assert.match(text, / {2}guessed:\n {4}target: shop\.guessed\n {4}mode: merge\n {4}key: \[id\]\n {4}cursor: updated_at\n/);
    assert.ok(!text.includes(db.password));
    assert.deepEqual(secrets, ['SHOP_PASSWORD']);
  });

  test('columns that are named as our questions name things are compared like others', () => comparesNamesOfOurs(ground, db, of));

  test('names of tables and columns are names, whatever they hold', async () => {
    await db.ask(`CREATE TABLE "select ""x' from" ("id" INT PRIMARY KEY, "a""b'c; --" TEXT, "주문" INT)`);
    await db.ask(`INSERT INTO "select ""x' from" VALUES (1, '''; DROP TABLE x; --', 2)`);
    const report = await ground.run(of(tableOf({ source: `select "x' from`, target: 'shop.odd' })));
    assert.equal(report.error, null);
    assert.deepEqual(await ground.rows('SELECT * EXCLUDE (_batch) FROM shop.odd'), [[1, "'; DROP TABLE x; --", 2]]);
    assert.equal(report.tables[0]!.parity!.equal, true);
  });

  test('what can go wrong with a connection is a coded error that says nothing of the password', async () => {
    const password = 'hunter2-secret';
    const cases: [object, string][] = [
      [{ password: { env: 'WRONG' } }, 'TRANSFER_DENIED'],
      [{ host: 'no-such-host.invalid' }, 'TRANSFER_CONNECT'],
      [{ port: 1 }, 'TRANSFER_CONNECT'],
      [{ database: 'no_such_database' }, 'TRANSFER_DENIED'],
      [{ tls: true }, 'TRANSFER_CONNECT'],
      [{ password }, 'TRANSFER_OPTION'],
      [{ tls: true, ca: '/no/such/file' }, 'TRANSFER_OPTION'],
    ];
    for (const [change, code] of cases) {
      const connection = { ...connectionOf(), ...change };
      await assert.rejects(
        openSource(
          { source: 'postgres', connection: connection as never },
          { folder: '.', anywhere: false, env: { PW: db.password, WRONG: password } },
        ),
        (error: Error & { code: string }) => {
          assert.equal(error.code, code, error.message);
          assert.ok(!JSON.stringify([error.message, (error as unknown as { body: object }).body]).includes(password));
          return true;
        },
      );
    }
  });

  test('a locked table is a coded error, and the former table stays', async () => {
    await db.ask('CREATE TABLE locked (id INT PRIMARY KEY)');
    await db.ask('INSERT INTO locked VALUES (1)');
    await ground.run(of(tableOf({ source: 'locked' })));
    await db.ask('BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE');
    const transfer = of(tableOf({ source: 'locked' }));
    const report = await ground.run({ ...transfer, connection: { ...transfer.connection, lock_wait: 1 } });
    await db.ask('COMMIT');
    assert.equal(report.error?.code, 'TRANSFER_LOCKED');
    assert.deepEqual(await ground.rows('SELECT id FROM shop.locked'), [[1]]);
  });

  test('a connection that is cut in the middle of a table is a coded error; the former table stays, and a rerun brings the whole', async () => {
    await db.ask('CREATE TABLE cut (id INT PRIMARY KEY, s TEXT)');
    await db.ask(`INSERT INTO cut SELECT k, repeat('x', 400) FROM generate_series(1, 60000) k`);
    const proxy = await cutting(db.port, 10_000_000);
    const transfer = of(tableOf({ source: 'cut' }));
    const report = await ground.run({ ...transfer, connection: { ...transfer.connection, port: proxy.port } });
    proxy.close();
    assert.ok(['TRANSFER_READ', 'TRANSFER_CONNECT'].includes(report.error!.code), report.error!.code);
    assert.deepEqual(await ground.rows(`SELECT count(*) FROM duckdb_tables() WHERE table_name = 'cut'`), [[0]]);
    const whole = await ground.run(transfer);
    assert.deepEqual([whole.error, whole.tables[0]!.parity!.equal], [null, true]);
  });

  test('a server that is killed under a run that follows it is a coded error; after its start the run goes on', async () => {
    await db.ask('CREATE TABLE survives (id INT PRIMARY KEY)');
    const connection = { host: db.host, port: db.port, user: 'admin', database: db.database };
    const transfer: Transfer = { name: 'survives', source: 'postgres', connection, tables: [followed('survives')] };
    const run = start(ground, transfer);
    await becomes(ground, 'SELECT count(*) FROM shop.survives', [[0]], run);
    await db.ask('CHECKPOINT');
    db.kill();
    const report = await run.report;
    assert.ok(['TRANSFER_READ', 'TRANSFER_CONNECT'].includes(report.error!.code), report.error!.code);
    assert.equal(report.error!.retryable, true);
    await db.restart();
    await db.ask('INSERT INTO survives VALUES (1)');
    const again = start(ground, transfer);
    await becomes(ground, 'SELECT id FROM shop.survives', [[1]], again);
    assert.equal((await again.stop()).error, null);
  });
});

/** A way to the server that ends after so many bytes of its answers. */
async function cutting(port: number, bytes: number): Promise<{ port: number; close(): void }> {
  let left = bytes;
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    const there = connectSocket(port, '127.0.0.1');
    sockets.push(socket, there);
    for (const each of [socket, there]) each.on('error', () => {});
    socket.pipe(there);
    there.on('data', (chunk) => {
      left -= chunk.length;
      if (left > 0) {
        if (!socket.write(chunk)) there.pause();
        return;
      }
      socket.destroy();
      there.destroy();
    });
    socket.on('drain', () => there.resume());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
