import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { topicOf } from '../collect/fixture.ts';
import { freshStore } from '../store/fixture.ts';
import { alone, opened, together } from './fixture.ts';

describe('a question about topics', () => {
  test('waits for what they have that is not delivered yet, through views too, alone and together with others; one about none waits for nothing', async (t) => {
    const store = await freshStore(t);
    await store.write(async (tx) => {
      for (const topic of ['clicks', 'orders', 'other']) await tx.run(`CREATE TABLE raw.${topic} (n BIGINT)`);
      await tx.run('CREATE VIEW main.both AS SELECT n FROM raw.orders UNION ALL SELECT n FROM raw.clicks');
      await tx.run('CREATE VIEW main.outer AS SELECT count(*) AS n FROM main.both');
      await tx.run('CREATE TABLE main.plain (n BIGINT)');
      tx.changed({ kind: 'statement', target: 'main.outer', rows: 0 });
    });
    const asked: string[][] = [];
    const reach = async (topics: readonly string[]) => {
      asked.push([...topics].sort());
      // What comes while the question waits is in its answer.
      await sleep(20);
      await store.write(async (tx) => {
        for (const topic of topics) await tx.run(`INSERT INTO raw.${topic} VALUES (1)`);
      });
    };
    const it = opened(store, t, { reach });
    const rows = async (sql: string) => ((await alone(it, sql)) as { rows: unknown[][] }).rows;
    assert.deepEqual([await rows('SELECT count(*) FROM RAW.Orders'), asked.splice(0)], [[[1]], [['orders']]]);
    assert.deepEqual([await rows('SELECT n FROM "outer"'), asked.splice(0)], [[[3]], [['clicks', 'orders']]]);
    assert.deepEqual([await rows('WITH o AS (SELECT * FROM raw.other) SELECT count(*) FROM o'), asked.splice(0)], [[[1]], [['other']]]);
    assert.deepEqual([await rows('SELECT count(*) FROM plain'), asked.splice(0)], [[[0]], []]);
    const scans = ['SELECT n, count(*) AS c FROM raw.other GROUP BY n', 'SELECT n, sum(n) AS c FROM raw.other GROUP BY n'];
    const told = (await together(it, scans)) as { rows: unknown[][] }[];
    assert.ok(
      told.every(({ rows }) => Number(rows[0]![1]) >= 2),
      JSON.stringify(told),
    );
    assert.ok(asked.length >= 2 && asked.flat().every((topic) => topic === 'other'));
  });

  test('whose tables are being made waits for them; one about a table that nobody makes is refused, and others wait for nothing', async (t) => {
    const store = await freshStore(t);
    const it = opened(store, t, {});
    const rows = async (sql: string) => ((await alone(it, sql)) as { rows: unknown[][] }).rows;
    const { promise: held, resolve: letOn } = Promise.withResolvers<void>();
    // The tables' turn comes behind it.
    const before = store.write(() => held);
    const made = store.prepare([topicOf('clicks', 'fields: {page: text}')]);
    assert.deepEqual(await rows('SELECT 1'), [[1]]);
    const asked = rows('SELECT count(*) FROM raw.clicks');
    const refused = alone(it, 'SELECT count(*) FROM raw.nobody');
    await sleep(20);
    letOn();
    assert.deepEqual(await asked, [[0]]);
    assert.equal(await refused, 'SQL_TABLE');
    await Promise.all([before, made]);
    assert.equal(store.preparing(), null);
  });
});
