import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { absent, dataFile, openWarehouse, type Warehouse } from './fixture.ts';

const path = 'uci-online-retail/online_retail.csv.gz';

interface Line {
  readonly invoice: string;
  readonly month: number;
  readonly customer: string;
  readonly country: string;
  /** Thousandths of a pound. */
  readonly amount: number;
}

/** The file's fields by hand: only the description is ever quoted. */
function linesOf(csv: string): Line[] {
  return csv
    .trimEnd()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => {
      const fields = line.match(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)!.map((field) => field.replace(/,$/, ''));
      const [invoice, , , quantity, date, price, customer, country] = fields as [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
      ];
      return {
        invoice,
        month: Number(date.slice(0, 4)) * 12 + Number(date.slice(5, 7)),
        customer,
        country,
        amount: Math.round(Number(price) * 1000) * Number(quantity),
      };
    });
}

describe('the UCI online retail data', { skip: absent(path) }, () => {
  let warehouse: Warehouse;
  let lines: Line[];
  before(async () => {
    warehouse = await openWarehouse();
    lines = linesOf(gunzipSync(readFileSync(dataFile(path))).toString());
    const scan = `read_csv('${dataFile(path).replaceAll("'", "''")}', all_varchar = true)`;
    const { DuckDBInstance } = await import('@duckdb/node-api');
    const engine = await DuckDBInstance.create(':memory:');
    const connection = await engine.connect();
    // The warehouse itself can read no file: another engine hands the rows over as Parquet in the slices' folder.
    const parquet = `${warehouse.store.folders.slices}/retail.parquet`;
    await connection.run(`COPY (SELECT * FROM ${scan}) TO '${parquet}' (FORMAT parquet)`);
    connection.closeSync();
    engine.closeSync();
    await warehouse.make(
      `CREATE TABLE main.line AS SELECT InvoiceNo AS invoice, CAST(InvoiceDate AS TIMESTAMP) AT TIME ZONE 'UTC' AS sold_at, Country AS country,
         CustomerID AS customer, CAST(UnitPrice AS DECIMAL(18,3)) * CAST(Quantity AS INTEGER) AS amount FROM read_parquet('${parquet}')`,
      `CREATE VIEW main.orders AS SELECT invoice AS order_id, min(sold_at) AS ordered_at, sum(amount) AS amount, any_value(customer) AS customer_id FROM main.line GROUP BY invoice`,
    );
  });
  after(() => warehouse.close());

  test('revenue by country is the file’s, and sums to the file’s', async () => {
    warehouse.definitions.metrics.set('revenue', 'table: main.line\nexpression: sum(amount)\ntime: sold_at\ndimensions: [country]\n');
    const expected = new Map<string, number>();
    for (const { country, amount } of lines) expected.set(country, (expected.get(country) ?? 0) + amount);
    const { rows, facts } = await warehouse.run('metric', { metric: 'revenue', by: 'country' });
    assert.deepEqual(
      rows.map((row) => [row['country'], Math.round(Number(row['value']) * 1000)]),
      [...expected].sort(([a], [b]) => (a < b ? -1 : 1)),
    );
    assert.equal(facts['rows used'], String(lines.length));
  });

  test('cohorts: orders make them, returns reduce what they are worth', async () => {
    const invoices = new Map<string, { customer: string; month: number; amount: number }>();
    for (const { invoice, customer, month, amount } of lines) {
      if (customer === '') continue;
      const known = invoices.get(invoice) ?? { customer, month, amount: 0 };
      invoices.set(invoice, { ...known, amount: known.amount + amount });
    }
    const first = new Map<string, number>();
    for (const { customer, month, amount } of invoices.values())
      if (amount > 0) first.set(customer, Math.min(first.get(customer) ?? Infinity, month));
    const expected = new Map<string, { buyers: Set<string>; orders: number; revenue: number; refunded: number }>();
    for (const { customer, month, amount } of invoices.values()) {
      const cohort = first.get(customer);
      if (cohort === undefined) continue;
      const key = `${cohort} ${month - cohort}`;
      const cell = expected.get(key) ?? { buyers: new Set(), orders: 0, revenue: 0, refunded: 0 };
      expected.set(key, cell);
      if (amount > 0) {
        cell.buyers.add(customer);
        cell.orders++;
        cell.revenue += amount;
      } else cell.refunded -= amount;
    }
    const { rows } = await warehouse.run('cohorts', { orders: 'main.orders' });
    const thousandths = (value: unknown) => Math.round(Number(value) * 1000);
    const got = rows.map((row) => {
      const cohort = Number(row['cohort'].slice(0, 4)) * 12 + Number(row['cohort'].slice(5, 7));
      return [
        `${cohort} ${row['period']}`,
        row['customers'],
        row['orders'],
        thousandths(row['revenue']),
        thousandths(row['refunded']),
      ].join('|');
    });
    const wanted = [...expected].map(([key, cell]) => [key, cell.buyers.size, cell.orders, cell.revenue, cell.refunded].join('|'));
    assert.deepEqual(got.sort(), wanted.sort());
  });
});
