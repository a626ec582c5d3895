import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { type Ground, openGround, tableOf } from './harness.ts';

const data = process.env['MILLRACE_DATA'] ?? fileURLToPath(new URL('../../../shared/data', import.meta.url));

describe('real files beyond CSV', { skip: existsSync(data) ? false : 'the real data is not here (MILLRACE_DATA)' }, () => {
  let ground: Ground;
  before(async () => {
    ground = await openGround();
  });
  after(() => ground?.close());

  test('taxi trips of three generations of one schema become one table, each row once', async () => {
    const { error, tables } = await ground.run({
      name: 'taxi',
      source: 'folder',
      connection: { path: join(data, 'nyc-taxi'), pattern: 'green_*.csv.gz', settle: 0 },
      tables: [tableOf({ source: 'files', target: 'real.green', mode: 'append' })],
    });
    assert.equal(error, null);
    const lines = ['2013-08', '2015-01', '2016-07'].map(
      (month) =>
        gunzipSync(readFileSync(join(data, `nyc-taxi/green_tripdata_${month}.csv.gz`)))
          .toString()
          .split('\n')
          .filter((line) => line.trim() !== '').length - 1,
    );
    assert.deepEqual(
      tables.map(({ rows, quarantined, parity }) => [rows + quarantined, parity!.equal]),
      lines.map((count) => [count, true]),
    );
    // The first generation has no surcharge for improvement; its column stays one although its case changed.
    const [[columns, surcharges]] = (await ground.rows(
      `SELECT (SELECT count(*) FROM duckdb_columns() WHERE schema_name = 'real' AND table_name = 'green' AND lower(column_name) = 'lpep_dropoff_datetime'),
         count("improvement_surcharge") FROM real.green`,
    )) as [number[]];
    assert.deepEqual([columns, surcharges], [1, tables[1]!.rows + tables[2]!.rows]);
  });

  for (const [file, rows, sum, expected] of [
    ['nyc-taxi/green_tripdata_2022-01.parquet', 62_495, 'count(DISTINCT "PULocationID") > 1', true],
    // 2017-08-01 in the demo account: revenue 8,890.00 in millionths.
    [
      'ga-merch-sessions/ga_sample.parquet',
      2_556,
      `CAST(sum(CAST(totals->>'totalTransactionRevenue' AS BIGINT)) AS BIGINT)`,
      8_890_000_000,
    ],
  ] as const) {
    test(`${file} arrives with its own types, and nested ones as JSON`, async () => {
      const source = file.replace(/.*\/|\.parquet$/g, '');
      const table = tableOf({ source, target: `real.${source.toLowerCase().replaceAll(/\W/g, '_')}` });
      const report = await ground.run({ name: 'p', source: 'parquet', connection: { path: join(data, file) }, tables: [table] });
      assert.equal(report.error, null);
      assert.deepEqual([report.tables[0]!.rows, report.tables[0]!.parity!.equal], [rows, true]);
      assert.deepEqual(await ground.rows(`SELECT ${sum} FROM ${table.target}`), [[expected]]);
    });
  }
});
