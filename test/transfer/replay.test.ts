import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Transfer, TransferTable } from '#core';
import { replayQuarantined } from '#store';
import type { Warehouse } from '#transfer';
import { connectionTo, type Ground, openGround, tableOf } from './harness.ts';
import { absent, type MariaDb, startMariaDb } from './mariadb.ts';

let ground: Ground;
before(async () => {
  ground = await openGround();
});
after(() => ground?.close());

let made = 0;
/** A file whose second column the definition takes for a number, and runs over it. */
function fileTable(more: Partial<TransferTable>) {
  const name = `r${++made}`;
  const target = `shop.${name}`;
  const path = join(ground.folder, `${name}.csv`);
  const topic = `transfer:${target}`;
  return {
    target,
    topic,
    async run(rows: readonly (readonly (string | number)[])[], type = 'SMALLINT', warehouse: Warehouse = ground.warehouse) {
      writeFileSync(path, `id,v\n${rows.map((row) => `${row.join(',')}\n`).join('')}`);
      const table = tableOf({ source: name, target, types: { id: 'BIGINT', v: type }, ...more });
      return ground.run({ name, source: 'csv', connection: { path, header: 'yes' }, tables: [table] }, { warehouse });
    },
    shown: () => ground.rows(`SELECT id, CAST(v AS VARCHAR) FROM ${target} ORDER BY ALL`),
    waiting: async () =>
      (await ground.rows(`SELECT count(*) FROM millrace.quarantine WHERE topic = '${topic}' AND replayed IS NULL`))[0]![0],
    replay: (ids?: string[]) => ground.store.write((tx) => replayQuarantined(tx, { topic, ids })),
    /** What a user does in SQL. */
    widen: (type: string) => ground.store.write((tx) => tx.run(`ALTER TABLE ${target} ALTER COLUMN v TYPE ${type}`)),
  };
}

describe('rows in quarantine, after a fix,', () => {
  test('of an append are written once by the next run, below its cursor', async () => {
    const table = fileTable({ mode: 'append', cursor: 'id' });
    const first = [
      [1, '1'],
      [2, '70000'],
      [3, '3'],
    ];
    assert.equal((await table.run(first)).tables[0]!.quarantined, 1);
    const { tables, error } = await table.run([...first, [4, '4']], 'INTEGER');
    assert.equal(error, null);
    assert.deepEqual(tables[0]!.notes, ['"v" became INTEGER, it was SMALLINT', '1 rows that were held fit now']);
    const shown = [
      [1, '1'],
      [2, '70000'],
      [3, '3'],
      [4, '4'],
    ];
    assert.deepEqual(await table.shown(), shown);
    await table.run([...first, [4, '4']], 'INTEGER');
    assert.deepEqual(await table.shown(), shown);
    assert.equal(await table.waiting(), 0);
  });

  test('of a merge are never put over a newer row, even one that is as the former was', async () => {
    const table = fileTable({ mode: 'merge', key: ['id'] });
    await table.run([
      [1, '1'],
      [2, '2'],
      [3, '3'],
    ]);
    await table.run([
      [1, '70001'],
      [2, '70002'],
      [3, '70003'],
      [4, '70004'],
    ]);
    assert.equal(await table.waiting(), 4);
    await table.run([
      [1, '1'],
      [2, '20'],
    ]);
    assert.equal(await table.waiting(), 2);
    await table.widen('INTEGER');
    assert.deepEqual(await table.replay(), { tried: 2, accepted: 2, rejected: 0 });
    assert.deepEqual(await table.shown(), [
      [1, '1'],
      [2, '20'],
      [3, '70003'],
      [4, '70004'],
    ]);
    assert.deepEqual(await ground.rows(`SELECT id, v FROM change."${table.target}" ORDER BY ALL`), [
      [2, 2],
      [3, 3],
    ]);
  });

  test('of one slice with several rows of a key: the last one counts', async () => {
    const table = fileTable({ mode: 'merge', key: ['id'] });
    await table.run([
      [1, '70000'],
      [1, '1'],
      [2, '2'],
      [2, '70001'],
      [2, '70002'],
    ]);
    assert.deepEqual(await table.shown(), [
      [1, '1'],
      [2, '2'],
    ]);
    await table.widen('INTEGER');
    assert.deepEqual(await table.replay(), { tried: 1, accepted: 1, rejected: 0 });
    assert.deepEqual(await table.shown(), [
      [1, '1'],
      [2, '70002'],
    ]);
  });

  test('of a run that was cut off are not doubled by the one that reads them again', async () => {
    const table = fileTable({ mode: 'append' });
    const rows = [
      [1, '1'],
      [2, '70000'],
    ];
    const cut = await table.run(rows, 'SMALLINT', {
      ...ground.warehouse,
      close: () => Promise.reject(new Error('cut off')),
    });
    assert.equal(cut.outcome, 'failed');
    // While that run has not ended, a replay by hand leaves its rows alone.
    assert.deepEqual(await table.replay(), { tried: 1, accepted: 0, rejected: 1 });
    await table.run(rows);
    assert.equal(await table.waiting(), 1);
    await table.widen('INTEGER');
    assert.deepEqual(await table.replay(), { tried: 1, accepted: 1, rejected: 0 });
    assert.deepEqual(await table.shown(), [
      [1, '1'],
      [2, '70000'],
    ]);
  });

  test('of a whole table have been dealt with once it was copied anew', async () => {
    const table = fileTable({ mode: 'full' });
    await table.run([
      [1, '70000'],
      [2, '2', 'too many'],
    ]);
    assert.equal(await table.waiting(), 2);
    await table.run([
      [1, '70000'],
      [2, '2', 'too many'],
    ]);
    assert.equal(await table.waiting(), 2);
    await table.widen('INTEGER');
    assert.deepEqual(await table.replay(), { tried: 2, accepted: 1, rejected: 1 });
    assert.deepEqual(await table.shown(), [[1, '70000']]);
    await table.run([[2, '2']]);
    assert.equal(await table.waiting(), 0);
    assert.deepEqual(await table.shown(), [[2, '2']]);
  });

  test('are replayed one by one where ids are given, and stay where they do not fit yet', async () => {
    const table = fileTable({ mode: 'append' });
    await table.run([
      [1, '70000'],
      [2, 'many'],
      [3, '70001'],
    ]);
    await table.widen('INTEGER');
    const ids = await ground.rows(
      `SELECT id FROM millrace.quarantine WHERE topic = '${table.topic}' AND (TRY_CAST(try(decode(body)) AS JSON)->>'id') IN ('2', '3')`,
    );
    assert.deepEqual(await table.replay(ids.flat() as string[]), { tried: 2, accepted: 1, rejected: 1 });
    assert.deepEqual(await table.shown(), [[3, '70001']]);
    await table.widen('VARCHAR');
    assert.deepEqual(await table.replay(), { tried: 2, accepted: 2, rejected: 0 });
    assert.deepEqual(await table.shown(), [
      [1, '70000'],
      [2, 'many'],
      [3, '70001'],
    ]);
  });

  test('whatever came in which order, each key has the last that was said of it', async () => {
    const value = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 70_000, max: 70_003 }), fc.constant('x'));
    const row = fc.tuple(fc.integer({ min: 1, max: 4 }), value.map(String));
    // A file may be all text then, an integer column with a misfit, or empty.
    const file = fc.array(row, { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(file, fc.boolean()), { minLength: 1, maxLength: 5 }), async (files) => {
        const table = fileTable({ mode: 'merge', key: ['id'], drift: 'discard' });
        const wanted = new Map<number, string>();
        for (const [rows, replayed] of files) {
          assert.equal((await table.run(rows)).error, null);
          for (const [id, v] of rows) wanted.set(id, v);
          if (replayed) await table.replay();
        }
        await table.widen('VARCHAR');
        assert.equal((await table.replay()).rejected, 0);
        assert.deepEqual(
          await table.shown(),
          [...wanted].sort(([a], [b]) => a - b),
        );
        assert.equal(await table.waiting(), 0);
      }),
      { numRuns: 8 },
    );
  });
});

describe('rows of a database in quarantine', { skip: absent ?? false }, () => {
  test('are written by a merge with a cursor once their column takes them, unless the source has a newer row', async (t) => {
    const db: MariaDb = await startMariaDb();
    const own = await openGround({ PW: db.password });
    t.after(async () => {
      await own.close();
      await db.stop();
    });
    await db.ask("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'");
    await db.ask('CREATE TABLE p (id INT PRIMARY KEY, day DATE, at TIMESTAMP(6) NOT NULL DEFAULT NOW(6) ON UPDATE NOW(6))');
    await db.ask("INSERT INTO p (id, day) VALUES (1, '2024-02-28'), (2, '2024-02-28'), (3, '2024-02-28')");
    const of = (types: TransferTable['types']): Transfer => ({
      name: 'shop',
      source: 'mysql',
      connection: connectionTo(db),
      tables: [tableOf({ source: 'p', mode: 'merge', cursor: 'at', types })],
    });
    await own.run(of({}));
    await db.ask("UPDATE p SET day = '2024-02-31' WHERE id IN (1, 2)");
    assert.equal((await own.run(of({}))).tables[0]!.quarantined, 2);
    await db.ask("UPDATE p SET day = '2024-03-01' WHERE id = 2");
    await own.run(of({}));
    const { tables, error } = await own.run(of({ day: 'VARCHAR' }));
    assert.equal(error, null);
    assert.deepEqual(await own.rows('SELECT id, day FROM shop.p ORDER BY id'), [
      [1, '2024-02-31'],
      [2, '2024-03-01'],
      [3, '2024-02-28'],
    ]);
    assert.deepEqual(await own.rows('SELECT count(*) FROM millrace.quarantine WHERE replayed IS NULL'), [[0]]);
    assert.equal(tables[0]!.parity!.equal, true);
  });
});
