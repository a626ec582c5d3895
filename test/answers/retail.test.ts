import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { absent, dataFile, openWarehouse, type Warehouse } from './fixture.ts';

const path = 'uci-online-retail/online_retail.csv.gz';

interface Line {
  readonly invoice: string;
  readonly month: number;
  readonly day: string;
  readonly hour: number;
  readonly product: string;
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
      const [invoice, product, , quantity, date, price, customer, country] = fields as [
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
        product,
        day: date.slice(0, 10),
        hour: Number(date.slice(11, 13)),
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
      `CREATE TABLE main.line AS SELECT InvoiceNo AS invoice, CAST(InvoiceDate AS TIMESTAMP) AT TIME ZONE 'UTC' AS sold_at, Country AS country, StockCode AS product, hour(CAST(InvoiceDate AS TIMESTAMP)) AS hour,
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
    const { rows, facts } = await warehouse.run('cohorts', { orders: 'main.orders' });
    const early = Number(facts['caveat: money back before the customer’s first order (periods below 0)']);
    const months = [...invoices.values()].filter(({ customer, month, amount }) => amount < 0 && month < (first.get(customer) ?? -Infinity));
    // Some came back in the very month of the first order, before it.
    assert.ok(months.length > 0 && early >= months.length, `${early} beside ${months.length} in earlier months`);
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

  test('rfm: orders are those that sold something, money is net of what came back, and scores are ranks', async () => {
    const invoices = new Map<string, { customer: string; day: string; amount: number }>();
    for (const { invoice, customer, day, amount } of lines) {
      if (customer === '') continue;
      const known = invoices.get(invoice);
      invoices.set(invoice, {
        customer,
        day: known === undefined || day < known.day ? day : known.day,
        amount: (known?.amount ?? 0) + amount,
      });
    }
    const customers = new Map<string, { orders: number; net: number; last: string }>();
    for (const { customer, day, amount } of invoices.values()) {
      const known = customers.get(customer) ?? { orders: 0, net: 0, last: '' };
      customers.set(customer, {
        orders: known.orders + (amount > 0 ? 1 : 0),
        net: known.net + amount,
        last: amount > 0 && day > known.last ? day : known.last,
      });
    }
    const buyers = [...customers].filter(([, { orders }]) => orders > 0);
    const { rows, facts } = await warehouse.run('rfm', { orders: 'main.orders', rows: 'customers' });
    assert.deepEqual(
      rows.map((row) => [row['customer'], row['orders'], Math.round(Number(row['net']) * 1000), row['last_day']].join('|')).sort(),
      buyers.map(([customer, { orders, net, last }]) => [customer, orders, net, last].join('|')).sort(),
    );
    const fifth = (value: number, of: (each: { orders: number; net: number; last: string }) => number) =>
      1 + Math.floor((5 * buyers.filter(([, each]) => of(each) < value).length) / buyers.length);
    for (const row of rows.filter((_, at) => at % 97 === 0)) {
      const { orders, net, last } = customers.get(row['customer'])!;
      const days = (each: { last: string }) => Date.parse(each.last);
      assert.deepEqual(
        [row['r'], row['f'], row['m']],
        [fifth(Date.parse(last), days), fifth(orders, (each) => each.orders), fifth(net, (each) => each.net)],
      );
    }
    const owed = [...customers.values()].filter(({ net }) => net < 0).length;
    assert.equal(facts['caveat: customers whose refunds exceed their orders'], String(owed));
  });

  test('lifecycle and lifetime: credit notes that stand for themselves reduce what their customers are worth', async () => {
    const invoices = new Map<string, { customer: string; month: number; amount: number }>();
    for (const { invoice, customer, month, amount } of lines) {
      if (customer === '') continue;
      const known = invoices.get(invoice);
      invoices.set(invoice, { customer, month: Math.min(month, known?.month ?? Infinity), amount: (known?.amount ?? 0) + amount });
    }
    const first = new Map<string, number>();
    // A free order makes a customer for lifetime, whose purchases are days with orders.
    const buyers = new Map<string, number>();
    for (const { customer, month, amount } of invoices.values()) {
      if (amount > 0) first.set(customer, Math.min(first.get(customer) ?? Infinity, month));
      if (amount >= 0) buyers.set(customer, 0);
    }
    const months = new Map<number, number>();
    for (const { customer, month, amount } of invoices.values()) {
      if (buyers.has(customer)) buyers.set(customer, buyers.get(customer)! + amount);
      if (!first.has(customer)) continue;
      const counted = Math.max(month, first.get(customer)!);
      months.set(counted, (months.get(counted) ?? 0) + amount);
    }
    const thousandths = (value: unknown) => Math.round(Number(value) * 1000);
    const stages = (await warehouse.run('lifecycle', { orders: 'main.orders' })).rows;
    const told = new Map<number, number>();
    for (const row of stages) {
      const month = Number(row['period'].slice(0, 4)) * 12 + Number(row['period'].slice(5, 7));
      told.set(month, (told.get(month) ?? 0) + thousandths(row['net']));
    }
    assert.deepEqual([...told].sort(), [...months].sort());
    const { rows } = await warehouse.run('lifetime', { orders: 'main.orders' });
    assert.deepEqual(
      rows.map((row) => [row['customer'], thousandths(row['net'])].join('|')).sort(),
      [...buyers].map((each) => each.join('|')).sort(),
    );
  });

  test('drivers by country, product and hour: every segment of support, without those that say nothing new', async () => {
    warehouse.definitions.metrics.set(
      'sales',
      'table: main.line\nexpression: sum(amount)\ntime: sold_at\ndimensions: [country, product, hour]\n',
    );
    const [after, before] = [
      ['2011-09-19', '2011-09-25'],
      ['2011-09-12', '2011-09-18'],
    ] as const;
    const within = ({ day }: Line, [from, to]: readonly [string, string]) => day >= from && day <= to;
    const sums = new Map<string, { parts: string[]; after: number; before: number }>();
    for (const line of lines) {
      const [isAfter, isBefore] = [within(line, after), within(line, before)];
      if (!isAfter && !isBefore) continue;
      const parts = [`country = ${line.country}`, `product = ${line.product}`, `hour = ${line.hour}`];
      for (const which of [[], [0], [1], [2], [0, 1], [0, 2], [1, 2]]) {
        const own = which.map((at) => parts[at]!);
        const sum = sums.get(own.join(' and ')) ?? { parts: own, after: 0, before: 0 };
        sums.set(own.join(' and '), {
          parts: own,
          after: sum.after + (isAfter ? line.amount : 0),
          before: sum.before + (isBefore ? line.amount : 0),
        });
      }
    }
    const all = sums.get('')!;
    const told = [...sums]
      .filter(([, { parts, after: a, before: b }]) => parts.length > 0 && Math.max(a / all.after, b / all.before) >= 0.02)
      .filter(
        ([, { parts, after: a, before: b }]) =>
          parts.length === 1 || !parts.some((part) => sums.get(part)!.after === a && sums.get(part)!.before === b),
      );
    const asked = { metric: 'sales', from: after[0], to: after[1], before_from: before[0], before_to: before[1], support: 0.02, top: 1000 };
    const { rows } = await warehouse.run('drivers', asked);
    const thousandths = (value: unknown) => Math.round(Number(value) * 1000);
    assert.deepEqual(
      rows.map((row) => [row['segment'], thousandths(row['after']), thousandths(row['before'])].join('|')).sort(),
      told.map(([segment, { after: a, before: b }]) => [segment, a, b].join('|')).sort(),
    );
    const shown = rows.map((row) => Math.abs(thousandths(row['difference'])));
    assert.deepEqual(
      shown,
      shown.toSorted((a, b) => b - a),
    );
    assert.ok(rows.length > 20 && sums.size > 10 * rows.length, `${rows.length} of ${sums.size}`);
  });

  test('drivers of what an invoice is worth: a count of distinct invoices is taken anew in each country', async () => {
    warehouse.definitions.metrics.set(
      'invoice_value',
      'table: main.line\nexpression: sum(amount) / count(DISTINCT invoice)\ntime: sold_at\ndimensions: [country, hour]\n',
    );
    const [after, before] = [
      ['2011-11-01', '2011-11-30'],
      ['2011-10-01', '2011-10-31'],
    ] as const;
    const asked = {
      metric: 'invoice_value',
      from: after[0],
      to: after[1],
      before_from: before[0],
      before_to: before[1],
      by: 'country',
      support: 0,
    };
    const { rows, facts } = await warehouse.run('drivers', asked);
    const both = lines.filter(({ day }) => day >= before[0] && day <= after[1]);
    const value = (country: string | null, [from, to]: readonly [string, string]) => {
      const own = both.filter((line) => line.day >= from && line.day <= to && (country === null || line.country === country));
      return own.reduce((sum, { amount }) => sum + amount, 0) / 1000 / new Set(own.map(({ invoice }) => invoice)).size;
    };
    const close = (told: unknown, expected: number) =>
      assert.ok(Math.abs(Number(told) - expected) < 1e-6, `${told} where ${expected} is true`);
    close(facts['invoice_value of the period'], value(null, after));
    assert.ok(rows.length > 15);
    for (const row of rows) {
      const country = row['segment'].slice('country = '.length);
      const [now, then] = [value(country, after), value(country, before)];
      // A country that sold in one month only has no figure in the other.
      if (Number.isNaN(now) || Number.isNaN(then)) assert.equal(row['difference'], null);
      else close(row['difference'], now - then);
      if (!Number.isNaN(now)) close(row['after_over_all'], now / value(null, after));
    }
  });
});
