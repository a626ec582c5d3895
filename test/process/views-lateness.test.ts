import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { parseTopic } from '#workspace';
import { openViews, type Sent, type Views } from './views-fixture.ts';

const topic = parseTopic('clicks', 'time: { field: ts, unit: iso }\nid: id\nfields:\n  page: { type: text }\n', 'topics/clicks.yaml');
const START = Date.UTC(2026, 0, 1);
const LATENESS_MINUTES = 10;

interface Click {
  readonly minute: number;
  readonly page: string;
}

const QUERY = `SELECT date_trunc('minute', _time) AS minute, page, count(*) AS n FROM raw.clicks GROUP BY 1, 2`;
const define = (name: string, options: string) =>
  `CREATE OR REPLACE MATERIALIZED VIEW mart.${name} PARTITION BY date_trunc('minute', _time) OPTIONS (refresh = '100 milliseconds'${options}) AS ${QUERY}`;

/** What the rule says, in plain words: a click is late if its minute ended more than the lateness before the newest click of an earlier delivery. */
function byTheRule(batches: readonly (readonly Click[])[]): { onTime: Map<string, number>; late: number } {
  const onTime = new Map<string, number>();
  let late = 0;
  let newest = Number.NEGATIVE_INFINITY;
  for (const batch of batches) {
    for (const { minute, page } of batch) {
      if (minute + 1 + LATENESS_MINUTES <= newest) late++;
      else onTime.set(`${minute} ${page}`, (onTime.get(`${minute} ${page}`) ?? 0) + 1);
    }
    newest = Math.max(newest, ...batch.map(({ minute }) => minute));
  }
  return { onTime, late };
}

const click = fc.record({ minute: fc.nat(60), page: fc.constantFrom('a', 'b') });
const stream = fc.array(fc.array(click, { minLength: 1, maxLength: 5 }), { minLength: 2, maxLength: 6 });

describe('lateness', () => {
  let views: Views;
  let sent = 0;
  before(async () => {
    views = await openViews();
    await views.store.prepare([topic]);
  });
  after(() => views.close());

  const send = (batch: readonly Click[]) =>
    views.send(
      topic,
      batch.map(({ minute, page }): Sent => {
        const id = `c${++sent}`;
        const time = START + minute * 60_000;
        return { id, micros: time * 1000, json: { id, page, ts: new Date(time).toISOString() } };
      }),
    );

  async function counts(name: string): Promise<Map<string, number>> {
    const rows = await views.store.rows(`SELECT (epoch_ms(minute) - ${START}) // 60000 AS m, page, n FROM mart.${name}`);
    return new Map(rows.map(({ m, page, n }) => [`${m} ${page}`, Number(n)]));
  }

  async function anew(): Promise<void> {
    await views.store.write(async (tx) => {
      await tx.run('DELETE FROM raw.clicks');
      tx.changed({ kind: 'statement', target: 'raw.clicks', rows: 0 });
    });
    await views.sql('DROP MATERIALIZED VIEW IF EXISTS mart.frozen');
    await views.sql('DROP MATERIALIZED VIEW IF EXISTS mart.open');
    await views.sql(define('frozen', `, lateness = '${LATENESS_MINUTES} minutes'`));
    await views.sql(define('open', ''));
    await views.sql('DROP MATERIALIZED VIEW IF EXISTS mart.seoul');
    await views.sql(define('seoul', `, lateness = '${LATENESS_MINUTES} minutes'`).replaceAll('_time)', `_time AT TIME ZONE 'Asia/Seoul')`));
  }

  test('freezes a partition once the newest time seen before is past it: on-time rows and late rows are all rows, and none stands in both', async () => {
    await fc.assert(
      fc.asyncProperty(stream, async (batches) => {
        await anew();
        for (const batch of batches) {
          await send(batch);
          await views.settle();
        }
        const { onTime, late } = byTheRule(batches);
        assert.deepEqual(views.problems, []);
        assert.deepEqual(new Map([...(await counts('frozen'))].sort()), new Map([...onTime].sort()));
        const seoul = `SELECT minute AT TIME ZONE 'Asia/Seoul', page, n FROM mart.seoul`;
        assert.deepEqual(
          await views.rows(seoul),
          await views.rows('SELECT minute, page, n FROM mart.frozen'),
          'in the clocks of Seoul too',
        );
        const [row] = await views.store.rows(
          `SELECT count(*) AS n, count(DISTINCT row->>'_id') AS ids FROM millrace.late WHERE view = 'mart.frozen'`,
        );
        assert.deepEqual([Number(row!['n']), Number(row!['ids'])], [late, late]);
        const state = views.keeper.states().find(({ name }) => name === 'mart.frozen');
        assert.equal(state?.late?.rows, late);
        const [batch] = await views.store.rows('SELECT coalesce(sum(n), 0)::BIGINT AS n FROM mart.open');
        assert.equal(Number(batch!['n']), batches.flat().length, 'without lateness the stream is the batch');
        assert.equal([...onTime.values()].reduce((sum, n) => sum + n, 0) + late, batches.flat().length);
      }),
      { numRuns: 10 },
    );
  });

  for (const [kind, windows] of Object.entries({
    listed: `[time_bucket(INTERVAL '5 minutes', _time), time_bucket(INTERVAL '5 minutes', _time) - INTERVAL '5 minutes']`,
    series: `generate_series(time_bucket(INTERVAL '5 minutes', _time) - INTERVAL '5 minutes', time_bucket(INTERVAL '5 minutes', _time), INTERVAL '5 minutes')`,
  }))
    test(`of hopping windows, ${kind}: a row is late for those of its windows that are over, and counts in the others`, async () => {
      let lateHops = 0;
      await fc.assert(
        fc.asyncProperty(stream, async (batches) => {
          await anew();
          await views.sql('DROP MATERIALIZED VIEW IF EXISTS mart.hops');
          await views.sql(`CREATE MATERIALIZED VIEW mart.hops PARTITION BY unnest(${windows}) OPTIONS (refresh = '100 milliseconds', lateness = '${LATENESS_MINUTES} minutes') AS
            SELECT began AS minute, page, count(*) AS n FROM (SELECT unnest(${windows}) AS began, page FROM raw.clicks) GROUP BY began, page`);
          const onTime = new Map<string, number>();
          const late: string[] = [];
          let newest = Number.NEGATIVE_INFINITY;
          for (const batch of batches) {
            await send(batch);
            await views.settle();
            for (const { minute, page } of batch)
              for (const began of [minute - (minute % 5), minute - (minute % 5) - 5])
                if (began + 10 + LATENESS_MINUTES <= newest) late.push(`${began} ${page}`);
                else onTime.set(`${began} ${page}`, (onTime.get(`${began} ${page}`) ?? 0) + 1);
            newest = Math.max(newest, ...batch.map(({ minute }) => minute));
          }
          assert.deepEqual(views.problems, []);
          assert.deepEqual([...(await counts('hops'))].sort(), [...onTime].sort());
          const rows = await views.store.rows(
            `SELECT ((epoch_ms(partition::TIMESTAMPTZ) - ${START}) // 60000)::VARCHAR || ' ' || (row->>'page') AS late FROM millrace.late WHERE view = 'mart.hops'`,
          );
          assert.deepEqual(rows.map((row) => String(row['late'])).sort(), late.sort());
          lateHops += late.length;
        }),
        { numRuns: 6 },
      );
      assert.ok(lateHops > 0, 'some rows came late');
    });

  test('leaves a frozen partition as it stands through a refresh of the whole and a new start, and forgets no late row', async () => {
    await anew();
    await send([{ minute: 0, page: 'a' }]);
    await views.settle();
    await send([{ minute: 40, page: 'a' }]);
    await views.settle();
    await send([{ minute: 0, page: 'b' }]);
    await views.settle();
    const frozen = async () => [...(await counts('frozen'))].sort();
    const stood = await frozen();
    assert.deepEqual(stood, [
      ['0 a', 1],
      ['40 a', 1],
    ]);
    await views.sql('REFRESH MATERIALIZED VIEW mart.frozen');
    assert.deepEqual(await frozen(), stood);
    await views.reopen();
    assert.deepEqual(await views.keeper.define(), []);
    await views.settle();
    await send([{ minute: 1, page: 'b' }]);
    await views.settle();
    assert.deepEqual(await frozen(), stood);
    assert.equal(views.keeper.states().find(({ name }) => name === 'mart.frozen')?.late?.rows, 2);
  });

  test('begins anew with another definition: then every row is on time', async () => {
    await views.sql(define('frozen', `, lateness = '11 minutes'`));
    await views.settle();
    assert.deepEqual([...(await counts('frozen'))].sort(), [...(await counts('open'))].sort());
    assert.equal(views.keeper.states().find(({ name }) => name === 'mart.frozen')?.late?.rows, 0);
  });

  test('is refused where nothing says when a partition ends', async () => {
    const cases = [
      `CREATE MATERIALIZED VIEW mart.x PARTITION BY page OPTIONS (lateness = '1 hour') AS SELECT page, count(*) AS n FROM raw.clicks GROUP BY page`,
      `CREATE MATERIALIZED VIEW mart.x OPTIONS (lateness = '1 hour') AS SELECT count(*) AS n FROM raw.clicks`,
      `CREATE MATERIALIZED VIEW mart.x PARTITION BY date_trunc('hour', moment) OPTIONS (lateness = '1 hour') AS SELECT date_trunc('hour', moment) AS hour, count(*) AS n FROM main.loaded GROUP BY 1`,
    ];
    await views.store.write((tx) => tx.run("CREATE TABLE main.loaded AS SELECT TIMESTAMPTZ '2026-01-01' AS moment"));
    for (const definition of cases) await assert.rejects(views.sql(definition), { code: 'VIEW_OPTION' }, definition);
  });

  test('of a view over a table whose rows are changed and taken away: the view, with what came late and without what went late, is its batch', async () => {
    const table = 'CREATE TABLE main.entry (id INTEGER, moment TIMESTAMPTZ, amount INTEGER, _batch BIGINT)';
    await views.transfer('main.entry', () => [table, 'CREATE TABLE change."main.entry" AS FROM main.entry LIMIT 0']);
    const hours = `SELECT date_trunc('hour', moment) AS hour, sum(amount)::BIGINT AS amount, count(*) AS n FROM main.entry GROUP BY 1`;
    await views.sql(
      `CREATE MATERIALIZED VIEW mart.hours PARTITION BY date_trunc('hour', moment) OPTIONS (refresh = '100 milliseconds', lateness = '2 hours') AS ${hours}`,
    );
    const entry = fc.record({ id: fc.nat(15), hour: fc.nat(9), amount: fc.nat(9), gone: fc.boolean() });
    const kept = fc.array(fc.uniqueArray(entry, { minLength: 1, maxLength: 4, selector: ({ id }) => id }), { minLength: 3, maxLength: 8 });
    let lateOnes = 0;
    await fc.assert(
      fc.asyncProperty(kept, async (writes) => {
        await views.transfer('main.entry', (batch) => [
          `INSERT INTO change."main.entry" SELECT * EXCLUDE (_batch), ${batch} FROM main.entry`,
          'DELETE FROM main.entry',
        ]);
        await views.settle();
        await views.sql('DROP MATERIALIZED VIEW mart.hours');
        await views.sql(
          `CREATE MATERIALIZED VIEW mart.hours PARTITION BY date_trunc('hour', moment) OPTIONS (refresh = '100 milliseconds', lateness = '2 hours') AS ${hours}`,
        );
        for (const write of writes) {
          const ids = write.map(({ id }) => id).join(', ');
          const fresh = write.filter(({ gone }) => !gone);
          await views.transfer('main.entry', (batch) => [
            `INSERT INTO change."main.entry" SELECT * EXCLUDE (_batch), ${batch} FROM main.entry WHERE id IN (${ids})`,
            `DELETE FROM main.entry WHERE id IN (${ids})`,
            ...fresh.map(
              ({ id, hour, amount }) =>
                `INSERT INTO main.entry VALUES (${id}, TIMESTAMPTZ '2026-01-01' + INTERVAL ${hour} HOURS, ${amount}, ${batch})`,
            ),
          ]);
          await views.settle();
        }
        assert.deepEqual(views.problems, []);
        const late = `SELECT (row->>'moment')::TIMESTAMPTZ AS moment, (row->>'amount')::BIGINT * CASE WHEN gone THEN -1 ELSE 1 END AS amount, CASE WHEN gone THEN -1 ELSE 1 END AS n FROM millrace.late WHERE view = 'mart.hours'`;
        const sums = (query: string) =>
          views.rows(`SELECT hour, sum(amount)::BIGINT AS amount, sum(n)::BIGINT AS n FROM (${query}) GROUP BY 1 HAVING sum(n) > 0`);
        assert.deepEqual(
          await sums(`SELECT hour, amount, n FROM mart.hours UNION ALL SELECT date_trunc('hour', moment), amount, n FROM (${late})`),
          await sums(hours),
        );
        lateOnes += views.keeper.states().find(({ name }) => name === 'mart.hours')!.late!.rows;
      }),
      { numRuns: 8 },
    );
    assert.ok(lateOnes > 0, 'some rows came late');
  });

  test('of a view over another view: what the lower one changes for a frozen partition stands among the late rows', async () => {
    await anew();
    await views.sql(
      `CREATE OR REPLACE MATERIALIZED VIEW mart.upper PARTITION BY date_trunc('hour', minute) OPTIONS (refresh = '100 milliseconds', lateness = '1 hour') AS
       SELECT date_trunc('hour', minute) AS hour, sum(n)::BIGINT AS n FROM mart.open GROUP BY 1`,
    );
    for (const batch of [
      [{ minute: 5, page: 'a' }],
      [{ minute: 130, page: 'a' }],
      [
        { minute: 5, page: 'a' },
        { minute: 5, page: 'b' },
        { minute: 100, page: 'a' },
      ],
    ]) {
      await send(batch);
      await views.settle();
    }
    assert.deepEqual(await views.rows(`SELECT hour(hour), n FROM mart.upper`), ['["0","1"]', '["1","1"]', '["2","1"]']);
    assert.deepEqual(await views.rows(`SELECT row->>'page', row->>'n', gone FROM millrace.late WHERE view = 'mart.upper'`), [
      '["a","1","true"]',
      '["a","2","false"]',
      '["b","1","false"]',
    ]);
  });
});
