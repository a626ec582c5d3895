import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { openViews, type Views } from './views-fixture.ts';

/** Every way to say when a partition begins; `t` and `l` are the same moment with and without a zone, `d` its day. */
const PARTITIONS = {
  bucket: `time_bucket(INTERVAL '7 minutes', t)`,
  named: `time_bucket('90 minutes', l)`,
  months: `time_bucket(INTERVAL 2 MONTHS, t)`,
  shifted: `time_bucket(INTERVAL 1 DAY, t, 'America/New_York')`,
  origin: `time_bucket(INTERVAL 1 DAY, t, TIMESTAMPTZ '2026-01-01 05:00:00+00')`,
  day: 't::DATE',
  week: `date_trunc('week', l)`,
  dated: `date_trunc('month', d)`,
  local: `date_trunc('day', t AT TIME ZONE 'America/New_York')`,
  local_hour: `date_trunc('hour', t AT TIME ZONE 'Australia/Lord_Howe')`,
  local_bucket: `time_bucket(INTERVAL '45 minutes', t AT TIME ZONE 'America/New_York')`,
  moment: `date_trunc('day', t AT TIME ZONE 'America/New_York') AT TIME ZONE 'America/New_York'`,
  korean: `CAST(t AT TIME ZONE 'Asia/Seoul' AS DATE)`,
  hop: `unnest([time_bucket(INTERVAL '5 minutes', t), time_bucket(INTERVAL '5 minutes', t) - INTERVAL '5 minutes'])`,
  hop_days: `unnest(generate_series(date_trunc('day', t) - INTERVAL 6 DAYS, date_trunc('day', t), INTERVAL 1 DAY))`,
  hop_months: `unnest([date_trunc('day', t), date_trunc('day', t) - INTERVAL 1 MONTH])`,
  hop_local: `unnest([date_trunc('hour', t AT TIME ZONE 'America/New_York'), date_trunc('hour', t AT TIME ZONE 'America/New_York') - INTERVAL 1 HOUR])`,
  hop_bare: `unnest(generate_series(l - INTERVAL '10 minutes', l, INTERVAL '5 minutes'))`,
} as const;
/** Where clocks are set, months end, and nothing happens. */
const AROUND = [
  '2026-03-08T07:00:00Z',
  '2026-11-01T06:00:00Z',
  '2026-04-04T15:00:00Z',
  '2026-10-03T15:30:00Z',
  '2026-02-28T12:00:00Z',
  '2026-07-15T12:00:00Z',
];

const moment = fc.record({ around: fc.constantFrom(...AROUND), minutes: fc.integer({ min: -3000, max: 3000 }), none: fc.nat(30) });
/** A row at each, and shortly before and after: what only shows there is looked for there in any case. */
const CLOSE = AROUND.map((around) => [-1500, -50, -20, 10, 40].map((minutes) => ({ around, minutes, none: 1 })));
const deliveries = fc.array(fc.array(moment, { minLength: 1, maxLength: 6 }), { minLength: 2, maxLength: 5 });

test('a partition whose interval, zone or hop is none is refused or pauses its view with a code, and says what it is', async (t) => {
  const views = await openViews();
  t.after(() => views.close());
  await views.transfer('main.few', (batch) => [`CREATE TABLE main.few AS SELECT TIMESTAMPTZ '2026-01-01' AS t, ${batch} AS _batch`]);
  for (const [partition, code, says] of [
    [`time_bucket(INTERVAL 'soon', t)`, 'VIEW_VALUE', /'soon'/],
    [`time_bucket(INTERVAL '-5 minutes', t)`, 'VIEW_VALUE', /greater than 0/],
    [`time_bucket(INTERVAL '0 minutes', t)`, 'VIEW_VALUE', /zero/],
    [`date_trunc('day', t AT TIME ZONE 'Nowhere/No')`, 'VIEW_VALUE', /Nowhere\/No/],
    [`unnest([time_bucket(INTERVAL '5 minutes', t), time_bucket(INTERVAL '5 minutes', t) - 'x'])`, 'VIEW_PARTITION', /main\.few/],
  ] as const)
    await assert.rejects(
      views.sql(
        `CREATE OR REPLACE MATERIALIZED VIEW mart.bad PARTITION BY ${partition} AS SELECT p, count(*) AS n FROM (SELECT ${partition} AS p FROM main.few) GROUP BY p`,
      ),
      (error: { code: string; message: string }) => error.code === code && says.test(error.message),
      partition,
    );
});

describe('the times of a partition', () => {
  let views: Views;
  before(async () => {
    // So that they are built in chunks, each of which reads the times of its own.
    views = await openViews({ chunkRows: 1500 });
    const close = AROUND.map(
      (at) =>
        `FROM generate_series(TIMESTAMPTZ '${at}' - INTERVAL 3 HOURS, TIMESTAMPTZ '${at}' + INTERVAL 3 HOURS, INTERVAL 11 MINUTES) AS r(t)`,
    );
    const history = [
      "FROM generate_series(TIMESTAMPTZ '2026-01-01', TIMESTAMPTZ '2026-12-31', INTERVAL 97 MINUTES) AS r(t)",
      ...close,
    ].join(' UNION ALL ');
    await views.transfer('main.moments', (batch) => [
      `CREATE TABLE main.moments (t TIMESTAMPTZ, l TIMESTAMP, d DATE, n INTEGER, _batch BIGINT)`,
      // A history of which a refresh must read what belongs to a partition, and only that.
      `INSERT INTO main.moments SELECT t, t AT TIME ZONE 'UTC', (t AT TIME ZONE 'UTC')::DATE, 1, ${batch} FROM (${history})`,
    ]);
    // A lateness is refused where the end of a partition is not known.
    for (const [name, partition] of Object.entries(PARTITIONS))
      await views.sql(
        `CREATE MATERIALIZED VIEW mart.${name} PARTITION BY ${partition} OPTIONS (refresh = '100 milliseconds', lateness = '3660 days') AS ${query(partition)}`,
      );
    await views.settle();
  });
  after(() => views.close());

  const query = (partition: string) =>
    `SELECT p, count(*) AS rows, sum(n)::BIGINT AS n FROM (SELECT ${partition} AS p, n FROM main.moments) GROUP BY p`;

  test('hold every row of it, wherever clocks are set and months end: a view equals its batch', async () => {
    await fc.assert(
      fc.asyncProperty(deliveries, async (batches) => {
        for (const rows of batches) {
          const values = rows.map(({ around, minutes, none }) =>
            none === 0 ? 'NULL' : `make_timestamptz(${(Date.parse(around) + minutes * 60_000) * 1000})`,
          );
          await views.transfer('main.moments', (batch) =>
            values.map(
              (t) =>
                `INSERT INTO main.moments SELECT t, t AT TIME ZONE 'UTC', (t AT TIME ZONE 'UTC')::DATE, 10, ${batch} FROM (SELECT ${t}::TIMESTAMPTZ AS t)`,
            ),
          );
          await views.settle();
        }
        assert.deepEqual(views.problems, []);
        for (const [name, partition] of Object.entries(PARTITIONS))
          assert.deepEqual(await views.rows(`FROM mart.${name}`), await views.rows(query(partition)), name);
      }),
      { numRuns: process.env['MILLRACE_LONG'] ? 60 : 2, examples: [[CLOSE]] },
    );
  });
});
