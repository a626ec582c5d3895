/** The server that is followed dies, and another one that replicated from it takes its place. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Transfer } from '#core';
import { setCursor } from '#store';
import { compare, openSource, planned } from '#transfer';
import { becomes, followed, start } from './following.ts';
import { connectionTo, type Ground, openGround } from './harness.ts';
import { absent, type MariaDb, promote, replicate, startLoggedMariaDb } from './mariadb.ts';

const skip =
  absent ?? (process.env['MILLRACE_TEST_MYSQL'] === undefined ? false : 'MILLRACE_TEST_MYSQL names one server, and two are needed');

const of = (db: MariaDb, name: string, ...tables: string[]): Transfer => ({
  name,
  source: 'mysql',
  connection: connectionTo(db),
  tables: tables.map((table) => followed(table, { target: `${name}.${table}` })),
});
const shown = async (db: MariaDb, table: string) =>
  (await db.ask(`SELECT id, v FROM ${table} ORDER BY id`)).map((row) => [row['id'], row['v']]);
const stands = async (ground: Ground, name: string): Promise<string> =>
  String(
    (
      await ground.rows(`SELECT cursor FROM millrace.transfer WHERE transfer = '${name}' AND source = '*' ORDER BY seq DESC LIMIT 1`)
    )[0]![0],
  );
/** Do both sides have the same rows? */
async function parities(ground: Ground, transfer: Transfer, { password }: MariaDb): Promise<boolean[]> {
  const source = await openSource(transfer, { folder: ground.folder, anywhere: true, env: { PW: password } });
  const found: boolean[] = [];
  try {
    for (const plan of await planned(transfer, source)) {
      const { span } = await source.snapshot(plan.table, null, null);
      found.push((await compare({ plan, span, run: null, source, warehouse: ground.warehouse })).equal);
    }
  } finally {
    await source.close();
  }
  return found;
}
const all = (name: string, table: string) => `SELECT id, v FROM ${name}.${table} ORDER BY id`;

/** Two servers, of which the second replicates from the first. Their logs have files of the same names. */
async function startPair() {
  const ends: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const end of ends.reverse()) await end();
  };
  try {
    const primary = await startLoggedMariaDb();
    ends.push(() => primary.stop());
    const replica = await startLoggedMariaDb(['--server-id=2', '--log-slave-updates']);
    ends.push(() => replica.stop());
    await replicate(replica, primary);
    const ground = await openGround({ PW: primary.password });
    ends.push(() => ground.close());
    return { primary, replica, ground, stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

async function caughtUp(primary: MariaDb, replica: MariaDb): Promise<void> {
  const [{ at }] = (await primary.ask('SELECT @@gtid_binlog_pos AS at')) as [{ at: string }];
  const [{ r }] = (await replica.ask(`SELECT MASTER_GTID_WAIT('${at}', 20) AS r`)) as [{ r: number }];
  assert.equal(r, 0, 'the replica has it all');
}

describe('after a failover', { skip }, () => {
  let primary: MariaDb;
  let replica: MariaDb;
  let ground: Ground;
  let stop: (() => Promise<void>) | undefined;
  before(async () => {
    ({ primary, replica, ground, stop } = await startPair());
  });
  after(() => stop?.());

  test('a state of the first version, without names, goes on where it was and has them from then on', async () => {
    await primary.ask('CREATE TABLE old (id INT PRIMARY KEY, v TEXT)');
    await primary.ask(`INSERT INTO old VALUES (1, 'a')`);
    const first = start(ground, of(primary, 'old', 'old'));
    await becomes(ground, all('old', 'old'), [[1, 'a']], first);
    await first.stop();
    await ground.store.write((tx) =>
      tx.run(`UPDATE millrace.transfer SET cursor = regexp_replace(cursor, '@.*$', '') WHERE transfer = 'old'`),
    );
    assert.match(await stands(ground, 'old'), /^log\.\d+:\d+$/);
    await primary.ask(`INSERT INTO old VALUES (2, 'b')`);
    const run = start(ground, of(primary, 'old', 'old'));
    await becomes(
      ground,
      all('old', 'old'),
      [
        [1, 'a'],
        [2, 'b'],
      ],
      run,
    );
    const report = await run.stop();
    assert.deepEqual([report.error, report.tables[0]!.rows], [null, 1]);
    const [{ at }] = (await primary.ask('SELECT @@gtid_binlog_pos AS at')) as [{ at: string }];
    assert.ok((await stands(ground, 'old')).endsWith(`#${at}`));
  });

  test('the names that are kept are the server’s own after transactions of each form', async () => {
    await primary.ask('CREATE TABLE forms (id INT PRIMARY KEY, v TEXT)');
    await primary.ask(`INSERT INTO forms VALUES (0, 'former')`);
    await primary.ask('CREATE TABLE plain (id INT PRIMARY KEY, v TEXT) ENGINE=MyISAM');
    const run = start(ground, of(primary, 'forms', 'forms'));
    await becomes(ground, all('forms', 'forms'), [[0, 'former']], run);
    await primary.ask(`CREATE OR REPLACE TABLE forms (id INT PRIMARY KEY, v TEXT) AS SELECT 1 AS id, 'selected' AS v`);
    await primary.ask(
      `BEGIN; INSERT INTO forms VALUES (2, 'b'); SAVEPOINT s; INSERT INTO plain VALUES (1, 'x'); INSERT INTO plain VALUES (9, 'stays'); ROLLBACK TO s; COMMIT`,
    );
    await primary.ask(`INSERT INTO plain VALUES (2, 'y')`);
    await primary.ask(`XA START 'x'; INSERT INTO forms VALUES (3, 'c'); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'`);
    await primary.ask(`SET gtid_domain_id = 5; INSERT INTO forms VALUES (4, 'd'); SET gtid_domain_id = 0`);
    await becomes(
      ground,
      'SELECT id, v FROM forms.forms ORDER BY id',
      [
        [1, 'selected'],
        [2, 'b'],
        [3, 'c'],
        [4, 'd'],
      ],
      run,
    );
    assert.equal((await run.stop()).error, null);
    const [{ at }] = (await primary.ask('SELECT @@gtid_binlog_pos AS at')) as [{ at: string }];
    assert.deepEqual((await stands(ground, 'forms')).split('#')[1]!.split(',').sort(), at.split(',').sort());
  });

  test('a transfer that is pointed at the promoted replica goes on without gap or doubling', async () => {
    await primary.ask('CREATE TABLE f (id INT PRIMARY KEY, v TEXT)');
    await primary.ask('CREATE TABLE quiet (id INT PRIMARY KEY, v TEXT)');
    await primary.ask(`INSERT INTO f SELECT seq, 'old' FROM seq_1_to_200`);
    await primary.ask(`INSERT INTO quiet VALUES (1, 'a')`);
    const first = start(ground, of(primary, 'moved', 'f', 'quiet'));
    await becomes(ground, 'SELECT count(*) FROM moved.f', [[200]], first);
    for (let k = 0; k < 20; k++) await primary.ask(`UPDATE f SET v = 'new ${k}' WHERE id = ${k + 1}`);
    await becomes(ground, `SELECT count(*) FROM moved.f WHERE v <> 'old'`, [[20]], first);
    await first.stop();
    // What comes meanwhile is known to the replica alone: the primary does not come back.
    await primary.ask(`INSERT INTO f VALUES (201, 'before the crash')`);
    await primary.ask('UPDATE f SET id = -2 WHERE id = 2');
    await primary.ask('DELETE FROM f WHERE id = 3');
    await caughtUp(primary, replica);
    primary.kill();
    await promote(replica);
    await replica.ask('UPDATE f SET id = 300 WHERE id = 201');
    await replica.ask(`INSERT INTO f VALUES (202, 'after it')`);
    await replica.ask(`UPDATE quiet SET v = 'b'`);
    const run = start(ground, of(replica, 'moved', 'f', 'quiet'));
    await becomes(ground, all('moved', 'quiet'), [[1, 'b']], run);
    await becomes(ground, all('moved', 'f'), await shown(replica, 'f'), run);
    const report = await run.stop();
    assert.equal(report.error, null);
    assert.deepEqual(
      report.tables.map(({ read, parity }) => [read, parity]),
      [
        [5, null],
        [1, null],
      ],
      'each change once, and nothing copied anew',
    );
    assert.deepEqual(await parities(ground, of(replica, 'moved', 'f', 'quiet'), replica), [true, true]);
    const [{ uid }] = (await replica.ask('SELECT @@server_uid AS uid')) as [{ uid: string }];
    assert.ok((await stands(ground, 'moved')).includes(`@${uid}#`));
  });

  test('a state that names no transactions is of its server alone: on another one it is a coded error, the table intact', async () => {
    const before = await stands(ground, 'old');
    await ground.store.write((tx) =>
      tx.run(`UPDATE millrace.transfer SET cursor = regexp_replace(cursor, '#.*$', '') WHERE transfer = 'old'`),
    );
    const { error } = await ground.run(of(replica, 'old', 'old'));
    assert.equal(error?.code, 'TRANSFER_GAP');
    assert.match(error.message, /another server/);
    assert.deepEqual(await ground.rows(all('old', 'old')), [
      [1, 'a'],
      [2, 'b'],
    ]);
    assert.equal(await stands(ground, 'old'), before.split('#')[0]);
  });
});

describe('a replica that was promoted too early', { skip }, () => {
  let primary: MariaDb;
  let replica: MariaDb;
  let ground: Ground;
  let stop: (() => Promise<void>) | undefined;
  before(async () => {
    ({ primary, replica, ground, stop } = await startPair());
  });
  after(() => stop?.());

  test('is refused: it lacks what is here already, and what came after it there is something else', async () => {
    await primary.ask('CREATE TABLE f (id INT PRIMARY KEY, v TEXT)');
    await primary.ask(`INSERT INTO f VALUES (1, 'a')`);
    await caughtUp(primary, replica);
    await promote(replica);
    await primary.ask(`INSERT INTO f VALUES (2, 'b')`);
    const first = start(ground, of(primary, 'early', 'f'));
    await becomes(
      ground,
      all('early', 'f'),
      [
        [1, 'a'],
        [2, 'b'],
      ],
      first,
    );
    await first.stop();
    primary.kill();
    // Its numbers go beyond those of the transactions that it lacks.
    for (const id of [7, 8, 9]) await replica.ask(`INSERT INTO f VALUES (${id}, 'another')`);
    const before = await stands(ground, 'early');
    const { error } = await ground.run(of(replica, 'early', 'f'));
    assert.equal(error?.code, 'TRANSFER_GAP');
    assert.match(error.message, /lacks transactions/);
    assert.match(error.remedy, /--cursor none/);
    assert.deepEqual(await ground.rows(all('early', 'f')), [
      [1, 'a'],
      [2, 'b'],
    ]);
    assert.equal(await stands(ground, 'early'), before);
    // As the error says.
    await ground.store.write((tx) => setCursor(tx, { transfer: 'early', source: 'f', target: 'early.f', mode: 'cdc', cursor: null }, null));
    const anew = start(ground, of(replica, 'early', 'f'));
    await becomes(ground, all('early', 'f'), await shown(replica, 'f'), anew);
    assert.equal((await anew.stop()).tables[0]!.parity!.equal, true);
  });
});
