import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Transfer, TransferTable } from '#core';
import { setCursor } from '#store';
import { openSource } from '#transfer';
import { becomes, bringsEveryChange, comparesWhileItIsWrittenTo, followed, losesNothingAfterACopy, start } from './following.ts';
import { type Ground, openGround } from './harness.ts';
import { absent, type Postgres, startPostgres } from './postgres-server.ts';

let db: Postgres;
let ground: Ground;

function of(name: string, ...tables: TransferTable[]): Transfer {
  return {
    name,
    source: 'postgres',
    connection: { host: db.host, port: db.port, user: 'admin', database: db.database },
    tables,
  };
}

describe('PostgreSQL’s changes', { skip: absent ?? false }, () => {
  before(async () => {
    db = await startPostgres();
    ground = await openGround();
  });
  after(async () => {
    await ground?.close();
    await db?.stop();
  });

  test('inserts, updates, deletes, changed keys and a truncate arrive by key, in order, after a copy without a gap', async () => {
    await bringsEveryChange(ground, of, db, {
      thousand: `SELECT k, 'old' FROM generate_series(1, 1000) k`,
      emptied: [`BEGIN; DELETE FROM p WHERE id = 1; TRUNCATE p; INSERT INTO p VALUES (7, 'after'); COMMIT`],
      cursor: /^[0-9A-F]+\/[0-9A-F]+$/,
    });
  });

  test('both sides are compared at one position while the source is written to and the run goes on', () =>
    comparesWhileItIsWrittenTo(ground, of, db, 'SELECT k, 0 FROM generate_series(1, 1000) k'));

  test('what is looked up meanwhile takes no snapshot of its own from the moment at which both sides are held', async () => {
    const source = await openSource(of('held', followed('held')), { folder: ground.folder, anywhere: false, env: { PW: db.password } });
    const feed = source.feed!('held');
    let over = false;
    const looking = [1, 2].map(async () => {
      while (!over) await source.describe();
    });
    try {
      for (let k = 0; k < 10; k++) {
        assert.ok(feed.isPosition(await feed.freeze()));
        await feed.thaw();
      }
    } finally {
      over = true;
      await Promise.all(looking);
      await feed.close();
      await source.close();
    }
  });

  test('a run that ends when its copy is whole, before it has looked at the log, loses no change', () =>
    losesNothingAfterACopy(ground, of, db));

  test('a run goes on where the last one ended, and brings what was changed meanwhile', async () => {
    await db.ask('INSERT INTO p VALUES (8, $$between$$)');
    const run = start(ground, of('first', followed('p')));
    await becomes(
      ground,
      'SELECT id, v FROM shop.p ORDER BY id',
      [
        [7, 'after'],
        [8, 'between'],
      ],
      run,
    );
    const report = await run.stop();
    assert.equal(report.tables[0]!.parity, null, 'nothing was copied anew');
    assert.equal(report.tables[0]!.rows, 1);
  });

  test('long values that did not change are kept, also where the key changed with them', async () => {
    await db.ask('CREATE TABLE toast (id INT PRIMARY KEY, n INT, long TEXT)');
    await db.ask('ALTER TABLE toast ALTER long SET STORAGE EXTERNAL');
    await db.ask(`INSERT INTO toast SELECT k, 0, repeat(k::text, 9000) FROM generate_series(1, 4) k`);
    const run = start(ground, of('toast', followed('toast')));
    const shown = 'SELECT id, n, length(long), md5(long) FROM shop.toast ORDER BY id';
    const there = async () =>
      (await db.ask('SELECT id, n, length(long), md5(long) FROM toast ORDER BY id')).map((row) =>
        Object.values(row).map((value, k) => (k < 3 ? Number(value) : value)),
      );
    await becomes(ground, shown, await there(), run);
    await db.ask('UPDATE toast SET n = 1 WHERE id = 1');
    await db.ask('UPDATE toast SET id = 20, n = 2 WHERE id = 2');
    await db.ask(
      `BEGIN; UPDATE toast SET id = 30 WHERE id = 3; UPDATE toast SET id = 3 WHERE id = 4; UPDATE toast SET id = 4 WHERE id = 30; COMMIT`,
    );
    await db.ask(`BEGIN; INSERT INTO toast VALUES (9, 0, repeat('z', 9000)); UPDATE toast SET n = 9 WHERE id = 9; COMMIT`);
    await becomes(ground, shown, await there(), run);
    assert.equal((await run.stop()).error, null);
    assert.deepEqual(await ground.rows(`SELECT count(*) FROM millrace.quarantine WHERE topic = 'transfer:shop.toast'`), [[0]]);
  });

  test('later changes of a key that stands in quarantine wait behind it; they are written in order once they fit, or end with the row', async () => {
    await db.ask('CREATE TABLE held (id INT PRIMARY KEY, v TEXT)');
    await db.ask(`INSERT INTO held VALUES (1, '1'), (2, '2'), (3, '3')`);
    const narrow = followed('held', { types: { v: 'SMALLINT' } });
    const run = start(ground, of('held', narrow));
    const shown = 'SELECT id, CAST(v AS VARCHAR) FROM shop.held ORDER BY id';
    await becomes(
      ground,
      shown,
      [
        [1, '1'],
        [2, '2'],
        [3, '3'],
      ],
      run,
    );
    const waiting = `SELECT code, count(*) FROM millrace.quarantine WHERE topic = 'transfer:shop.held' AND replayed IS NULL GROUP BY 1 ORDER BY 1`;
    await db.ask(`UPDATE held SET v = '70000' WHERE id IN (1, 2)`);
    await becomes(ground, waiting, [['RECORD_FIELD', 2]], run);
    await db.ask(`UPDATE held SET v = '12' WHERE id = 1`);
    await db.ask(`UPDATE held SET v = '33' WHERE id = 3`);
    await becomes(
      ground,
      waiting,
      [
        ['RECORD_FIELD', 2],
        ['TRANSFER_HELD', 1],
      ],
      run,
    );
    await becomes(
      ground,
      shown,
      [
        [1, '1'],
        [2, '2'],
        [3, '33'],
      ],
      run,
    );
    await db.ask('DELETE FROM held WHERE id = 2');
    await becomes(
      ground,
      shown,
      [
        [1, '1'],
        [3, '33'],
      ],
      run,
    );
    await becomes(
      ground,
      waiting,
      [
        ['RECORD_FIELD', 1],
        ['TRANSFER_HELD', 1],
      ],
      run,
    );
    assert.equal((await run.stop()).error, null);
    const wide = start(ground, of('held', followed('held', { types: { v: 'INTEGER' } })));
    await becomes(
      ground,
      shown,
      [
        [1, '12'],
        [3, '33'],
      ],
      wide,
    );
    await becomes(ground, waiting, [], wide);
    await db.ask(`UPDATE held SET v = '13' WHERE id = 1`);
    await becomes(
      ground,
      shown,
      [
        [1, '13'],
        [3, '33'],
      ],
      wide,
    );
    assert.equal((await wide.stop()).error, null);
  });

  test('two transfers with one number of their process copy tables at the same time', async () => {
    const sources = await Promise.all(
      ['one', 'two'].map((name) => openSource(of(name), { folder: ground.folder, anywhere: false, env: { PW: db.password } })),
    );
    const feeds = sources.map((source, k) => source.feed!(`same_${k}`));
    try {
      for (const feed of feeds) assert.match(await feed.freeze(), /^[0-9A-F]+\/[0-9A-F]+$/);
    } finally {
      for (const feed of feeds) await feed.close();
      for (const source of sources) await source.close();
    }
  });

  test('a slot that is gone, or that someone else has read, is a coded error; the table stays, and begun anew it is whole again', async () => {
    await db.ask('CREATE TABLE g (id INT PRIMARY KEY)');
    await db.ask('INSERT INTO g VALUES (1)');
    const first = start(ground, of('gap', followed('g')));
    await becomes(ground, 'SELECT id FROM shop.g', [[1]], first);
    await first.stop();
    // On disk, so that the position of what is written lies behind it: the server may write commits a moment later.
    await db.ask('BEGIN; SET LOCAL synchronous_commit = on; INSERT INTO g VALUES (2); COMMIT');
    await ended('millrace_gap');
    await db.ask(`SELECT pg_replication_slot_advance('millrace_gap', pg_current_wal_lsn())`);
    assert.equal((await ground.run(of('gap', followed('g')))).error?.code, 'TRANSFER_GAP');
    await db.ask(`SELECT pg_drop_replication_slot('millrace_gap')`);
    assert.equal((await ground.run(of('gap', followed('g')))).error?.code, 'TRANSFER_GAP');
    assert.deepEqual(await ground.rows('SELECT id FROM shop.g'), [[1]]);
    await ground.store.write((tx) => setCursor(tx, { transfer: 'gap', source: 'g', target: 'shop.g', mode: 'cdc', cursor: null }, null));
    const anew = start(ground, of('gap', followed('g')));
    await becomes(ground, 'SELECT id FROM shop.g ORDER BY id', [[1], [2]], anew);
    assert.equal((await anew.stop()).error, null);
  });

  test('a column that is added and one that is dropped while the run goes on come along as the drift policy says', async () => {
    await db.ask('CREATE TABLE grows (id INT PRIMARY KEY, v INT, old TEXT)');
    await db.ask(`INSERT INTO grows VALUES (1, 1, 'o')`);
    const run = start(ground, of('grows', followed('grows')));
    await becomes(ground, 'SELECT id, v FROM shop.grows', [[1, 1]], run);
    await db.ask('ALTER TABLE grows ADD COLUMN w TEXT, DROP COLUMN old');
    await db.ask(`INSERT INTO grows VALUES (2, 2, 'two')`);
    await becomes(
      ground,
      'SELECT id, v, old, w FROM shop.grows ORDER BY id',
      [
        [1, 1, 'o', null],
        [2, 2, null, 'two'],
      ],
      run,
    );
    assert.deepEqual((await run.stop()).tables[0]!.notes, ['"w" is new', '"old" is not at the source: new rows have NULL there']);
  });

  for (const when of ['as soon as its copy is seen', 'while the run follows'])
    test(`a key that is changed before any row of its table was, ${when}, is the key from then on`, async () => {
      const name = when.startsWith('as') ? 'rekeyed_soon' : 'rekeyed_late';
      for (const table of [name, `${name}_other`]) await db.ask(`CREATE TABLE ${table} (id INT PRIMARY KEY, v INT NOT NULL)`);
      await db.ask(`INSERT INTO ${name} VALUES (1, 10), (2, 20)`);
      const run = start(ground, of(name, followed(name), followed(`${name}_other`)));
      const rows = (table: string) => `SELECT id, v FROM shop.${table} ORDER BY v`;
      await becomes(
        ground,
        rows(name),
        [
          [1, 10],
          [2, 20],
        ],
        run,
      );
      if (name === 'rekeyed_late') {
        await db.ask(`INSERT INTO ${name}_other VALUES (1, 1)`);
        await becomes(ground, rows(`${name}_other`), [[1, 1]], run);
      }
      await db.ask(`ALTER TABLE ${name} DROP CONSTRAINT ${name}_pkey, ADD PRIMARY KEY (v)`);
      await db.ask(`UPDATE ${name} SET id = 7 WHERE v = 10`);
      await db.ask(`DELETE FROM ${name} WHERE v = 20`);
      await becomes(ground, rows(name), [[7, 10]], run);
      assert.equal((await run.stop()).error, null);
    });

  test('a table that joins later is copied whole while the others go on, and other tables’ changes do nothing', async () => {
    await db.ask('CREATE TABLE late_one (id INT PRIMARY KEY)');
    await db.ask('INSERT INTO late_one VALUES (1)');
    await db.ask('INSERT INTO p VALUES (50, $$joined$$)');
    const run = start(ground, of('first', followed('p'), followed('late_one')));
    await becomes(ground, 'SELECT id FROM shop.late_one', [[1]], run);
    await db.ask('BEGIN; INSERT INTO late_one VALUES (2); INSERT INTO p VALUES (51, $$both$$); INSERT INTO g VALUES (3); COMMIT');
    await becomes(ground, 'SELECT id FROM shop.late_one ORDER BY id', [[1], [2]], run);
    assert.deepEqual(await ground.rows('SELECT id FROM shop.p WHERE id >= 50 ORDER BY id'), [[50], [51]], 'one transaction is one write');
    const [last] = await ground.rows(`SELECT batch, count(DISTINCT target) FROM millrace.batch GROUP BY 1 ORDER BY 1 DESC LIMIT 1`);
    assert.equal(last![1], 2);
    const report = await run.stop();
    assert.deepEqual(
      report.tables.map(({ parity }) => parity?.equal ?? null),
      [null, true],
    );
    assert.deepEqual(await ground.rows('SELECT id FROM shop.g ORDER BY id'), [[1], [2]]);
  });

  test('a table whose deletions can’t be told by the key is refused', async () => {
    await db.ask('CREATE TABLE loose (id INT PRIMARY KEY, other INT UNIQUE NOT NULL)');
    const report = await ground.run(of('loose', followed('loose', { key: ['other'] })));
    assert.equal(report.error?.code, 'TRANSFER_COLUMN');
  });
});

/** The server notices a moment later that a reader has left. */
async function ended(slot: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    const [row] = await db.ask(`SELECT active FROM pg_replication_slots WHERE slot_name = '${slot}'`);
    if (row!['active'] === 'f') return;
    await sleep(50);
  }
  assert.fail(`${slot} is still read`);
}
