/** Text of databases that is no UTF-8, or was something else there. It must never end the warehouse, and never arrive as other text. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Transfer, TransferTable } from '#core';
import { decodeRows, RowWriter } from '../../src/transfer/rows.ts';
import { withoutUndecodable } from '../../src/transfer/undecodable.ts';
import { becomes, followed, start } from './following.ts';
import { connectionTo, type Ground, openGround, tableOf } from './harness.ts';
import { type MariaDb, absent as mariadbAbsent, startLoggedMariaDb } from './mariadb.ts';
import { type Postgres, absent as postgresAbsent, startPostgres } from './postgres-server.ts';

const entries = (target: string) =>
  `SELECT code, reason, CAST(decode(body) AS VARCHAR) FROM millrace.quarantine WHERE topic = 'transfer:${target}' AND replayed IS NULL ORDER BY 2`;

describe('a PostgreSQL database that takes any bytes (SQL_ASCII)', { skip: postgresAbsent ?? false }, () => {
  let db: Postgres;
  let ground: Ground;
  const of = (name: string, ...tables: TransferTable[]): Transfer => ({
    name,
    source: 'postgres',
    connection: { host: db.host, port: db.port, user: 'admin', database: 'bytes' },
    tables,
  });
  before(async () => {
    db = await startPostgres();
    await db.ask(`CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`);
    await db.use('bytes');
    ground = await openGround();
  });
  after(async () => {
    await ground?.close();
    await db?.stop();
  });

  test('rows whose text is no UTF-8 stand in quarantine with the reason, the others arrive; mended at the source the row comes', async () => {
    await db.ask('CREATE TABLE plain (id INT PRIMARY KEY, v TEXT, tags TEXT[])');
    await db.ask(
      `INSERT INTO plain VALUES (1, '한글', ARRAY['é']), (2, E'caf\\351, "x"', NULL), (3, E'two\\nlines', ARRAY[E'\\377']), (4, NULL, NULL)`,
    );
    for (const mode of ['full', 'append', 'merge'] as const) {
      const target = `shop.plain_${mode}`;
      const transfer = of(`plain_${mode}`, tableOf({ source: 'plain', target, mode }));
      const { error, tables } = await ground.run(transfer);
      assert.equal(error, null);
      assert.deepEqual(
        await ground.rows(`SELECT id, v, CAST(tags AS VARCHAR) FROM ${target} ORDER BY id`),
        [
          [1, '한글', '["é"]'],
          [4, null, null],
        ],
        mode,
      );
      assert.deepEqual([tables[0]!.read, tables[0]!.rows, tables[0]!.quarantined], [4, 2, 2]);
      assert.deepEqual(await ground.rows(entries(target)), [
        [
          'RECORD_ENCODING',
          'Row 2: The text of "v" is not valid UTF-8: caf\uFFFDE9, "x"',
          '{"id":"2","v":"caf\uFFFDE9, \\"x\\"","tags":null,"_undecoded":["v"]}',
        ],
        [
          'RECORD_ENCODING',
          'Row 3: The text of "tags" is not valid UTF-8: ["\uFFFDFF"]',
          '{"id":"3","v":"two\\nlines","tags":"[\\"\uFFFDFF\\"]","_undecoded":["tags"]}',
        ],
      ]);
      assert.deepEqual(tables[0]!.parity!.differences.map(({ key, kind }) => `${key[0]} ${kind}`).sort(), ['2 missing', '3 missing']);
    }
    await db.ask(
      `CREATE TABLE korean (id INT PRIMARY KEY, v TEXT); INSERT INTO korean VALUES (1, E'\\307\\321\\261\\333');
       CREATE VIEW decoded AS SELECT id, convert_from(convert(convert_to(v, 'SQL_ASCII'), 'EUC_KR', 'UTF8'), 'SQL_ASCII') AS v FROM korean`,
    );
    const { tables } = await ground.run(of('decoded', tableOf({ source: 'decoded' })));
    assert.deepEqual(await ground.rows('SELECT id, v FROM shop.decoded'), [[1, '한글']]);
    assert.equal(tables[0]!.parity!.equal, true);
    // Nothing of what stands in quarantine is taken for text by a later run.
    await ground.run(of('plain_merge', tableOf({ source: 'plain', target: 'shop.plain_merge', mode: 'merge' })));
    assert.deepEqual(await ground.rows('SELECT id FROM shop.plain_merge ORDER BY id'), [[1], [4]]);
    await db.ask(`UPDATE plain SET v = 'café' WHERE id = 2`);
    await ground.run(of('plain_merge', tableOf({ source: 'plain', target: 'shop.plain_merge', mode: 'merge' })));
    assert.deepEqual(await ground.rows('SELECT id, v FROM shop.plain_merge ORDER BY id'), [
      [1, '한글'],
      [2, 'café'],
      [4, null],
    ]);
    assert.equal((await ground.rows(entries('shop.plain_merge'))).length, 1);
  });

  test('by the log as well: later changes of the key wait, and end when the text is mended or the row deleted', async () => {
    await db.ask('CREATE TABLE log (id INT PRIMARY KEY, gone INT, v TEXT, w TEXT)');
    await db.ask(`INSERT INTO log VALUES (1, 1, 'a', 'b'), (2, 2, E'\\300', 'b')`);
    const run = start(ground, of('log', followed('log', { drift: 'discard' })));
    const shown = 'SELECT id, v, w FROM shop.log ORDER BY id';
    await becomes(ground, shown, [[1, 'a', 'b']], run);
    await db.ask('ALTER TABLE log ADD COLUMN left_out INT');
    await db.ask(`INSERT INTO log VALUES (3, 3, 'c', E'caf\\351', 7), (4, 4, '한글', 'd', 8), (5, 5, E'\\365', 'f', 9)`);
    await db.ask(`INSERT INTO log VALUES (6, 6, 'g', 'g', 10)`);
    const rows = [
      [1, 'a', 'b'],
      [4, '한글', 'd'],
      [6, 'g', 'g'],
    ];
    await becomes(ground, shown, rows, run);
    const waiting = `SELECT CAST(decode(body) AS JSON)->>'id', code FROM millrace.quarantine WHERE topic = 'transfer:shop.log' AND replayed IS NULL ORDER BY ALL`;
    const [two, three] = [
      ['2', 'RECORD_ENCODING'],
      ['3', 'RECORD_ENCODING'],
    ];
    await becomes(ground, waiting, [two, three, ['5', 'RECORD_ENCODING']], run);
    await db.ask('DELETE FROM log WHERE id = 5');
    await becomes(ground, waiting, [two, three], run);
    await db.ask('UPDATE log SET gone = 30 WHERE id = 3');
    await becomes(ground, waiting, [two, three, three], run);
    await db.ask(`UPDATE log SET w = 'café' WHERE id = 3`);
    await becomes(ground, waiting, [two, three, three, ['3', 'TRANSFER_HELD']], run);
    assert.equal((await run.stop()).error, null);
    const again = start(ground, of('log', followed('log', { drift: 'discard' })));
    await becomes(ground, shown, [rows[0]!, [3, 'c', 'café'], ...rows.slice(1)], again);
    assert.equal((await again.stop()).error, null);
    assert.deepEqual(await ground.rows('SELECT gone FROM shop.log WHERE id = 3'), [[30]]);
  });
});

describe('text columns of MariaDB', { skip: mariadbAbsent ?? false }, () => {
  let db: MariaDb;
  let ground: Ground;
  const of = (name: string, ...tables: TransferTable[]): Transfer => ({
    name,
    source: 'mysql',
    connection: connectionTo(db),
    tables,
  });
  before(async () => {
    db = await startLoggedMariaDb(['--binlog-row-metadata=FULL']);
    ground = await openGround({ PW: db.password });
  });
  after(async () => {
    await ground?.close();
    await db?.stop();
  });

  test('of every character set arrive as the same text, by a copy and by the log', async () => {
    const sets: Readonly<Record<string, string>> = {
      latin1: 'Zürich – “café” €',
      latin2: 'Łódź',
      cp1250: 'Łódź',
      cp1251: 'Жук',
      koi8r: 'Жук',
      greek: 'Ωμέγα',
      hebrew: 'שלום',
      tis620: 'ไทย',
      euckr: '한글',
      sjis: 'カタカナ',
      cp932: '日本語',
      ujis: '日本語',
      gb2312: '汉字',
      gbk: '汉字',
      big5: '漢字',
      ucs2: '한글 é',
      utf16: '한글 😀',
      utf16le: '한글 😀',
      utf8mb3: '한글 é',
      utf8mb4: '한글 😀',
      ascii: 'plain',
    };
    const names = Object.keys(sets);
    await db.ask(
      `CREATE TABLE charsets (id INT PRIMARY KEY, ${names.map((name) => `${name}_ VARCHAR(40) CHARACTER SET ${name}`).join(', ')})`,
    );
    const insert = (id: number) => db.ask(`INSERT INTO charsets VALUES (${[id, ...names.map(() => '?')].join(', ')})`, Object.values(sets));
    await insert(1);
    const run = start(ground, of('charsets', followed('charsets')));
    await becomes(ground, 'SELECT count(*) FROM shop.charsets', [[1]], run);
    await insert(2);
    await becomes(ground, 'SELECT * EXCLUDE (id, _batch) FROM shop.charsets ORDER BY id', [Object.values(sets), Object.values(sets)], run);
    assert.equal((await run.stop()).error, null);
  });

  test('the warehouse outlives a file that is no UTF-8 with a column that is left out', async () => {
    await db.ask('CREATE TABLE leaves (id INT PRIMARY KEY, a INT, b INT, c INT, v TEXT)');
    const transfer = of('over', followed('leaves'));
    const run = start(ground, transfer);
    await becomes(ground, 'SELECT count(*) FROM shop.leaves', [[0]], run);
    await run.stop();
    const stream = { transfer: 'over', run: 'by hand' };
    const { position } = await ground.warehouse.stream(stream);
    const file = join(ground.folder, 'over.csv');
    writeFileSync(file, Buffer.from('1,2,3,4,caf\xe9,u,\n', 'latin1'));
    const columns = [...['id', 'a', 'b', 'c'].map((name) => ({ name, type: 'INTEGER' })), { name: 'v', type: 'VARCHAR' }];
    const target = {
      ...stream,
      source: 'leaves',
      target: 'shop.leaves',
      mode: 'cdc' as const,
      key: ['id'],
      cursor: null,
      drift: 'discard' as const,
      columns,
    };
    const changes = [{ target, taken: ['id', 'v'], file, rows: 1, bytes: 18, truncate: false, moved: false, undecoded: false }];
    await assert.rejects(ground.warehouse.changes({ ...stream, number: 1, position: position!, changes }), { code: 'STORE_WRITE' });
    assert.deepEqual(await ground.rows('SELECT count(*) FROM shop.leaves'), [[0]]);
  });

  test('bytes that a definition calls text, and a column that is left out before them, take no database down', async () => {
    await db.ask('CREATE TABLE raw (id INT PRIMARY KEY, v VARBINARY(20))');
    await db.ask(`INSERT INTO raw VALUES (1, 'text'), (2, x'636166e9')`);
    const transfer = of('raw', followed('raw', { types: { v: 'VARCHAR' }, drift: 'discard' }));
    const run = start(ground, transfer);
    await becomes(ground, 'SELECT id, v FROM shop.raw', [[1, 'text']], run);
    await db.ask('ALTER TABLE raw ADD COLUMN first_ INT FIRST');
    await db.ask(`INSERT INTO raw VALUES (0, 3, x'ff'), (0, 4, 'more')`);
    await becomes(
      ground,
      'SELECT id, v FROM shop.raw ORDER BY id',
      [
        [1, 'text'],
        [4, 'more'],
      ],
      run,
    );
    assert.equal((await run.stop()).error, null);
    assert.deepEqual(
      (await ground.rows(entries('shop.raw'))).map(([code, reason]) => [code, reason]),
      [
        ['RECORD_ENCODING', 'Row 2: The text of "v" is not valid UTF-8: caf\uFFFDE9'],
        ['RECORD_ENCODING', 'The text of "v" is not valid UTF-8: \uFFFDFF'],
      ],
    );
  });
});

describe('rows on their way', () => {
  test('that have text which is no UTF-8 are taken out, the others keep their bytes and order', () => {
    const cell = fc.option(
      fc.oneof(
        fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)),
        fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
        fc.constantFrom('"', ',', '\n', '').map((text) => Buffer.from(text)),
      ),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell, cell), { maxLength: 20 }), (given) => {
        const writer = new RowWriter(64);
        for (const row of given) {
          for (const value of row)
            if (value === null) writer.null();
            else writer.text(value, 0, value.length);
          writer.endRow();
        }
        const valid = (bytes: Buffer | null) => bytes === null || Buffer.from(bytes.toString()).equals(bytes);
        const kept = given.filter((row) => row.every(valid));
        const rows = withoutUndecodable(writer.take(null), ['a', 'b', 'c'], 10);
        assert.deepEqual(
          decodeRows(rows.bytes, Number.POSITIVE_INFINITY),
          kept.map((row) => row.map((value) => value?.toString() ?? null)),
        );
        assert.equal(rows.count, kept.length);
        const odd = given.flatMap((row, k) => (row.every(valid) ? [] : [{ row, k }]));
        assert.deepEqual(
          rows.refused.map(({ line, before, undecoded }) => ({ line, before, undecoded })),
          odd.map(({ row, k }) => ({
            line: 11 + k,
            before: given.slice(0, k).filter((each) => each.every(valid)).length,
            undecoded: ['a', 'b', 'c'].filter((_, place) => !valid(row[place]!)),
          })),
        );
      }),
    );
  });
});
