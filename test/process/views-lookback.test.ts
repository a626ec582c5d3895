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
