/** The parity report alone, some time after the last run: what was changed since is no difference that the run has made. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Transfer, TransferTable } from '#core';
import { transferStates } from '#store';
import { openSource, type TableReport, verifyTransfer } from '#transfer';
import { running, until } from '../server/fixture.ts';
import { connectionTo, type Ground, openGround, tableOf } from './harness.ts';
import { absent, type MariaDb, startMariaDb } from './mariadb.ts';

async function verified(ground: Ground, transfer: Transfer, env: Record<string, string> = {}): Promise<TableReport[]> {
  const source = await openSource(transfer, { folder: ground.folder, anywhere: true, env });
  try {
    const known = await transferStates((sql) => ground.store.rows(sql));
    const { tables } = await verifyTransfer(transfer, {
      run: randomUUID(),
      source,
      warehouse: ground.warehouse,
      folder: ground.folder,
      known,
    });
    return tables;
  } finally {
    await source.close();
  }
}

describe('a database that has changed since the last run', { skip: absent ?? false }, () => {
  let db: MariaDb;
  let ground: Ground;
  const of = (table: TransferTable): Transfer => ({
    name: table.source,
    source: 'mysql',
    connection: connectionTo(db),
    tables: [table],
  });
  before(async () => {
    db = await startMariaDb();
    ground = await openGround({ PW: db.password });
  });
  after(async () => {
    await ground?.close();
    await db?.stop();
  });
  const verify = async (transfer: Transfer) => (await verified(ground, transfer, { PW: db.password }))[0]!;

  test('columns that are not here are left out, and named', async () => {
    for (const drift of ['evolve', 'discard'] as const) {
      const source = `left_${drift}`;
      await db.ask(`CREATE TABLE ${source} (id INT PRIMARY KEY, v INT)`);
      await db.ask(`INSERT INTO ${source} VALUES (1, 1), (2, 2)`);
      const transfer = of(tableOf({ source, drift }));
      const untouched = await verify(transfer);
      assert.deepEqual([untouched.parity, untouched.notes], [null, ['no run has brought it yet: there is nothing to compare']]);
      await ground.run(transfer);
      await db.ask(`ALTER TABLE ${source} ADD COLUMN w INT`);
      if (drift === 'discard') await ground.run(transfer);
      const report = await verify(transfer);
      assert.deepEqual([report.parity?.equal, report.notes], [true, ['not compared, since not here: "w"']]);
      await db.ask(`UPDATE ${source} SET v = 3 WHERE id = 2`);
      assert.deepEqual((await verify(transfer)).parity?.differences, [{ key: ['2'], kind: 'different' }]);
    }
  });

  test('a row that was changed since, beyond where a merge ended, is no difference; one that is wrong here is', async () => {
    await db.ask('CREATE TABLE moved (a INT, b VARCHAR(9), v INT, at DATETIME, PRIMARY KEY (a, b))');
    await db.ask(`INSERT INTO moved SELECT seq, 'x,"y', 0, '2026-01-01' + INTERVAL seq SECOND FROM seq_1_to_100`);
    const transfer = of(tableOf({ source: 'moved', mode: 'merge', cursor: 'at' }));
    await ground.run(transfer);
    await db.ask(`UPDATE moved SET v = 1, at = '2026-02-01' WHERE a % 3 = 0`);
    await db.ask(`INSERT INTO moved VALUES (101, 'new', 0, '2026-02-02')`);
    const report = await verify(transfer);
    assert.deepEqual([report.parity?.equal, report.parity?.differences, report.notes], [true, [], []]);
    assert.equal(report.parity?.warehouse.rows, 67);
    await ground.store.write((tx) => tx.run('UPDATE shop.moved SET v = 9 WHERE a = 4'));
    await ground.store.write((tx) => tx.run('DELETE FROM shop.moved WHERE a = 5'));
    await db.ask('DELETE FROM moved WHERE a = 7');
    assert.deepEqual((await verify(transfer)).parity?.differences.map(({ key, kind }) => `${key[0]} ${kind}`).sort(), [
      '4 different',
      '5 missing',
      '7 extra',
    ]);
  });

  test('a hundred thousand rows that were changed since are left out in seconds; more than can be held are said to be so', async () => {
    await db.ask('CREATE TABLE swept (id INT PRIMARY KEY, at INT)');
    await db.ask('INSERT INTO swept SELECT seq, 1 FROM seq_1_to_400000');
    const transfer = of(tableOf({ source: 'swept', mode: 'merge', cursor: 'at' }));
    await ground.run(transfer);
    await db.ask('UPDATE swept SET at = 2 WHERE id > 300000');
    const began = performance.now();
    const few = await verify(transfer);
    assert.deepEqual([few.notes, few.parity?.equal, few.parity?.warehouse.rows], [[], true, 300_000]);
    // A look at each pair of a row and a key takes many minutes.
    assert.ok(performance.now() - began < 60_000);
    await db.ask('UPDATE swept SET at = 2 WHERE id > 1');
    const { parity, notes } = await verify(transfer);
    assert.deepEqual(notes, ['more than 100000 rows were changed since the last run; those of them that it brought are listed as extra']);
    assert.deepEqual([parity?.equal, parity?.source.rows, parity?.warehouse.rows], [false, 1, 400_000]);
  });
});

describe('a folder of files', () => {
  let ground: Ground;
  before(async () => {
    ground = await openGround();
  });
  after(() => ground?.close());

  function put(folder: string, name: string, text: string): void {
    mkdirSync(join(ground.folder, folder), { recursive: true });
    writeFileSync(join(ground.folder, folder, name), text);
    utimesSync(join(ground.folder, folder, name), 1e9, 1e9);
  }

  test('is compared file by file, each with its own rows here', async () => {
    const transfer: Transfer = {
      name: 'inbox',
      source: 'folder',
      connection: { path: 'inbox' },
      tables: [tableOf({ source: 'files', mode: 'append', target: 'shop.inbox' })],
    };
    put('inbox', 'a.csv', 'id,v\n1,1\n2,2\n');
    put('inbox', 'b.csv', 'id,v\n1,3\n');
    await ground.run(transfer);
    put('inbox', 'c.csv', 'id,v\n4,4\n');
    await ground.run(transfer);
    put('inbox', 'd.csv', 'id,v\n5,5\n');
    renameSync(join(ground.folder, 'inbox', 'a.csv'), join(ground.folder, 'inbox', 'renamed.csv'));
    const told = async () =>
      (await verified(ground, transfer))
        .map(({ source, parity, notes }) => [
          source.split(' ')[1],
          parity && [parity.equal, parity.source.rows, parity.warehouse.rows],
          notes.length,
        ])
        .sort();
    assert.deepEqual(await told(), [
      ['b.csv', [true, 1, 1], 0],
      ['c.csv', [true, 1, 1], 0],
      ['d.csv', null, 1],
      ['renamed.csv', [true, 2, 2], 0],
    ]);
    await ground.store.write((tx) => tx.run('UPDATE shop.inbox SET v = 9 WHERE id = 4'));
    assert.deepEqual((await told())[1], ['c.csv', [false, 1, 1], 0]);
  });
});

test('a running Millrace compares what its runs brought', async (t) => {
  const server = await running(t);
  mkdirSync(join(server.path, 'transfers'), { recursive: true });
  const file = join(server.path, 'goods.csv');
  writeFileSync(file, 'id,v\n1,a\n2,b\n');
  const yaml = 'source: csv\nconnection: { path: goods.csv }\ntables: { goods: { target: shop.goods } }\n';
  writeFileSync(join(server.path, 'transfers', 'goods.yaml'), yaml);
  const folder = 'source: folder\nconnection: { path: inbox }\ntables: { files: { target: shop.inbox, mode: merge, key: [id] } }\n';
  writeFileSync(join(server.path, 'transfers', 'inbox.yaml'), folder);
  for (const name of ['goods', 'inbox']) await until(async () => (await server.call('GET', `/v1/transfers/${name}`)).status === 200);
  async function done(kind: 'run' | 'verify', name = 'goods') {
    const { run } = (await server.call('POST', `/v1/transfers/${name}/${kind}`, { body: {} })).json as { run: string };
    const told = async () =>
      (await server.call('GET', `/v1/transfers/runs/${run}`)).json as { state: string; report: { tables: TableReport[] } };
    await until(async () => (await told()).state !== 'running');
    return told();
  }
  assert.equal((await done('run')).state, 'done');
  writeFileSync(file, 'id,v,w\n1,a,x\n2,b,y\n');
  const { state, report } = await done('verify');
  assert.deepEqual(
    [state, report.tables[0]!.parity?.equal, report.tables[0]!.notes],
    ['done', true, ['not compared, since not here: "w"']],
  );
  mkdirSync(join(server.path, 'inbox'));
  for (const [k, text] of ['id,v\n1,a\n2,a\n', 'id,v\n2,b\n3,b\n'].entries()) {
    const path = join(server.path, 'inbox', `${k}.csv`);
    writeFileSync(path, text);
    utimesSync(path, 1e9 + k, 1e9 + k);
    for (const kind of ['run', 'verify'] as const) {
      const { tables } = (await done(kind, 'inbox')).report;
      const { equal, source, warehouse } = tables.find((table) => table.source === 'files')!.parity!;
      const rows = kind === 'run' ? 2 : 2 + k;
      assert.deepEqual([equal, source.rows, warehouse.rows], [true, rows, rows]);
    }
  }
});
