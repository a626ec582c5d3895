import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readStatement } from '#sql';
import { parseTopic } from '#workspace';
import { openViews, type Views } from './views-fixture.ts';

const topic = parseTopic('hits', 'time: { field: ts, unit: iso }\nid: id\nfields:\n  page: { type: text }\n', 'topics/hits.yaml');
const START = Date.UTC(2026, 0, 1);
const hit = (id: string, minute: number) => {
  const time = START + minute * 60_000;
  return { id, micros: time * 1000, json: { id, page: `/${minute % 3}`, ts: new Date(time).toISOString() } };
};

const MINUTES = `CREATE MATERIALIZED VIEW mart.minutes PARTITION BY date_trunc('minute', _time) OPTIONS (refresh = '1 day') AS
  SELECT date_trunc('minute', _time) AS minute, page, count(*) AS n FROM raw.hits GROUP BY 1, 2`;
const DAYS = `CREATE MATERIALIZED VIEW mart.days PARTITION BY date_trunc('day', _time) AS
  SELECT date_trunc('day', _time) AS day, page, count(*) AS n, max(id) AS latest FROM raw.hits GROUP BY 1, page`;

describe('EXPLAIN', () => {
  let views: Views;
  before(async () => {
    views = await openViews();
    await views.send(
      topic,
      Array.from({ length: 300 }, (_, k) => hit(`a${k}`, k % 30)),
    );
    await views.sql(MINUTES);
    await views.settle();
  });
  after(() => views.close());

  async function explain(text: string): Promise<readonly string[]> {
    const reader = await views.store.reader();
    const statement = await readStatement(text, (part) => reader.serialize(part));
    reader.close();
    assert.ok(statement.kind === 'explain_materialized_view');
    return (await views.keeper.explain(statement)).map(({ aspect, detail }) => `${aspect}: ${detail}`);
  }

  test('of a view that is kept says how, what new rows touch now, and how many rows a refresh would read; and refreshes nothing', async () => {
    const before = await explain('EXPLAIN MATERIALIZED VIEW mart.minutes');
    assert.ok(before.includes(`kept: by partition date_trunc('minute', _time)`));
    assert.ok(before.includes('refresh: touches nothing: the view is right'));
    await views.send(topic, [hit('b1', 5), hit('b2', 7), hit('b3', 7)]);
    const lines = await explain('EXPLAIN MATERIALIZED VIEW mart.minutes');
    const touched = lines.find((line) => line.startsWith('refresh: touches'));
    assert.match(touched!, /^refresh: touches 2 partitions: 2026-01-01 00:05:00\+00; 2026-01-01 00:07:00\+00$/);
    // Ten rows of each of the two minutes stood there, and three are new.
    assert.ok(lines.includes('refresh: reads 23 of 303 rows of raw.hits'), lines.join('\n'));
    assert.deepEqual(await explain('EXPLAIN MATERIALIZED VIEW mart.minutes'), lines);
    await views.settle();
    assert.ok((await explain('EXPLAIN MATERIALIZED VIEW mart.minutes')).includes('refresh: touches nothing: the view is right'));
  });

  test('of a definition says what its build would read, and why it would be kept as a whole, and makes nothing', async () => {
    const lines = await explain('EXPLAIN CREATE MATERIALIZED VIEW mart.total AS SELECT count(*) AS n FROM raw.hits');
    assert.deepEqual(lines, [
      'kept: as a whole',
      'because: there is no PARTITION BY',
      'change: raw.hits: any change recomputes the whole view',
      'build: reads all 303 rows of raw.hits',
    ]);
    assert.equal((await views.store.names()).has('mart.total'), false);
  });

  test('of a view with a very large partition proposes two views on each other that give the same rows', async () => {
    await views.store.write(async (tx) => {
      await tx.run(`INSERT INTO raw.hits (_position, _batch, _received, _time, _id, id, page)
        SELECT 1000 + i, ${tx.batch}, t, t, 'c' || i, 'c' || i, '/' || i % 3 FROM (SELECT i, make_timestamptz(${START}000 + i * 60000) AS t FROM range(1000001) AS r(i))`);
      tx.changed({ kind: 'deliver', target: 'raw.hits', rows: 1_000_001 });
    });
    const stack = (await explain(`EXPLAIN ${DAYS}`)).filter((line) => line.startsWith('stack: ')).map((line) => line.slice(7));
    assert.match(stack[0]!, /the largest partition has 1,000,304 rows/);
    await views.sql(stack[1]!);
    await views.sql(stack[2]!);
    await views.settle();
    assert.deepEqual(views.problems, []);
    const batch = DAYS.slice(DAYS.indexOf('SELECT'));
    assert.deepEqual(await views.rows('FROM mart.days'), await views.rows(batch));
    const days = views.keeper.states().find(({ name }) => name === 'mart.days');
    assert.deepEqual([days?.mode, days?.source], ['partitions', 'mart.days_by_hour']);
    const average = `EXPLAIN ${DAYS.replace('max(id)', 'median(length(id))')}`;
    assert.ok((await explain(average)).some((line) => /latest can't be summed up twice/.test(line)));
  });
});

describe('what views stand on', () => {
  let views: Views;
  before(async () => {
    views = await openViews();
    await views.store.write(async (tx) => {
      await tx.run('CREATE TABLE main.stock AS SELECT k AS id, k % 3 AS shelf, 1 AS n FROM range(9) AS r(k)');
      await tx.run('CREATE TABLE main.other AS SELECT 1 AS x');
      tx.changed({ kind: 'statement', target: 'main.stock', rows: 9 });
    });
    await views.sql('CREATE MATERIALIZED VIEW mart.shelves AS SELECT shelf, sum(n) AS n FROM main.stock GROUP BY shelf');
    await views.sql('CREATE MATERIALIZED VIEW mart.total AS SELECT sum(n) AS n FROM mart.shelves');
    await views.sql('CREATE MATERIALIZED VIEW mart.others AS SELECT x FROM main.other');
  });
  after(() => views.close());

  const about = async (text: string) => {
    const reader = await views.store.reader();
    const statement = await readStatement(text, (part) => reader.serialize(part));
    reader.close();
    await views.keeper.before(statement);
  };
  const names = () => views.keeper.states().map(({ name }) => name);

  test('is not dropped while they read it, directly or through others, and the refusal names them all', async () => {
    await assert.rejects(about('DROP TABLE main.stock'), { code: 'VIEW_READ', message: /mart\.shelves, mart\.total/ });
    await assert.rejects(views.sql('DROP MATERIALIZED VIEW mart.shelves'), { code: 'VIEW_READ', message: /mart\.total/ });
    assert.deepEqual(names().sort(), ['mart.others', 'mart.shelves', 'mart.total']);
  });

  test('their own rows are changed by no statement', async () => {
    for (const text of ['DELETE FROM mart.total', 'INSERT INTO mart.total SELECT 1', 'CREATE OR REPLACE TABLE mart.total AS SELECT 1 AS n'])
      await assert.rejects(about(text), { code: 'VIEW_KEPT' }, text);
    await about('DELETE FROM main.stock WHERE false');
  });

  test('that loses a column pauses the view that reads it by name, names those that wait for it, and keeps the last good rows', async () => {
    await views.store.write(async (tx) => {
      await tx.run('ALTER TABLE main.stock DROP COLUMN n');
      tx.changed({ kind: 'statement', target: 'main.stock', rows: 0 });
    });
    await views.settle();
    const state = views.keeper.states().find(({ name }) => name === 'mart.shelves');
    assert.equal(state?.state, 'paused');
    assert.equal(state?.error?.code, 'VIEW_COLUMN');
    assert.match(state!.error!.message, /mart\.shelves is paused.*mart\.total.*"n"/);
    assert.deepEqual(await views.rows('SELECT n FROM mart.total'), ['["9"]']);
    assert.equal(views.keeper.states().find(({ name }) => name === 'mart.others')?.state, 'fresh');
    await views.store.write(async (tx) => {
      await tx.run('ALTER TABLE main.stock ADD COLUMN n INTEGER DEFAULT 2');
      tx.changed({ kind: 'statement', target: 'main.stock', rows: 9 });
    });
    await views.sql('RESUME MATERIALIZED VIEW mart.shelves');
    await views.settle();
    assert.deepEqual(await views.rows('SELECT n FROM mart.total'), ['["18"]']);
  });

  test('is dropped with them when CASCADE is said, the uppermost first, their files too', async () => {
    await about('DROP TABLE main.stock CASCADE');
    assert.deepEqual(names(), ['mart.others']);
    assert.deepEqual([...views.saved.keys()], ['mart.others']);
    assert.equal((await views.store.names()).has('mart.total'), false);
  });
});
