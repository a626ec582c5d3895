import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { Topic } from '#core';
import { openViews, type Views } from './views-fixture.ts';

const clicks: Topic = {
  name: 'clicks',
  title: '',
  fields: [{ name: 'usr', type: 'text', required: false }],
  id: 'id',
  time: { field: 'ts', unit: 'iso', required: true, earliest: 0, ahead: 1e15 },
  type: null,
  drift: 'evolve',
  dedupeWindow: 86_400_000,
};
/** How many clicks the user made within the hour before each: a row depends on one hour before it. */
const LAST_HOUR = `SELECT usr, _time AS time, _id AS id, count(*) OVER (PARTITION BY usr ORDER BY _time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW) AS clicks
  FROM raw.clicks`;
const PER_HOUR = `SELECT date_trunc('hour', _time) AS hour, usr, count(*) AS clicks FROM raw.clicks GROUP BY ALL`;

describe('views kept by key', () => {
  let views: Views;
  let sent = 0;
  before(async () => {
    views = await openViews();
    await send([{ usr: 'a', minute: 0 }]);
    const options = (lookback: string) => `OPTIONS (refresh = '100 milliseconds'${lookback})`;
    await views.sql(`CREATE MATERIALIZED VIEW mart.last_hour PARTITION BY usr ${options(`, lookback = '1 hour'`)} AS ${LAST_HOUR}`);
    await views.sql(`CREATE MATERIALIZED VIEW mart.per_hour PARTITION BY (date_trunc('hour', _time), usr) ${options('')} AS ${PER_HOUR}`);
    await views.sql(
      `CREATE MATERIALIZED VIEW mart.per_user PARTITION BY usr ${options('')} AS SELECT usr, count(*) AS clicks FROM mart.last_hour GROUP BY usr`,
    );
  });
  after(() => views.close());

  async function send(some: readonly { usr: string | null; minute: number }[]): Promise<void> {
    const records = some.map(({ usr, minute }) => {
      const millis = Date.parse('2026-01-01T00:00:00Z') + minute * 60_000;
      const id = `c${sent++}`;
      return { id, micros: millis * 1000, json: { id, usr, ts: new Date(millis).toISOString() } };
    });
    await views.send(clicks, records);
  }

  test('equal their query in batch with a lookback, with two parts and with NULL among the keys, however late rows come', async () => {
    const click = fc.record({ usr: fc.constantFrom('a', 'b', 'c', null), minute: fc.nat(600) });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(click, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 }), async (rounds) => {
        for (const some of rounds) {
          await send(some);
          await views.settle();
        }
        assert.deepEqual(views.problems, []);
        assert.deepEqual(await views.rows('FROM mart.last_hour'), await views.rows(LAST_HOUR));
        assert.deepEqual(await views.rows('FROM mart.per_hour'), await views.rows(PER_HOUR));
        assert.deepEqual(await views.rows('FROM mart.per_user'), await views.rows('SELECT usr, count(*) FROM raw.clicks GROUP BY usr'));
      }),
      { numRuns: 8 },
    );
  });

  test('write only rows from the first touched time on', async () => {
    await send([{ usr: 'a', minute: 601 }]);
    await views.settle();
    const state = views.keeper.states().find((view) => view.name === 'mart.last_hour');
    assert.deepEqual(state?.last, { mode: 'partitions', partitions: 1, rows: 1 });
  });

  test('refuse a lookback where a row’s time can’t be told', async () => {
    const create = (query: string) =>
      views.sql(`CREATE MATERIALIZED VIEW mart.x PARTITION BY usr OPTIONS (lookback = '1 hour') AS ${query}`);
    await assert.rejects(create('SELECT usr, count(*) AS n FROM raw.clicks GROUP BY usr'), { code: 'VIEW_OPTION', message: /_time/ });
    await assert.rejects(create('SELECT count(*) AS n FROM raw.clicks'), { code: 'VIEW_OPTION', message: /by partition/ });
  });
});

describe('a refresh over a long history', () => {
  const LATEST_HOUR = `SELECT usr, _time AS time, n, count(*) OVER (PARTITION BY usr ORDER BY _time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW) AS readings FROM main.readings`;
  const BY_HOUR = `SELECT date_trunc('hour', _time) AS hour, sum(n) AS n FROM main.readings GROUP BY ALL`;
  const BY_HOUR_AND_USER = `SELECT usr, date_trunc('hour', _time) AS hour, sum(n) AS n FROM main.readings GROUP BY ALL`;
  let views: Views;
  let count = 0;
  const start = Date.parse('2026-01-01T00:00:00Z') / 1000;
  const add = (rows: string) =>
    views.transfer('main.readings', (batch) => [`INSERT INTO main.readings SELECT ${batch}, t, usr, n FROM (${rows}) AS r(t, usr, n)`]);

  async function open(): Promise<void> {
    views = await openViews();
    await views.transfer('main.readings', () => ['CREATE TABLE main.readings (_batch BIGINT, _time TIMESTAMPTZ, usr VARCHAR, n BIGINT)']);
    const create = (name: string, partition: string, options: string, query: string) =>
      views.sql(`CREATE MATERIALIZED VIEW mart.${name} PARTITION BY ${partition} OPTIONS (refresh = '1 hour'${options}) AS ${query}`);
    await create('recent', 'usr', `, lookback = '1 hour'`, LATEST_HOUR);
    await create('by_hour', `date_trunc('hour', _time)`, '', BY_HOUR);
    await create('by_hour_and_user', `(usr, date_trunc('hour', _time))`, '', BY_HOUR_AND_USER);
  }
  before(open);
  after(() => views.close());

  test('equals the query in batch where times lie far apart, are missing, or are infinite', async () => {
    const time = fc.oneof(
      { weight: 8, arbitrary: fc.nat(4_000).map((hours) => `to_timestamp(${start + hours * 3600 + 120})`) },
      { weight: 4, arbitrary: fc.nat(100).map((minutes) => `to_timestamp(${start + minutes * 60})`) },
      fc.constantFrom('NULL', `'infinity'`, `'-infinity'`),
    );
    const reading = fc.record({ time, usr: fc.constantFrom('a', 'b', null) });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(reading, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 3 }), async (rounds) => {
        for (const some of rounds) {
          const rows = some.map(({ time, usr }) => `(${time}::TIMESTAMPTZ, ${usr === null ? 'NULL' : `'${usr}'`}, ${count++})`);
          await add(`VALUES ${rows.join(', ')}`);
          await views.settle();
        }
        assert.deepEqual(views.problems, []);
        for (const [name, query] of [...Object.entries({ recent: LATEST_HOUR, by_hour: BY_HOUR, by_hour_and_user: BY_HOUR_AND_USER })])
          assert.deepEqual(await views.rows(`FROM mart.${name}`), await views.rows(query), name);
      }),
      { numRuns: 8 },
    );
  });

  test('reads the parts of it alone where the touched times lie', async () => {
    // Without a row that has no time: DuckDB (1.5) looks for those in all row groups as soon as one of them has one.
    await views.close();
    await open();
    await add(`SELECT to_timestamp(${start} + i), 'u' || i % 50, i FROM range(1000000) AS r(i)`);
    await views.settle();
    // A row group has 122,880 rows of the million; a window's hour may reach into a second.
    const newest = `SELECT to_timestamp(${start} + 990000 + i), 'u' || i % 50, i FROM range(10) AS r(i)`;
    await readLess(/recent|by_hour/, newest, 300_000);
    await readLess(/by_hour/, `${newest} UNION ALL SELECT to_timestamp(${start} + 100), 'u1', 1`, 400_000);
  });

  /** Of the refresh for these rows: no statement about the views reads so many rows of the tables, by DuckDB's own count. */
  async function readLess(about: RegExp, rows: string, most: number): Promise<void> {
    const scanned = await scans(async () => {
      await add(rows);
      await views.settle();
    });
    const statements = [...scanned].filter(([statement]) => about.test(statement));
    assert.ok(statements.length > 2);
    for (const [statement, read] of statements) assert.ok(read < most, `${read} rows read by ${statement}`);
  }

  /** Rows that each of a refresh's statements takes from the tables, by DuckDB's own count. */
  async function scans(work: () => Promise<void>): Promise<ReadonlyMap<string, number>> {
    const { store } = views;
    const write = store.write;
    const scanned = new Map<string, number>();
    const selectOf = (sql: string) =>
      /^INSERT INTO "mart"\."\w+" (SELECT .*)$/s.exec(sql)?.[1] ?? /^DELETE (FROM "mart"\."\w+" WHERE .*)$/s.exec(sql)?.[1];
    Object.assign(store, {
      write: ((take) =>
        write.call(store, (tx) =>
          take({
            ...tx,
            batch: tx.batch,
            run: async (sql) => {
              const select = selectOf(sql);
              if (select !== undefined) {
                const [plan] = await tx.rows(`EXPLAIN (ANALYZE, FORMAT JSON) ${select}`);
                const read = [...JSON.stringify(plan).matchAll(/operator_rows_scanned\\*": *(\d+)/g)].reduce(
                  (sum, [, rows]) => sum + Number(rows),
                  0,
                );
                scanned.set(sql, read);
              }
              return tx.run(sql);
            },
          }),
        )) as typeof store.write,
    });
    try {
      await work();
    } finally {
      Object.assign(store, { write });
    }
    return scanned;
  }
});
