import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { openWarehouse, type Row, type Warehouse } from './fixture.ts';

let warehouse: Warehouse;
before(async () => {
  warehouse = await openWarehouse();
});
after(() => warehouse.close());

const given = { events: 'main.events', orders: 'main.orders', by: 'placement', bootstrap: 0 };
const cents = (value: unknown) => Math.round(Number(value) * 100);
const sum = (rows: readonly Row[], column: string) => rows.reduce((total, row) => total + cents(row[column]), 0);

/** A visitor a row: he clicks on the placement (or nothing) and buys; a refund comes on that day of January or never. */
interface Bought {
  readonly placement: 'top' | 'side' | null;
  readonly cents: number;
  readonly cost: number;
  readonly refund: number;
  readonly refundDay: number;
}

async function put(all: readonly Bought[]): Promise<void> {
  const at = (minute: number) => `TIMESTAMPTZ '2026-01-02 10:00:00Z' + to_minutes(${minute})`;
  const events = all.flatMap(({ placement, cents: money }, n) => [
    ...(placement === null ? [] : [`('select_promotion', 'u${n}', ${at(0)}, '${placement}', NULL, NULL)`]),
    `('purchase', 'u${n}', ${at(1)}, NULL, 'o${n}', ${money} * 0.01)`,
  ]);
  const orders = all.map(
    (each, n) =>
      `('o${n}', ${at(1)}, ${each.cents} * 0.01, ${each.cost} * 0.01, ${each.refund} * 0.01, TIMESTAMPTZ '2026-01-${String(each.refundDay).padStart(2, '0')} 12:00:00Z')`,
  );
  await warehouse.make(
    `CREATE OR REPLACE TABLE main.events AS SELECT event, u AS user_pseudo_id, time, placement, order_id, CAST(value AS DECIMAL(18,2)) AS value FROM (VALUES ${events.join(', ')}) AS e(event, u, time, placement, order_id, value)`,
    `CREATE OR REPLACE TABLE main.orders AS SELECT order_id, ordered_at, CAST(amount AS DECIMAL(18,2)) AS amount, CAST(cost AS DECIMAL(18,2)) AS cost, CAST(refund AS DECIMAL(18,2)) AS refund_amount, refunded_at FROM (VALUES ${orders.join(', ')}) AS o(order_id, ordered_at, amount, cost, refund, refunded_at)`,
  );
}

describe('the ledger', () => {
  const bought = fc.record({
    placement: fc.constantFrom('top' as const, 'side' as const, null),
    cents: fc.integer({ min: 1, max: 99_999 }),
    cost: fc.integer({ min: 0, max: 50_000 }),
    refund: fc.integer({ min: 0, max: 5000 }),
    refundDay: fc.integer({ min: 3, max: 20 }),
  });

  test('has margin, and what refunds have changed since a day, each summing to the orders’ to the cent', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(bought, { minLength: 1, maxLength: 12 }), async (all) => {
        await put(all);
        const { rows } = await warehouse.run('placements', { ...given, as_of: '2026-01-10' });
        const money = (chosen: readonly Bought[], value: (each: Bought) => number) =>
          chosen.reduce((total, each) => total + value(each), 0);
        const later = (each: Bought) => (each.refundDay > 10 ? each.refund : 0);
        for (const placement of ['top', 'side', null] as const) {
          const own = all.filter((each) => each.placement === placement);
          const row = rows.find((each) => each['placement'] === placement);
          if (row === undefined) continue;
          assert.equal(
            cents(row['cost']),
            money(own, (each) => each.cost),
          );
          assert.equal(
            cents(row['margin']),
            money(own, (each) => each.cents - each.refund - each.cost),
          );
          assert.equal(
            cents(row['last_click_net_then']),
            money(own, (each) => each.cents - each.refund + later(each)),
          );
          assert.equal(cents(row['restated']), 0 - money(own, later));
          assert.equal(cents(row['last_click_net']), cents(row['last_click_net_then']) + cents(row['restated']));
        }
        assert.equal(
          sum(rows, 'margin'),
          money(all, (each) => each.cents - each.refund - each.cost),
        );
        assert.equal(sum(rows, 'restated'), 0 - money(all, later));
      }),
      { numRuns: 15 },
    );
  });

  test('leaves margin and restatement empty where nothing tells them', async () => {
    await put([{ placement: 'top', cents: 100, cost: 1, refund: 0, refundDay: 3 }]);
    await warehouse.make('ALTER TABLE main.orders DROP COLUMN cost');
    const { rows } = await warehouse.run('placements', given);
    assert.ok(
      rows.every((row) => row['cost'] === null && row['margin'] === null && row['restated'] === null && row['randomised'] === null),
    );
  });

  test('all refunds make the net nothing, and a refund beyond the order makes it less', async () => {
    await put([
      { placement: 'top', cents: 500, cost: 0, refund: 500, refundDay: 3 },
      { placement: 'side', cents: 500, cost: 0, refund: 700, refundDay: 3 },
    ]);
    const { rows } = await warehouse.run('placements', given);
    assert.deepEqual(Object.fromEntries(rows.map((row) => [String(row['placement']), cents(row['last_click_net'])])), {
      top: 0,
      side: -200,
      null: 0,
    });
  });

  test('counts pages as places: a view after which the visitor went on is a click', async () => {
    await warehouse.make(`CREATE OR REPLACE TABLE main.events AS SELECT event, u AS user_pseudo_id, TIMESTAMPTZ '2026-01-02 10:00:00Z' + to_minutes(m) AS time, page, order_id, value FROM (VALUES
      ('page_view', 'a', 0, '/home', NULL, NULL), ('page_view', 'a', 1, '/sale', NULL, NULL), ('purchase', 'a', 2, NULL, 'o1', 12.34),
      ('page_view', 'b', 0, '/home', NULL, NULL), ('page_view', 'b', 1, '/sale', NULL, NULL)) AS e(event, u, m, page, order_id, value)`);
    const { rows } = await warehouse.run('placements', { events: 'main.events', by: 'placement', kinds: 'page', bootstrap: 0 });
    assert.deepEqual(
      rows.map((row) => [
        row['kind'],
        row['placement'],
        row['impressions'],
        row['clicks'],
        cents(row['last_click']),
        cents(row['first_click']),
      ]),
      [
        ['page', '/home', 2, 2, 0, 1234],
        ['page', '/sale', 2, 1, 1234, 0],
        ['(unassigned)', null, null, null, 0, 0],
      ],
    );
    await assert.rejects(warehouse.run('placements', { ...given, kinds: 'shelf' }), { code: 'ANSWER_OPTION' });
  });

  test('has what an experiment that hides the placement says it brings, with Welch’s interval', async () => {
    const spent = (at: number, shown: boolean) => (at % 3 === 0 ? 10 + (at % 4) + (shown ? 4 : 0) : 0);
    const rows = Array.from({ length: 60 }, (_, at) => {
      const shown = at % 2 === 1;
      const money = spent(at, shown);
      return [
        `('seen', 'u${at}', 0, '${shown ? 'shown' : 'hidden'}', NULL, NULL, NULL)`,
        ...(shown ? [`('view_promotion', 'u${at}', 1, NULL, 'top', NULL, NULL)`] : []),
        ...(money === 0 ? [] : [`('purchase', 'u${at}', 5, NULL, NULL, 'o${at}', ${money}.0)`]),
      ];
    }).flat();
    await warehouse.make(
      `CREATE OR REPLACE TABLE main.events AS SELECT event, u AS user_pseudo_id, TIMESTAMPTZ '2026-01-02 10:00:00Z' + to_minutes(m) AS time, variant, placement, order_id, CAST(value AS DECIMAL(18,2)) AS value FROM (VALUES ${rows.join(', ')}) AS e(event, u, m, variant, placement, order_id, value)`,
    );
    const definition =
      'exposure: seen\nplacement: top\nvariants: { hidden: 0.5, shown: 0.5 }\nmetrics:\n  - { name: buyers, role: primary }\n';
    warehouse.definitions.experiments.set('holdout', definition);
    warehouse.definitions.experiments.set('other', definition.replace('placement: top\n', ''));
    const asked = { events: 'main.events', by: 'placement', bootstrap: 0, experiments: 'holdout' };
    const row = (await warehouse.run('placements', asked)).rows.find((each) => each['placement'] === 'top')!;
    const arm = (shown: boolean) => {
      const values = Array.from({ length: 60 }, (_, at) => at)
        .filter((at) => (at % 2 === 1) === shown)
        .map((at) => spent(at, shown));
      const mean = values.reduce((a, b) => a + b, 0) / 30;
      return { mean, error: values.reduce((total, value) => total + (value - mean) ** 2, 0) / 29 / 30 };
    };
    const [hidden, shown] = [arm(false), arm(true)];
    const brought = 30 * (shown.mean - hidden.mean);
    const half = 30 * 1.959963984540054 * Math.sqrt(hidden.error + shown.error);
    assert.deepEqual(
      [cents(row['randomised']), cents(row['randomised_low']), cents(row['randomised_high'])],
      [cents(brought), cents(brought - half), cents(brought + half)],
    );
    await assert.rejects(warehouse.run('placements', { ...asked, by: 'placement,day' }), {
      code: 'ANSWER_OPTION',
      message: /use by=placement/,
    });
    await assert.rejects(warehouse.run('placements', { ...asked, experiments: 'other' }), {
      code: 'ANSWER_OPTION',
      message: /names no placement/,
    });
  });

  describe('experiments of one placement', () => {
    /** Day of January, hour: an exposure to `seen`, and what was paid on which day. */
    const visits = Array.from({ length: 48 }, (_, at) => ({
      user: `u${at}`,
      shown: at % 2 === 1,
      day: [3, 4, 12, 13][Math.floor(at / 2) % 4]!,
      cents: at % 3 === 0 ? 0 : 1000 + 37 * at + (at % 2 === 1 ? 500 : 0),
    }));
    before(async () => {
      const rows = visits.flatMap(({ user, shown, day, cents: money }) => [
        `('seen', '${user}', ${day}, 1, '${shown ? 'shown' : 'hidden'}', NULL, NULL, NULL)`,
        `('view_promotion', '${user}', ${day}, 2, NULL, 'top', NULL, NULL)`,
        ...(money === 0 ? [] : [`('purchase', '${user}', ${day}, 3, NULL, NULL, 'o${user}', ${money} * 0.01)`]),
        // What is bought after the experiment says nothing of it.
        `('purchase', '${user}', ${day + 4}, 3, NULL, NULL, 'later${user}', ${shown ? 90 : 10}.00)`,
      ]);
      await warehouse.make(
        `CREATE OR REPLACE TABLE main.events AS SELECT event, u AS user_pseudo_id, TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_days(d - 1) + to_hours(h) AS time, variant, placement, order_id, CAST(value AS DECIMAL(18,2)) AS value
         FROM (VALUES ${rows.join(', ')}) AS e(event, u, d, h, variant, placement, order_id, value)`,
      );
      const define = (name: string, days: string) =>
        warehouse.definitions.experiments.set(
          name,
          `exposure: seen\nplacement: top\n${days}variants: { hidden: 0.5, shown: 0.5 }\nmetrics:\n  - { name: buyers, role: primary }\n`,
        );
      define('early', 'from: 2026-01-04\nto: 2026-01-05\n');
      define('late', 'from: 2026-01-12\nto: 2026-01-14\n');
      define('open', 'from: 2026-01-13\n');
    });
    const told = async (experiments: string) => {
      const { rows } = await warehouse.run('placements', { events: 'main.events', by: 'placement', bootstrap: 0, experiments });
      return rows;
    };
    /** Visitors exposed on these days, with what they paid on the day itself: by Welch. */
    const brought = (days: readonly number[]) => {
      const [hidden, shown] = [false, true].map((arm) => {
        const paid = visits.filter((each) => each.shown === arm && days.includes(each.day)).map((each) => each.cents);
        const mean = paid.reduce((a, b) => a + b, 0) / paid.length;
        return { n: paid.length, mean, error: paid.reduce((all, each) => all + (each - mean) ** 2, 0) / (paid.length - 1) / paid.length };
      }) as [{ n: number; mean: number; error: number }, { n: number; mean: number; error: number }];
      return { value: shown.n * (shown.mean - hidden.mean), half: 1.959963984540054 * shown.n * Math.sqrt(hidden.error + shown.error) };
    };

    test('count who was exposed and what was bought from its first day to its last', async () => {
      const row = (await told('early')).find((each) => each['placement'] === 'top')!;
      const { value, half } = brought([4]);
      assert.deepEqual(
        [cents(row['randomised']), cents(row['randomised_low']), cents(row['randomised_high'])],
        [Math.round(value), Math.round(value - half), Math.round(value + half)],
      );
    });

    test('on different days add up, and the ledger’s money stays what it is', async () => {
      const rows = await told('early,late,early');
      const [one, two] = [brought([4]), brought([12, 13])];
      const row = rows.filter((each) => each['placement'] === 'top');
      const half = Math.hypot(one.half, two.half);
      assert.deepEqual(
        row.map((each) => [cents(each['randomised']), cents(each['randomised_low'])]),
        [[Math.round(one.value + two.value), Math.round(one.value + two.value - half)]],
      );
      const money = visits.reduce((all, each) => all + each.cents + (each.shown ? 9000 : 1000), 0);
      assert.equal(sum(rows, 'last_click'), money);
      assert.equal(cents(rows.find((each) => each['kind'] === '(unassigned)')!['last_click']), money);
    });

    test('on the same days would count purchases twice, and are refused', async () => {
      await assert.rejects(told('late,open'), { code: 'ANSWER_OPTION', message: /"late" and "open" try one placement on the same days/ });
    });
  });
});

describe('what can’t be a silent number', () => {
  const event = (columns: string) => warehouse.make(`CREATE OR REPLACE TABLE main.bad AS SELECT ${columns}`);
  const base = `'purchase' AS event, 'u' AS user_pseudo_id, TIMESTAMPTZ '2026-01-02 10:00:00Z' AS time, 'o1' AS order_id`;

  test('money that is text, a staff flag that is a number and orders timed in text are refused by their type', async () => {
    await event(`${base}, '12.00' AS value`);
    await assert.rejects(warehouse.run('paths', { events: 'main.bad' }), {
      code: 'ANSWER_TYPE',
      message: /value .*VARCHAR.*needs a number/,
    });
    await event(`${base}, 1 AS internal`);
    await assert.rejects(warehouse.run('paths', { events: 'main.bad' }), { code: 'ANSWER_TYPE', message: /internal/ });
    await warehouse.make(`CREATE OR REPLACE TABLE main.badorders AS SELECT 'o' AS order_id, '2026-01-01' AS ordered_at, 1.0 AS amount`);
    await assert.rejects(warehouse.run('rfm', { orders: 'main.badorders' }), { code: 'ANSWER_TYPE', message: /ordered_at/ });
    await warehouse.make(`CREATE OR REPLACE TABLE main.badorders AS SELECT 'o' AS order_id, now() AS ordered_at, 'ten' AS amount`);
    await assert.rejects(warehouse.run('rfm', { orders: 'main.badorders' }), { code: 'ANSWER_TYPE', message: /amount/ });
    await warehouse.make(`CREATE OR REPLACE TABLE main.badorders AS SELECT now() AS ordered_at, 1.0 AS amount`);
    await assert.rejects(warehouse.run('rfm', { orders: 'main.badorders' }), { code: 'ANSWER_COLUMN', message: /order_id/ });
  });

  test('columns among which one had to be guessed are said in the evidence, the own words of a topic are not', async () => {
    await event(`${base}, 1.5 AS value, now() AS ts, 'purchase' AS event_name`);
    await warehouse.make(
      `CREATE OR REPLACE TABLE main.orders AS SELECT 'o1' AS order_id, now() AS created_at, now() AS order_time, 1.0 AS amount, 1.1 AS total`,
    );
    const { facts } = await warehouse.run('paths', { events: 'main.bad', orders: 'main.orders', by: 'event' });
    assert.deepEqual(
      Object.entries(facts).filter(([fact]) => fact.includes('could be several')),
      [
        ['caveat: the amount of an order of main.orders could be several columns', 'amount is taken, not total'],
        ['caveat: the kind of event of main.bad could be several columns', 'event is taken, not event_name'],
        ['caveat: the time of an order of main.orders could be several columns', 'order_time is taken, not created_at'],
        ['caveat: the time of main.bad could be several columns', 'time is taken, not ts'],
      ],
    );
    const rfm = await warehouse.run('rfm', { orders: 'main.orders' });
    assert.equal(rfm.facts['caveat: the amount of an order of main.orders could be several columns'], 'amount is taken, not total');
    await event(`'a' AS event, 'u' AS user_pseudo_id, 'm' AS user_id, now() AS _time, now() AS time`);
    assert.equal(
      Object.keys((await warehouse.run('paths', { events: 'main.bad', orders: 'main.orders', by: 'event' })).facts).filter((fact) =>
        fact.endsWith('main.bad could be several columns'),
      ).length,
      0,
    );
  });

  test('answers on orders say how many of them the events saw, or why that is not known', async () => {
    const order = `SELECT 'o' || i AS order_id, TIMESTAMPTZ '2026-01-02 10:00:00Z' AS ordered_at, 5.0 AS amount, 'c' || i AS customer_id FROM range(4) AS r(i)`;
    await warehouse.make(
      `CREATE OR REPLACE TABLE main.orders AS ${order}`,
      `CREATE OR REPLACE TABLE raw.events AS SELECT 'purchase' AS event, 'u' AS user_pseudo_id, now() AS _time, 'o' || i AS order_id FROM range(3) AS r(i)`,
    );
    const matched = async (answer: string, options = {}) =>
      (await warehouse.run(answer, { orders: 'main.orders', ...options })).facts['matched paid orders'];
    assert.equal(await matched('rfm'), '75.0 % (3 of 4)');
    await warehouse.make('ALTER TABLE raw.events DROP COLUMN user_pseudo_id');
    assert.equal(await matched('rfm'), 'not known: the events can’t be read');
    await warehouse.make('DROP TABLE raw.events', 'DROP TABLE IF EXISTS main.events');
    assert.equal(await matched('rfm'), 'not known: there are no events');
  });

  test('a funnel of one step is refused', async () => {
    await event(base);
    await assert.rejects(warehouse.run('funnel', { events: 'main.bad', steps: 'purchase' }), { code: 'ANSWER_OPTION' });
  });

  test('one giant order and negative revenue are said in the evidence', async () => {
    await warehouse.make(
      `CREATE OR REPLACE TABLE main.bad AS SELECT 'purchase' AS event, 'u' || i AS user_pseudo_id, TIMESTAMPTZ '2026-01-02 10:00:00Z' AS time, 'o' || i AS order_id, CASE i WHEN 0 THEN 1000000.0 WHEN 1 THEN -5.0 ELSE 10.0 END AS value, CASE WHEN i = 9 THEN NULL ELSE 'top' END AS placement FROM range(10) AS r(i)`,
    );
    const { facts } = await warehouse.run('placements', { events: 'main.bad', by: 'placement', bootstrap: 0 });
    assert.equal(facts['caveat: one order is more than half of the money'], 'o0');
    assert.match(facts['caveat: orders of negative value']!, /^1 worth -5/);
    await warehouse.make(
      `CREATE OR REPLACE TABLE main.orders AS SELECT order_id, time AS ordered_at, value AS amount, user_pseudo_id AS customer_id FROM main.bad`,
    );
    for (const answer of ['lifecycle', 'rfm', 'cohorts']) {
      const told = await warehouse.run(answer, { orders: 'main.orders' });
      assert.equal(told.facts['caveat: one order is more than half of the money'], 'o0', answer);
      assert.equal(told.facts['caveat: orders below zero, taken as money given back'], '1', answer);
      assert.equal(told.facts['set aside: money back to customers without an order'], '1', answer);
    }
    for (const [answer, options] of [
      ['reconcile', { orders: 'main.orders' }],
      ['aa_replay', { splits: 100 }],
    ] as const) {
      const told = await warehouse.run(answer, { events: 'main.bad', ...options });
      assert.equal(told.facts['caveat: one order is more than half of the money'], 'o0', answer);
    }
    warehouse.definitions.metrics.set('taken', 'table: main.orders\nexpression: sum(amount)\ntime: ordered_at\ndimensions: [order_id]\n');
    const days = { from: '2026-01-02', to: '2026-01-02', before_from: '2026-01-01', before_to: '2026-01-01' };
    for (const [answer, options] of [
      ['metric', {}],
      ['drivers', days],
    ] as const) {
      const { facts: told } = await warehouse.run(answer, { metric: 'taken', ...options });
      assert.deepEqual(
        [told['caveat: rows below zero'], told['caveat: one row is more than half of the figure']],
        ['1', '1000000.0'],
        answer,
      );
    }
    // Without the giant order nothing is as large as all others, and where refunds eat everything up there is no half.
    await warehouse.make(`UPDATE main.orders SET amount = -amount WHERE order_id = 'o0'`);
    for (const answer of ['lifecycle', 'rfm', 'cohorts']) {
      const told = await warehouse.run(answer, { orders: 'main.orders' });
      assert.equal(told.facts['caveat: one order is more than half of the money'], undefined, answer);
    }
  });

  test('orders and refunds timed without a zone are read as of the workspace’s clock; the evidence says so, and what lies on other days', async (t) => {
    const seoul = await openWarehouse('Asia/Seoul');
    t.after(() => seoul.close());
    const times = `TIMESTAMP '2026-03-01 23:30:00' + INTERVAL (i) HOUR`;
    await seoul.make(
      `CREATE TABLE main.orders AS SELECT 'o' || i AS order_id, 'c' || i AS customer_id, ${times} AS ordered_at, CAST(10 AS DECIMAL(18,2)) AS amount,
        CAST(i AS DECIMAL(18,2)) AS refund_amount, ${times} AS refunded_at FROM range(3) AS r(i)`,
      `CREATE TABLE main.events AS SELECT 'purchase' AS event, customer_id AS user_pseudo_id, ordered_at AT TIME ZONE 'Asia/Seoul' AS time, order_id, amount AS value, NULL::VARCHAR AS placement FROM main.orders`,
    );
    const { rows, facts } = await seoul.run('cohorts', { grain: 'day' });
    assert.deepEqual(
      rows.map((row) => [row['cohort'], Number(row['revenue'])]),
      [
        ['2026-03-01', 10],
        ['2026-03-02', 20],
      ],
    );
    assert.equal(facts['caveat: ordered_at of main.orders has no time zone'], 'read as of Asia/Seoul');
    assert.deepEqual([facts['from'], facts['to']], ['2026-03-01 23:30', '2026-03-02 01:30 (Asia/Seoul)']);
    for (const answer of ['rfm', 'cohorts', 'lifecycle']) {
      const { facts: later } = await seoul.run(answer, { from: '2026-03-02' });
      assert.deepEqual(
        ['orders', 'orders used', 'set aside: outside the asked days', 'from'].map((fact) => later[fact]),
        ['3', '2', '1', '2026-03-02 00:30'],
        answer,
      );
    }
    const asked = { events: 'main.events', orders: 'main.orders' };
    const seen = await seoul.run('reconcile', { ...asked, from: '2026-03-02', by: 'day' });
    assert.deepEqual(
      seen.rows.map((row) => [row['outcome'], row['reason'], row['day'], row['orders']]),
      [['matched', 'refund', '2026-03-02', 2]],
    );
    // Of 0, 1 and 2 given back, that of half past eleven on the first is none.
    const ledger = await seoul.run('placements', { ...asked, by: 'placement', as_of: '2026-03-01', bootstrap: 0 });
    assert.deepEqual(
      ledger.rows.map((row) => [row['kind'], Number(row['last_click_net_then']), Number(row['restated'])]),
      [['(unassigned)', 30, -3]],
    );
  });

  test('a clock that runs ahead is said, and a user in two zones is one user whose instants keep their order', async () => {
    await warehouse.make(`CREATE OR REPLACE TABLE main.bad AS SELECT event, 'traveller' AS user_pseudo_id, CAST(t AS TIMESTAMPTZ) AS _time, CAST(r AS TIMESTAMPTZ) AS _received FROM (VALUES
      ('view', '2026-03-01 23:30:00+09', '2026-03-01 23:30:01+09'), ('buy', '2026-03-01 16:00:00+01', '2026-03-01 16:00:01+01'), ('late', '2026-03-05 00:00:00+00', '2026-03-04 00:00:00+00')) AS e(event, t, r)`);
    const { rows, facts } = await warehouse.run('funnel', { events: 'main.bad', steps: 'view,buy', window: '1h' });
    // 23:30 in Seoul is 15:30 in Berlin, half an hour before 16:00 there.
    assert.deepEqual(
      rows.map((row) => row['entered']),
      [1, 1],
    );
    assert.equal(facts['caveat: events timed after their arrival (clock ahead)'], '1');
  });
});

test('draws many users by random groups of them: the interval of a share is as wide as over users', async () => {
  const users = 12_000;
  await warehouse.make(
    `CREATE OR REPLACE TABLE main.events AS SELECT event, 'u' || u AS user_pseudo_id, TIMESTAMPTZ '2026-01-02 10:00:00Z' + to_seconds(CASE event WHEN 'purchase' THEN 60 ELSE 0 END) AS time,
      CASE WHEN event <> 'purchase' THEN CASE WHEN u % 2 = 0 THEN 'top' ELSE 'side' END END AS placement, CASE WHEN event = 'purchase' THEN 'o' || u END AS order_id,
      CASE WHEN event = 'purchase' THEN CAST(1 AS DECIMAL(18,2)) END AS value
     FROM range(${users}) AS r(u) CROSS JOIN (VALUES ('select_promotion'), ('purchase')) AS k(event) WHERE event <> 'purchase' OR u % 3 = 0`,
    `CREATE OR REPLACE TABLE main.orders AS SELECT 'o' || u AS order_id, TIMESTAMPTZ '2026-01-02 10:01:00Z' AS ordered_at, CAST(1 AS DECIMAL(18,2)) AS amount FROM range(0, ${users}, 3) AS r(u)`,
  );
  const { rows } = await warehouse.run('placements', { ...given, bootstrap: 400 });
  const top = rows.find((row) => row['placement'] === 'top')!;
  const orders = users / 3;
  // Journeys of one click: the share is that of the purchases after it, with the spread of a binomial.
  assert.equal(Number(top['modelled']), orders / 2);
  const wide = 2 * 1.96 * Math.sqrt(0.25 / orders) * orders;
  const told = Number(top['modelled_high']) - Number(top['modelled_low']);
  assert.ok(told > 0.8 * wide && told < 1.2 * wide, `${told} beside ${wide}`);
});
