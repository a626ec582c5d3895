import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { absent, dataFile, openWarehouse, type Warehouse } from './fixture.ts';

let warehouse: Warehouse;
before(async () => {
  warehouse = await openWarehouse();
});
after(() => warehouse.close());

/** Days from 2026-01-01; cents. */
interface Sale {
  readonly customer: string;
  readonly day: number;
  readonly cents: number;
  readonly refund: number;
}

async function put(sales: readonly Sale[]): Promise<void> {
  const rows = sales.map(
    ({ customer, day, cents, refund }, at) =>
      `('o${at}', TIMESTAMPTZ '2026-01-01 12:00:00Z' + to_days(${day}), ${cents} * 0.01, '${customer}', ${refund} * 0.01)`,
  );
  await warehouse.make(
    `CREATE OR REPLACE TABLE main.orders AS SELECT * FROM (VALUES ${rows.join(', ')}) AS o(order_id, ordered_at, amount, customer_id, refund_amount)`,
  );
}
const orders = { orders: 'main.orders' };
const dayOf = (day: number) => new Date(Date.UTC(2026, 0, 1 + day)).toISOString().slice(0, 10);
const sale = fc.record({
  customer: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  day: fc.nat(20),
  cents: fc.integer({ min: 1, max: 9999 }),
  refund: fc.integer({ min: 0, max: 50 }),
});

describe('lifetime', () => {
  const cdnow = 'cdnow/CDNOW_sample.txt.gz';
  test('finds the published parameters on CDNOW: r 0.243, α 4.414, a 0.793, b 2.426', { skip: absent(cdnow) }, async () => {
    const lines = gunzipSync(readFileSync(dataFile(cdnow)))
      .toString('utf8')
      .trim()
      .split(/\r?\n/);
    const rows = lines.map((line, at) => {
      const [, id, day, , amount] = line.trim().split(/\s+/);
      return `('o${at}', '${id}', TIMESTAMPTZ '${day!.slice(0, 4)}-${day!.slice(4, 6)}-${day!.slice(6)} 12:00:00Z', ${amount})`;
    });
    await warehouse.make(
      `CREATE OR REPLACE TABLE main.cdnow AS SELECT order_id, customer_id, ordered_at, CAST(amount AS DECIMAL(18,2)) AS amount FROM (VALUES ${rows.join(', ')}) AS o(order_id, customer_id, ordered_at, amount)`,
    );
    // The papers fit the 39 weeks up to 30 September 1997 and foretell the 39 after them.
    const { rows: told, facts } = await warehouse.run('lifetime', { orders: 'main.cdnow', to: '1997-09-30', days: 273 });
    const found = Object.fromEntries(
      [...facts['fitted (weeks)']!.matchAll(/(\w+) ([\d.]+)/g)].map(([, name, value]) => [name!, Number(value)]),
    );
    const published = { r: 0.243, alpha: 4.414, a: 0.793, b: 2.426 };
    for (const [name, value] of Object.entries(published))
      assert.ok(Math.abs(found[name]! - value) < 0.0006 * Math.max(1, value), `${name}: ${found[name]} for ${value}`);
    assert.equal(told.length, 2357);
    // Fader, Hardie 2005, "Implementing the BG/NBD Model in Excel": a customer of x = 2, t_x = 30.43, T = 38.86 buys 1.226 times in 39 weeks.
    const example = told.filter((row) => row['purchases'] === 3 && Math.abs(row['expected_orders'] - 1.226) < 0.0006);
    assert.ok(example.length > 0);
    const foretold = told.reduce((sum, row) => sum + row['expected_orders'], 0);
    const [actual] = await warehouse.ask(
      `SELECT count(*) AS n FROM (SELECT DISTINCT customer_id, CAST(ordered_at AS DATE) FROM main.cdnow WHERE ordered_at >= TIMESTAMPTZ '1997-10-01 00:00:00Z')`,
    );
    assert.ok(Math.abs(foretold / actual!['n'] - 1) < 0.15, `${foretold} foretold, ${actual!['n']} bought`);
  });

  test('refuses to fit what too few customers say', async () => {
    await put([{ customer: 'a', day: 0, cents: 100, refund: 0 }]);
    await assert.rejects(warehouse.run('lifetime', orders), {
      code: 'ANSWER_TOO_FEW',
      message: /at least 10 customers who bought again; there are 0/,
    });
  });

  test('warns where spending goes with frequency, and not where there is no correlation to speak of', async () => {
    const caveat = async (cents: (customer: number) => number) => {
      // Customer n buys on the first n + 2 days.
      const sales = Array.from({ length: 15 }, (_, n) =>
        Array.from({ length: n + 2 }, (_, day): Sale => ({ customer: `c${n}`, day, cents: cents(n), refund: 0 })),
      );
      await put(sales.flat());
      const { facts } = await warehouse.run('lifetime', orders);
      return facts['caveat: spending goes with frequency (correlation), which Gamma–Gamma excludes'];
    };
    assert.equal(await caveat((n) => 1000 + 100 * n), '1.0');
    assert.equal(await caveat(() => 1000), undefined);
  });

  test('its SQL is shown with the fitted numbers in it', async () => {
    await put(Array.from({ length: 60 }, (_, at): Sale => ({ customer: `c${at % 25}`, day: (at * at) % 41, cents: 1000 + at, refund: 0 })));
    const { sql } = await warehouse.answers.show({
      who: { name: 'test', role: 'viewer', topics: null },
      answer: 'lifetime',
      options: orders,
    });
    const { rows } = await warehouse.run('lifetime', orders);
    assert.deepEqual(await warehouse.ask(sql), rows);
  });
});

describe('lifecycle', () => {
  test('puts each customer into one stage a period, as following each one by hand does', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(sale, { minLength: 1, maxLength: 15 }), async (sales) => {
        await put(sales);
        const { rows } = await warehouse.run('lifecycle', { ...orders, grain: 'day' });
        const bought = (customer: string, day: number) => sales.some((each) => each.customer === customer && each.day === day);
        const customers = [...new Set(sales.map(({ customer }) => customer))];
        const [first, last] = [Math.min(...sales.map(({ day }) => day)), Math.max(...sales.map(({ day }) => day))];
        const expected = new Map<string, number>();
        for (let day = first; day <= last; day++) {
          for (const customer of customers) {
            const own = Math.min(...sales.filter((each) => each.customer === customer).map((each) => each.day));
            if (own > day) continue;
            const stage =
              own === day
                ? 'new'
                : bought(customer, day)
                  ? bought(customer, day - 1)
                    ? 'retained'
                    : 'reactivated'
                  : bought(customer, day - 1)
                    ? 'lapsed'
                    : 'lost';
            const key = `${dayOf(day)} ${stage}`;
            expected.set(key, (expected.get(key) ?? 0) + 1);
          }
        }
        assert.deepEqual(
          Object.fromEntries(rows.map((row) => [`${row['period']} ${row['stage']}`, row['customers']]).sort()),
          Object.fromEntries([...expected].sort()),
        );
      }),
      { numRuns: 20 },
    );
  });
});

describe('a first day', () => {
  const bought = (customer: string, day: number): Sale => ({ customer, day, cents: 1000, refund: 100 });
  test('makes nobody new who had bought before it', async () => {
    // Days from 1 January: a buys in January and March, b in March, c in February.
    await put([bought('a', 9), bought('a', 63), bought('b', 65), bought('c', 50)]);
    const cohorts = await warehouse.run('cohorts', { ...orders, from: '2026-03-01' });
    assert.deepEqual(
      cohorts.rows.map((row) => [row['cohort'], row['size'], row['period'], row['orders'], Number(row['net'])]),
      [
        ['2026-01-01', 1, 2, 1, 9],
        ['2026-03-01', 1, 0, 1, 9],
      ],
    );
    assert.equal(cohorts.facts['orders used'], '2');
    const lifecycle = await warehouse.run('lifecycle', { ...orders, from: '2026-03-01' });
    assert.deepEqual(
      lifecycle.rows.map((row) => [row['period'], row['stage'], row['customers'], row['orders'], Number(row['net'])]),
      [
        ['2026-03-01', 'lapsed', 1, 0, 0],
        ['2026-03-01', 'new', 1, 1, 9],
        ['2026-03-01', 'reactivated', 1, 1, 9],
      ],
    );
    for (const answer of ['cohorts', 'lifecycle'])
      await assert.rejects(warehouse.run(answer, { ...orders, from: '2026-02-30' }), { code: 'ANSWER_OPTION' });
    // A fit on histories that are cut off at their beginning would take every customer for a new one.
    await assert.rejects(warehouse.run('lifetime', { ...orders, from: '2026-03-01' }), { code: 'ANSWER_OPTION' });
  });

  test('only leaves out what came before it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(sale, { minLength: 1, maxLength: 15 }), fc.nat(20), async (sales, day) => {
        await put(sales);
        const from = dayOf(day);
        const after = (date: string, days: number) => new Date(Date.parse(date) + days * 86_400_000).toISOString().slice(0, 10) >= from;
        const told = (answer: string, more = {}) => warehouse.run(answer, { ...orders, grain: 'day', ...more }).then(({ rows }) => rows);
        assert.deepEqual(
          await told('cohorts', { from }),
          (await told('cohorts')).filter((row) => after(row['cohort'], row['period'])),
        );
        assert.deepEqual(
          await told('lifecycle', { from }),
          (await told('lifecycle')).filter((row) => row['period'] >= from),
        );
      }),
      { numRuns: 10 },
    );
  });
});

test('money that came back on a row of its own counts: with its period in lifecycle, with the purchase before it in lifetime', async () => {
  const sales = Array.from({ length: 12 }, (_, n) => [0, 3, 9].map((day): Sale => ({ customer: `c${n}`, day, cents: 1000, refund: 0 })));
  const back = (customer: string, day: number, cents: number): Sale => ({ customer, day, cents: -cents, refund: 0 });
  // Before the first order, on the day of one, after one, after the last; and to somebody who never bought.
  const returns = [back('early', 1, 100), back('c0', 3, 200), back('c1', 5, 300), back('c2', 20, 400), back('stranger', 4, 9900)];
  await put([...sales.flat(), { customer: 'early', day: 6, cents: 1000, refund: 0 }, ...returns]);
  const { rows } = await warehouse.run('lifecycle', { ...orders, grain: 'day' });
  const net = new Map<string, number>();
  for (const row of rows) net.set(row['period'], (net.get(row['period']) ?? 0) + Math.round(Number(row['net']) * 100));
  assert.deepEqual(
    [0, 3, 5, 6, 9, 20].map((day) => net.get(dayOf(day))),
    [12_000, 11_800, -300, 900, 12_000, -400],
  );
  // The fifth was no purchase of anybody: who came back to give something back did not stay for it.
  assert.ok(
    rows.filter((row) => row['period'] === dayOf(5)).every((row) => ['lost', 'lapsed'].includes(row['stage']) && row['orders'] === 0),
  );
  const told = await warehouse.run('lifetime', orders);
  const nets = Object.fromEntries(told.rows.map((row) => [row['customer'], [row['purchases'], Math.round(Number(row['net']) * 100)]]));
  assert.deepEqual(
    ['c0', 'c1', 'c2', 'c3', 'early', 'stranger'].map((customer) => nets[customer]),
    [[3, 2800], [3, 2700], [3, 2600], [3, 3000], [1, 900], undefined],
  );
});

describe('segments', () => {
  test('have the members that the rule names, and their history is what the rule would have said on each day', async () => {
    warehouse.definitions.segments.set('good', 'title: Good ones\nwhere: net >= 60 AND recency_days <= 5\n');
    await fc.assert(
      fc.asyncProperty(fc.array(sale, { minLength: 1, maxLength: 15 }), async (sales) => {
        await put(sales);
        const membersOn = (day: number) =>
          [...new Set(sales.map(({ customer }) => customer))].filter((customer) => {
            const own = sales.filter((each) => each.customer === customer && each.day <= day);
            const net = own.reduce((sum, { cents, refund }) => sum + cents - refund, 0);
            return own.length > 0 && net >= 6000 && day - Math.max(...own.map((each) => each.day)) <= 5;
          });
        const last = Math.max(...sales.map(({ day }) => day));
        const members = await warehouse.run('segment', { ...orders, segment: 'good' });
        assert.deepEqual(members.rows.map((row) => row['customer']).sort(), membersOn(last).sort());
        const { rows } = await warehouse.run('segment', { ...orders, segment: 'good', rows: 'history', grain: 'day', periods: 120 });
        const first = Math.min(...sales.map(({ day }) => day));
        assert.deepEqual(
          rows.map((row) => [row['as_of'], row['members'], row['entered'], row['left_after']]),
          Array.from({ length: last - first + 1 }, (_, at) => {
            const [now, before, after] = [membersOn(first + at), membersOn(first + at - 1), membersOn(first + at + 1)];
            // Who leaves after the newest day is not known yet.
            const gone = first + at === last ? null : now.filter((each) => !after.includes(each)).length;
            return [dayOf(first + at), now.length, now.filter((each) => !before.includes(each)).length, gone];
          }),
        );
      }),
      { numRuns: 20 },
    );
  });

  test('overlap as counted by hand, and an unknown one is refused with those that there are', async () => {
    const sales = ['a', 'a', 'b', 'b', 'c'].map((customer, day): Sale => ({ customer, day, cents: 1000 * (day + 1), refund: 0 }));
    await put(sales);
    warehouse.definitions.segments.set('twice', 'where: orders = 2\n');
    warehouse.definitions.segments.set('rich', 'where: net >= 50\n');
    const { rows } = await warehouse.run('segments', { ...orders, segments: 'rich,twice' });
    // a spent 30, b 70, c 50: rich are b and c, twice came a and b.
    assert.deepEqual(
      rows.map((row) => [row['segment'], row['other'], row['members'], row['shared'], row['share'], row['lift']]),
      [
        ['rich', 'rich', 2, 2, 1, 1.5],
        ['rich', 'twice', 2, 1, 0.5, 0.75],
        ['twice', 'rich', 2, 1, 0.5, 0.75],
        ['twice', 'twice', 2, 2, 1, 1.5],
      ],
    );
    await assert.rejects(warehouse.run('segments', { ...orders, segments: 'poor' }), {
      code: 'SEGMENT_UNKNOWN',
      message: /there are good, twice, rich/,
    });
    warehouse.definitions.segments.set('stolen', `where: "true) UNION ALL SELECT * FROM read_csv('x'"\n`);
    await assert.rejects(warehouse.run('segment', { ...orders, segment: 'stolen' }), (error: { code: string }) =>
      error.code.startsWith('SQL_'),
    );
  });
});
