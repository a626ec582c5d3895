import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openViews, type Views } from './views-fixture.ts';

const fresh = `OPTIONS (refresh = '100 milliseconds')`;

describe('a materialized view over a plain view', () => {
  let views: Views;
  const state = (name: string) => views.keeper.states().find((view) => view.name === name)!;
  const plain = (...statements: string[]) =>
    views.store.write(async (tx) => {
      for (const statement of statements) await tx.run(statement);
      tx.changed({ kind: 'statement', target: 'main.dear', rows: 0 });
    });
  const insert = (rows: string) =>
    views.transfer('main.sale', (batch) => [`INSERT INTO main.sale SELECT *, ${batch} FROM (VALUES ${rows})`]);
  const shops = () => views.rows('SELECT shop, n FROM mart.shops');

  before(async () => {
    views = await openViews();
    await views.transfer('main.sale', () => ['CREATE TABLE main.sale (shop VARCHAR, amount INTEGER, _batch BIGINT)']);
    await insert(`('a', 10), ('a', 1), ('b', 20)`);
    await plain(
      'CREATE VIEW main.dear AS SELECT shop AS store, amount AS worth FROM main.sale WHERE amount >= 10',
      'CREATE VIEW main.dearer AS SELECT d.store AS shop, d.worth FROM dear AS d',
    );
    await views.sql(
      `CREATE MATERIALIZED VIEW mart.shops PARTITION BY shop ${fresh} AS SELECT x.shop, count(*) AS n FROM main.dearer x GROUP BY x.shop`,
    );
  });
  after(() => views.close());

  test('follows the rows of the tables behind it, by partition', async () => {
    assert.deepEqual(await shops(), ['["a","1"]', '["b","1"]']);
    await insert(`('a', 30), ('c', 2), ('d', 40)`);
    await views.settle();
    assert.deepEqual(await shops(), ['["a","2"]', '["b","1"]', '["d","1"]']);
    assert.deepEqual([state('mart.shops').mode, state('mart.shops').last?.mode], ['partitions', 'partitions']);
  });

  test('is kept by partition where PARTITION BY says a column as the plain view calls it', async () => {
    await views.sql(
      `CREATE MATERIALIZED VIEW mart.stores PARTITION BY store ${fresh} AS SELECT store, sum(worth) AS worth FROM main.dear GROUP BY store`,
    );
    await insert(`('d', 50)`);
    await views.settle();
    assert.deepEqual([state('mart.stores').mode, state('mart.stores').last?.partitions], ['partitions', 1]);
    assert.deepEqual(await views.rows('FROM mart.stores'), await views.rows('SELECT store, sum(worth) FROM main.dear GROUP BY store'));
    await views.sql('DROP MATERIALIZED VIEW mart.stores');
    await views.transfer('main.sale', (batch) => [
      `CREATE TABLE IF NOT EXISTS change."main.sale" AS FROM main.sale LIMIT 0`,
      `INSERT INTO change."main.sale" SELECT shop, amount, ${batch} FROM main.sale WHERE amount = 50`,
      'DELETE FROM main.sale WHERE amount = 50',
    ]);
    await views.settle();
  });

  test('is computed anew when a plain view behind it is made anew, also after a stop in between', async () => {
    await plain('CREATE OR REPLACE VIEW main.dear (store, worth) AS SELECT shop, amount FROM main.sale WHERE amount >= 30');
    await views.settle();
    assert.deepEqual(await shops(), ['["a","1"]', '["d","1"]']);
    await views.keeper.stop();
    await plain('CREATE OR REPLACE VIEW main.dear (store, worth) AS SELECT shop, amount FROM main.sale WHERE amount >= 40');
    await views.reopen();
    await views.keeper.define();
    await views.settle();
    assert.deepEqual(await shops(), ['["d","1"]']);
  });

  test('is paused when the plain view no longer holds, and goes on when it does', async () => {
    await plain('DROP VIEW main.dear');
    await views.settle();
    assert.equal(state('mart.shops').state, 'paused');
    assert.deepEqual(await shops(), ['["d","1"]']);
    await plain('CREATE VIEW main.dear AS SELECT shop AS store, amount AS worth FROM main.sale WHERE amount >= 20');
    await views.sql('RESUME MATERIALIZED VIEW mart.shops');
    await views.settle();
    assert.deepEqual(await shops(), ['["a","1"]', '["b","1"]', '["d","1"]']);
  });

  test('is refused when something behind it gives another answer each time', async () => {
    await plain('CREATE VIEW main.today AS SELECT *, today() AS day FROM main.sale');
    await assert.rejects(views.sql('CREATE MATERIALIZED VIEW mart.x AS SELECT day, count(*) AS n FROM main.today GROUP BY day'), {
      code: 'VIEW_NOT_DETERMINISTIC',
      message: /today.*\(in the view main\.today\)/,
    });
  });

  test('is refused with the place in its own text, or with the plain view in which the reason stands', async () => {
    const query = `SELECT a.store, b.n
  FROM (SELECT store, worth FROM main.dear) AS a, (SELECT shop, 1 AS n FROM main.dearer) AS b, main.dear AS c
  WHERE a.worth > random()`;
    const wanted = query.split('\n')[2]!.indexOf('random') + 1;
    await assert.rejects(views.sql(`CREATE MATERIALIZED VIEW mart.x AS\n${query}`), {
      code: 'VIEW_NOT_DETERMINISTIC',
      message: new RegExp(`\\(line 4, column ${wanted}\\)`),
    });
    const wrong = 'SELECT store, sum(nothing) AS n FROM main.dear GROUP BY store';
    await assert.rejects(views.sql(`CREATE MATERIALIZED VIEW mart.x AS\n${wrong}`), {
      code: 'VIEW_QUERY',
      message: new RegExp(`\\(line 2, column ${wrong.indexOf('nothing') + 1}\\)`),
    });
    await plain(
      'CREATE VIEW main.base AS SELECT shop, amount FROM main.sale',
      'CREATE VIEW main.broken AS SELECT shop, amount AS worth FROM main.base',
      'CREATE OR REPLACE VIEW main.base AS SELECT shop FROM main.sale',
    );
    await assert.rejects(views.sql('CREATE MATERIALIZED VIEW mart.x AS SELECT shop FROM main.broken'), {
      code: 'VIEW_QUERY',
      message: /\(in the view main\.broken\)/,
    });
    await plain(
      'DROP VIEW main.broken',
      'DROP VIEW main.base',
      'CREATE VIEW main.counted AS SELECT count(*) AS n, min(shop) AS shop FROM main.dearer',
    );
    const reasons = async (of: string) => {
      await views.sql(`CREATE MATERIALIZED VIEW mart.x PARTITION BY shop AS ${of}`);
      const { reasons } = state('mart.x');
      await views.sql('DROP MATERIALIZED VIEW mart.x');
      return reasons.join('; ');
    };
    assert.match(await reasons('SELECT shop, n FROM main.counted'), /\(in the view main\.counted\)/);
    const own = 'SELECT max(shop) AS shop FROM main.dearer';
    assert.match(await reasons(own), /\(line 1, column \d+\)/);
    await plain('DROP VIEW main.counted');
  });

  test('is not held up by a plain view whose text is too long to be read', async () => {
    await plain(`CREATE VIEW main.foreign_one AS SELECT '${'x'.repeat(1_100_000)}' AS text`);
    assert.equal((await views.keeper.plainReadersOf('main.sale')).includes('main.foreign_one'), false);
    await plain('DROP VIEW main.foreign_one');
  });

  test('and the plain views above it are named before a drop, and go with CASCADE', async () => {
    await plain('CREATE VIEW main.above AS SELECT * FROM mart.shops');
    assert.deepEqual(views.keeper.readersOf('main.sale'), ['mart.shops']);
    assert.deepEqual(await views.keeper.plainReadersOf('main.sale'), ['main.above', 'main.dear', 'main.dearer', 'main.today']);
    await assert.rejects(views.sql('DROP MATERIALIZED VIEW mart.shops'), { code: 'VIEW_READ', message: /main\.above/ });
    await views.sql('DROP MATERIALIZED VIEW mart.shops CASCADE');
    assert.deepEqual([(await views.store.names()).has('main.above'), (await views.store.names()).has('main.dear')], [false, true]);
  });
});
