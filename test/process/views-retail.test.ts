import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Topic } from '#core';
import { openViews, type Sent, shuffled, type Views } from './views-fixture.ts';

const data = process.env['MILLRACE_DATA'] ?? resolve(import.meta.dirname, '../../../shared/data');
const file = join(data, 'uci-online-retail', 'online_retail.csv.gz');
/** Every order line of every fourth invoice. */
const LINES = `SELECT row_number() OVER () AS line, InvoiceNo AS invoice, StockCode AS stock, Quantity::BIGINT AS quantity, UnitPrice::DECIMAL(18,3) AS price,
  InvoiceDate::TIMESTAMPTZ AS ts, CustomerID::DOUBLE::BIGINT::VARCHAR AS customer, Country AS country
  FROM read_csv('${file}', all_varchar = true, sample_size = -1) WHERE hash(InvoiceNo) % 4 = 0`;

const text = (name: string) => ({ name, type: 'text' as const, required: false });
const topic: Topic = {
  name: 'lines',
  title: '',
  fields: [
    ...['line', 'invoice', 'stock', 'customer', 'country'].map(text),
    { name: 'quantity', type: 'integer', required: false },
    { name: 'price', type: 'decimal(18,3)', required: false },
    { name: 'ts', type: 'timestamp', required: false },
  ],
  id: 'line',
  time: { field: 'ts', unit: 'iso', required: true, earliest: 0, ahead: 1e15 },
  type: null,
  drift: 'evolve',
  dedupeWindow: 86_400_000,
};

/** Each with what it is kept by, as a query over the stream's table; the same over the file is the expectation. */
const cases: Readonly<Record<string, { partition: string; query: (from: string, time: string) => string }>> = {
  per_day: {
    partition: `date_trunc('day', _time)`,
    query: (
      from,
      time,
    ) => `SELECT date_trunc('day', ${time}) AS day, count(*) AS lines, sum(quantity * price) AS sales, count(*) FILTER (WHERE quantity < 0) AS returns,
      avg(abs(quantity) * price::DOUBLE) AS mean, stddev_samp(price::DOUBLE) AS spread, quantile_disc(price, 0.9) AS p90 FROM ${from} GROUP BY 1`,
  },
  per_customer: {
    partition: 'customer',
    query: (
      from,
      time,
    ) => `SELECT customer, count(DISTINCT invoice) AS invoices, min(${time}) AS first, max(${time}) AS last, sum(quantity * price) AS sales,
      sum(abs(quantity) * price::DOUBLE) / count(*) AS mean FROM ${from} GROUP BY customer`,
  },
  per_month_and_country: {
    partition: `(date_trunc('month', _time), country)`,
    query: (from, time) =>
      `SELECT date_trunc('month', ${time}) AS month, country, count(DISTINCT stock) AS stocks, sum(quantity * price) AS sales FROM ${from} GROUP BY 1, 2`,
  },
  best_of_day: {
    partition: `date_trunc('day', _time)`,
    query: (from, time) => `SELECT date_trunc('day', ${time}) AS day, stock, sum(quantity) AS sold FROM ${from} GROUP BY 1, 2
      QUALIFY row_number() OVER (PARTITION BY day ORDER BY sold DESC, stock) <= 3`,
  },
};

describe('a year of a shop’s order lines as a stream', { skip: existsSync(file) ? false : `${file} is absent` }, () => {
  let views: Views;
  let batch: Awaited<ReturnType<typeof openBatch>>;

  async function openBatch() {
    const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
    const connection = await instance.connect();
    await connection.run(`SET TimeZone = 'UTC'; CREATE TABLE lines AS ${LINES}`);
    return {
      rows: async (query: string) => (await connection.runAndReadAll(query)).getRowsJson() as unknown[][],
      close() {
        connection.closeSync();
        instance.closeSync();
      },
    };
  }

  before(async () => {
    batch = await openBatch();
    const rows = await batch.rows(`SELECT epoch_us(ts)::VARCHAR, to_json(l)::VARCHAR FROM (
      SELECT ts, {'line': line::VARCHAR, 'invoice': invoice, 'stock': stock, 'quantity': quantity, 'price': price::VARCHAR,
        'ts': strftime(ts, '%Y-%m-%dT%H:%M:%SZ'), 'customer': customer, 'country': country} AS l FROM lines)`);
    const records = rows.map(([micros, json]): Sent => {
      const fields = JSON.parse(String(json)) as Record<string, unknown>;
      return { id: String(fields['line']), micros: Number(micros), json: fields };
    });
    views = await openViews();
    const inTime = [...records].sort((a, b) => a.micros - b.micros);
    // One line in ten comes at the very end, one in fifty twice, and every delivery is in a disorder of its own.
    const late = inTime.filter((_, k) => k % 10 === 3);
    const stream = [...inTime.filter((_, k) => k % 10 !== 3), ...shuffled(late, 1)];
    const size = 20_000;
    for (let k = 0; k < stream.length; k += size) {
      const part = stream.slice(k, k + size);
      await views.send(topic, shuffled([...part, ...stream.slice(0, k + size).filter((_, at) => at % 50 === 7)], k));
      if (k === 0)
        for (const [name, { partition, query }] of Object.entries(cases))
          await views.sql(
            `CREATE MATERIALIZED VIEW mart.${name} PARTITION BY ${partition} OPTIONS (refresh = '100 milliseconds') AS ${query('raw.lines', '_time')}`,
          );
      await views.settle();
    }
    assert.deepEqual(views.problems, []);
  });
  after(async () => {
    batch?.close();
    await views?.close();
  });

  test('takes every line once', async () => {
    assert.deepEqual(await views.rows('SELECT count(*) FROM raw.lines'), [
      JSON.stringify(Object.values((await batch.rows('SELECT count(*)::VARCHAR FROM lines'))[0]!)),
    ]);
  });

  for (const [name, { query }] of Object.entries(cases)) {
    test(`${name}: exact columns equal the file’s in batch, doubles within 1e-12`, async () => {
      const listed = (await batch.rows(`DESCRIBE ${query('lines', 'ts')}`)).map(([column, type]) => ({
        column: String(column),
        double: type === 'DOUBLE',
      }));
      const columns = listed.map(({ column, double }) => (double ? column : `${column}::VARCHAR AS ${column}`)).join(', ');
      const sorted = (from: string) => `SELECT ${columns} FROM (${from}) ORDER BY ALL`;
      const expected = await batch.rows(sorted(query('lines', 'ts')));
      const reader = (await views.store.rows(sorted(`FROM mart.${name}`))).map((row) => Object.values(row));
      assert.ok(expected.length > 150, `${expected.length} rows`);
      assert.equal(reader.length, expected.length);
      for (const [k, row] of expected.entries()) {
        for (const [c, value] of row.entries()) {
          const found = reader[k]![c];
          if (listed[c]!.double && value !== null) {
            const distance = Math.abs(Number(found) - Number(value));
            assert.ok(distance <= 1e-12 * Math.abs(Number(value)), `${listed[c]!.column} of row ${k}: ${found} against ${value}`);
          } else assert.equal(found, value, `${listed[c]!.column} of row ${k}`);
        }
      }
    });
  }
});
