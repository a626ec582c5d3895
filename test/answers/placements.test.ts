import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { randomFrom } from '../random.ts';
import { absent, fillGoogle, fillShop, openWarehouse, type Ran, type Warehouse } from './fixture.ts';

const models = ['last_click', 'first_click', 'linear', 'position', 'time_decay', 'item_bought'] as const;
/** DECIMAL text as whole hundredths. */
const cents = (value: unknown) => Math.round(Number(value) * 100);
const total = ({ rows }: Ran, column: string) => rows.reduce((sum, row) => sum + cents(row[column] ?? 0), 0);

describe('the Google Merchandise Store’s day', { skip: absent('ga-merch-sessions/ga_sample.parquet') }, () => {
  let warehouse: Warehouse;
  before(async () => {
    warehouse = await openWarehouse('America/Los_Angeles');
    await fillGoogle(warehouse);
  });
  after(() => warehouse.close());

  test('counts the lists’ impressions and clicks as the export has them', async () => {
    const { rows } = await warehouse.run('placements', { by: 'placement', bootstrap: 0 });
    const lists = rows.filter((row) => row['kind'] === 'list').map((row) => [row['placement'], row['impressions'], row['clicks']]);
    assert.deepEqual(lists, [
      ['Category', 39_849, 1_590],
      ['Related Products', 2_029, 0],
      ['Search Results', 918, 86],
    ]);
  });

  for (const options of [{ by: 'placement', bootstrap: 20 }, { window: 'days', days: 7 }, {}]) {
    test(`shares out the 43 orders’ 8,736.14 to the cent, the rest being shown: ${JSON.stringify(options)}`, async () => {
      const ran = await warehouse.run('placements', options);
      for (const model of models) assert.equal(total(ran, model), 873_614, model);
      assert.equal(
        ran.rows.reduce((sum, row) => sum + row['orders'], 0),
        43,
      );
      assert.equal(ran.rows.filter((row) => row['kind'] === '(unassigned)').length, 1);
      if ('by' in options) assert.equal(total(ran, 'modelled'), 873_614);
      assert.match(ran.facts['orders shared out']!, /^43 worth 8736\.14/);
    });
  }

  /** The hits of each key in their order, with the export's own words for what happened. */
  async function hitsBy(key: 'full_visitor_id' | 'session_id'): Promise<{ event: string; page: string | null; at: number }[][]> {
    const words: Record<string, string> = { view: 'view_item', click: 'select_item', checkout: 'begin_checkout' };
    const hits = await warehouse.store.rows(
      `SELECT ${key} AS own, action, order_id, type, event_action, page, epoch_ms(_time) AS at FROM raw.ga_hits ORDER BY _time, hit_number`,
    );
    const told = hits.map(({ own, action, order_id, type, event_action, page, at }) => {
      const plain = type === 'PAGE' ? 'page_view' : (event_action ?? String(type).toLowerCase());
      const event = order_id !== null ? 'purchase' : action !== null ? (words[String(action)] ?? action) : plain;
      return { own, event: String(event), page: page as string | null, at: Number(at) };
    });
    return [...Map.groupBy(told, ({ own }) => own).values()];
  }

  test('a funnel has as many visitors in each step as a walk through the hits has', async () => {
    const steps = ['view_item', 'add_to_cart', 'begin_checkout', 'purchase'];
    const window = 3_600_000;
    const depths = (await hitsBy('full_visitor_id')).map((own) => {
      let deepest = 0;
      own.forEach((first, from) => {
        if (first.event !== steps[0]) return;
        let depth = 1;
        for (const { event, at } of own.slice(from + 1)) if (at - first.at <= window && event === steps[depth]) depth++;
        deepest = Math.max(deepest, depth);
      });
      return deepest;
    });
    const { rows } = await warehouse.run('funnel', { steps: steps.join(','), window: '1h' });
    const entered = steps.map((_, step) => depths.filter((depth) => depth > step).length);
    assert.ok(
      entered.every((count, step) => count > 0 && (step === 0 || count < entered[step - 1]!)),
      String(entered),
    );
    assert.deepEqual(
      rows.map((row) => row['entered']),
      entered,
    );
  });

  test('paths have as many sessions on each way as a walk through the pages has', async () => {
    const counts = new Map<string, number>();
    for (const own of await hitsBy('session_id')) {
      const pages = own.filter(({ event }) => event === 'page_view').map(({ page }) => page);
      const moved = pages.filter((page, at) => at === 0 || page !== pages[at - 1]);
      moved.slice(0, 3).forEach((page, at) => {
        const way = JSON.stringify([at + 1, page, at + 1 < moved.length ? moved[at + 1] : '(end)']);
        counts.set(way, (counts.get(way) ?? 0) + 1);
      });
    }
    const { rows } = await warehouse.run('paths', { depth: 3, top: 100_000 });
    const told = new Map(rows.map((row) => [JSON.stringify([row['step'], row['source'], row['target']]), row['sessions']]));
    assert.ok(counts.size > 500, String(counts.size));
    assert.deepEqual(new Map([...told].sort()), new Map([...counts].sort()));
  });

  test('gives an interval around the modelled revenue', async () => {
    const { rows } = await warehouse.run('placements', { by: 'placement', bootstrap: 50 });
    const category = rows.find((row) => row['placement'] === 'Category')!;
    assert.ok(category['modelled_low'] < Number(category['modelled']) && Number(category['modelled']) < category['modelled_high']);
  });
});

test('placements of the simulated shop: impressions and clicks are the truth, refunds are restated', async (t) => {
  const warehouse = await openWarehouse('Asia/Seoul');
  t.after(() => warehouse.close());
  const truth = await fillShop(warehouse, { seed: 3, users: 400, days: 10, start: '2026-03-02', timeZone: 'Asia/Seoul', currency: 'KRW' });
  const ran = await warehouse.run('placements', { by: 'placement,content', digits: 0 });
  const seen = (kind: string) =>
    ran.rows
      .filter((row) => row['kind'] === kind)
      .map((row) => [row['placement'], row['content'], row['impressions'], row['clicks']].join('|'))
      .sort();
  assert.deepEqual(
    seen('promotion'),
    truth.promotions.map(({ placement, content, impressions, clicks }) => [placement, content, impressions, clicks].join('|')).sort(),
  );
  // A product that was offered but never seen has no row.
  const lists = truth.lists.filter(({ impressions, clicks }) => impressions + clicks > 0);
  assert.deepEqual(seen('list'), lists.map(({ list, item, impressions, clicks }) => [list, item, impressions, clicks].join('|')).sort());
  for (const model of models) assert.equal(total(ran, model), cents(truth.revenue), model);
  assert.equal(total(ran, 'last_click_net'), total(ran, 'last_click') - total(ran, 'refunds'));
  assert.ok(total(ran, 'refunds') > 0);
});

interface Click {
  readonly user: string;
  readonly hour: number;
  readonly placement: string;
}
interface Order {
  readonly user: string;
  readonly hour: number;
  readonly cents: number;
}

const hours = (hour: number) => `TIMESTAMPTZ '2026-01-01 00:00:00Z' + to_minutes(${hour * 60})`;
async function put(warehouse: Warehouse, clicks: readonly Click[], orders: readonly Order[]): Promise<void> {
  const rows = [
    ...clicks.map(({ user, hour, placement }, at) => `('select_promotion', '${user}', ${hours(hour)}, ${at}, '${placement}', NULL, NULL)`),
    ...orders.map(
      ({ user, hour, cents }, at) =>
        `('purchase', '${user}', ${hours(hour)} + INTERVAL 1 SECOND, ${1000 + at}, NULL, 'o${at}', ${cents} * 0.01)`,
    ),
  ];
  await warehouse.make(
    `CREATE OR REPLACE TABLE main.events AS SELECT event, u AS user_pseudo_id, time, _position, placement, NULL::VARCHAR AS content, order_id, CAST(value AS DECIMAL(18,2)) AS value
     FROM (VALUES ${rows.join(', ')}) AS e(event, u, time, _position, placement, order_id, value)`,
  );
}

/** Shares of whole cents by the largest remainder, in exact integers. */
function shared(money: bigint, weights: readonly bigint[]): bigint[] {
  const sum = weights.reduce((a, b) => a + b, 0n);
  const parts = weights.map((weight) => ({ base: (money * weight) / sum, left: (money * weight) % sum }));
  let rest = money - parts.reduce((all, { base }) => all + base, 0n);
  const order = parts
    .map((_, at) => at)
    .sort((a, b) => (parts[a]!.left === parts[b]!.left ? a - b : parts[a]!.left > parts[b]!.left ? -1 : 1));
  const result = parts.map(({ base }) => base);
  for (const at of order) if (rest-- > 0n) result[at]! += 1n;
  return result;
}

/** Weights in fifths and tenths straight from the models' definitions. */
const weightsOf: Readonly<Record<string, (ages: readonly number[]) => bigint[]>> = {
  last_click: (ages) => ages.map((_, at) => (at === ages.length - 1 ? 1n : 0n)),
  first_click: (ages) => ages.map((_, at) => (at === 0 ? 1n : 0n)),
  linear: (ages) => ages.map(() => 1n),
  position: (ages) => {
    const middle = BigInt(ages.length - 2);
    if (middle <= 0n) return ages.map(() => 1n);
    return ages.map((_, at) => (at === 0 || at === ages.length - 1 ? 40n * middle : 20n));
  },
};

describe('attribution', () => {
  let warehouse: Warehouse;
  before(async () => {
    warehouse = await openWarehouse();
  });
  after(() => warehouse.close());

  const click = fc.record({ user: fc.constantFrom('u1', 'u2'), hour: fc.nat(100), placement: fc.constantFrom('p', 'q', 'r') });
  const order = fc.record({ user: fc.constantFrom('u1', 'u2', 'u3'), hour: fc.nat(120), cents: fc.integer({ min: 0, max: 99_999 }) });

  test('shares each order among the clicks of the window before it exactly as the models say', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(click, { minLength: 1, maxLength: 10 }),
        fc.array(order, { minLength: 1, maxLength: 4 }),
        async (clicks, orders) => {
          await put(warehouse, clicks, orders);
          const { rows } = await warehouse.run('placements', {
            events: 'main.events',
            by: 'placement',
            window: 'days',
            days: 2,
            bootstrap: 0,
          });
          for (const [model, weights] of Object.entries(weightsOf)) {
            const expected = new Map<string, bigint>();
            const add = (key: string, part: bigint) => expected.set(key, (expected.get(key) ?? 0n) + part);
            for (const { user, hour, cents } of orders) {
              const before = clicks
                .map((each, at) => ({ ...each, at }))
                // The order stands a second after its hour: a click 48 hours before the hour is just outside.
                .filter((each) => each.user === user && each.hour <= hour && each.hour > hour - 48)
                .sort((a, b) => a.hour - b.hour || a.at - b.at);
              if (before.length === 0) add('rest', BigInt(cents));
              else
                shared(BigInt(cents), weights(before.map((each) => hour - each.hour))).forEach(
                  (part, at) => void add(before[at]!.placement, part),
                );
            }
            for (const row of rows) {
              const key = row['kind'] === '(unassigned)' ? 'rest' : row['placement'];
              assert.equal(cents(row[model]), Number(expected.get(key) ?? 0n), `${model} ${key}`);
            }
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  test('with money=orders shares out what the shop was paid: as over events that had said so', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(click, { minLength: 1, maxLength: 10 }),
        fc.array(order, { minLength: 1, maxLength: 6 }),
        async (clicks, orders) => {
          await put(warehouse, clicks, orders);
          const every = (n: number) => `hash(order_id) % 6 = ${n}`;
          await warehouse.make(`CREATE OR REPLACE TABLE main.sold AS SELECT order_id, time AS ordered_at, CAST(value + 3 AS DECIMAL(18,2)) AS amount,
            CASE WHEN ${every(0)} THEN 'Failed' ELSE 'Paid' END AS status, CAST(2 AS DECIMAL(18,2)) AS cost FROM main.events WHERE order_id IS NOT NULL AND NOT ${every(1)}`);
          await warehouse.make(`CREATE OR REPLACE TABLE main.told AS SELECT * REPLACE (CAST(value + CASE WHEN order_id IS NULL THEN 0 ELSE 3 END AS DECIMAL(18,2)) AS value)
            FROM main.events WHERE order_id IS NULL OR NOT (${every(0)} OR ${every(1)})`);
          const run = async (more: Record<string, string>) =>
            (await warehouse.run('placements', { orders: 'main.sold', by: 'placement', window: 'days', days: 2, bootstrap: 0, ...more }))
              .rows;
          assert.deepEqual(await run({ events: 'main.events', money: 'orders' }), await run({ events: 'main.told' }));
        },
      ),
      { numRuns: 10 },
    );
  });

  test('halves the weight of a click after seven days', async () => {
    await put(
      warehouse,
      [
        { user: 'u1', hour: 0, placement: 'p' },
        { user: 'u1', hour: 168, placement: 'q' },
      ],
      [{ user: 'u1', hour: 168, cents: 300 }],
    );
    const { rows } = await warehouse.run('placements', { events: 'main.events', by: 'placement', window: 'days', bootstrap: 0 });
    assert.deepEqual(
      rows.filter((row) => row['kind'] === 'promotion').map((row) => [row['placement'], cents(row['time_decay'])]),
      [
        ['p', 100],
        ['q', 200],
      ],
    );
  });

  test('keeps money that is negative, and says that it is there', async () => {
    await put(
      warehouse,
      [
        { user: 'u1', hour: 0, placement: 'p' },
        { user: 'u1', hour: 1, placement: 'q' },
      ],
      [{ user: 'u1', hour: 2, cents: -101 }],
    );
    const { rows, facts } = await warehouse.run('placements', { events: 'main.events', by: 'placement', window: 'days', bootstrap: 0 });
    assert.equal(
      rows.reduce((sum, row) => sum + cents(row['linear']), 0),
      -101,
    );
    assert.match(facts['caveat: orders of negative value']!, /^1 worth -1\.01/);
  });

  test('models the removal effect as solving the chain’s linear system does', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(click, { minLength: 2, maxLength: 12 }),
        fc.array(order, { minLength: 1, maxLength: 3 }),
        fc.constantFrom(1, 2, 30),
        async (clicks, orders, days) => {
          await put(warehouse, clicks, orders);
          const { rows } = await warehouse.run('placements', {
            events: 'main.events',
            by: 'placement',
            window: 'days',
            days,
            bootstrap: 0,
          });
          const assigned = rows.filter((row) => row['kind'] === 'promotion');
          const revenue = assigned.reduce((sum, row) => sum + cents(row['last_click']), 0);
          const effects = removalEffects(clicks, orders, days);
          const sum = [...effects.values()].reduce((a, b) => a + b, 0);
          for (const row of assigned) {
            const expected = sum === 0 ? 0 : (revenue * effects.get(row['placement'])!) / sum;
            assert.ok(
              Math.abs(cents(row['modelled'] ?? 0) - expected) <= 1,
              `${row['placement']}: ${row['modelled']} for ${expected / 100}`,
            );
          }
        },
      ),
      { numRuns: 15 },
    );
  });
});

test('the modelled interval is that of a bootstrap over users', async (t) => {
  const warehouse = await openWarehouse();
  t.after(() => warehouse.close());
  const draw = randomFrom(7);
  const users = Array.from({ length: 150 }, (_, at) => `u${at}`);
  const clicks = users.flatMap((user) =>
    Array.from({ length: 1 + Math.floor(draw() * 3) }, (_, hour): Click => ({ user, hour, placement: 'pqr'[Math.floor(draw() * 3)]! })),
  );
  const orders = users
    .filter((user) => draw() < (clicks.some((each) => each.user === user && each.placement === 'p') ? 0.5 : 0.2))
    .map((user): Order => ({ user, hour: 10, cents: 1000 }));
  await put(warehouse, clicks, orders);
  const { rows } = await warehouse.run('placements', { events: 'main.events', by: 'placement', window: 'days', bootstrap: 300 });
  const shares = new Map<string, number[]>(['p', 'q', 'r'].map((placement) => [placement, []]));
  for (let resample = 0; resample < 300; resample++) {
    const drawn = users.flatMap((user) => Array.from({ length: poisson(draw()) }, (_, copy) => ({ user, as: `${user}/${copy}` })));
    const of = <T extends { user: string }>(all: readonly T[]) =>
      drawn.flatMap(({ user, as }) => all.filter((each) => each.user === user).map((each) => ({ ...each, user: as })));
    const effects = removalEffects(of(clicks), of(orders));
    const sum = [...effects.values()].reduce((a, b) => a + b, 0);
    for (const [placement, effect] of effects) shares.get(placement)!.push(effect / sum);
  }
  const money = orders.length * 10;
  for (const row of rows.filter((each) => each['kind'] === 'promotion')) {
    const sorted = shares.get(row['placement'])!.sort((a, b) => a - b);
    const [low, high] = [sorted[Math.round(0.025 * 299)]! * money, sorted[Math.round(0.975 * 299)]! * money];
    // Quantiles of 300 resamples scatter: a quarter of the width is several of their standard errors.
    const near = (got: number, wanted: number) =>
      assert.ok(Math.abs(got - wanted) < 0.25 * (high - low), `${row['placement']}: ${got} for ${wanted}, width ${high - low}`);
    near(row['modelled_low'], low);
    near(row['modelled_high'], high);
  }
});

/** The inverse of the distribution of Poisson(1). */
function poisson(u: number): number {
  let [k, term, sum] = [0, Math.exp(-1), Math.exp(-1)];
  while (u > sum && k < 20) {
    term /= ++k;
    sum += term;
  }
  return k;
}

/**
 * P(conversion) from the start by Gaussian elimination on (I − Q)x = r, once whole and once without each state. Clicks more than `days`
 * before the next order are a journey of their own, which ends without one.
 */
function removalEffects(clicks: readonly Click[], orders: readonly Order[], days = 30): Map<string, number> {
  const counts = new Map<string, Map<string, number>>();
  const add = (from: string, to: string) => {
    const row = counts.get(from) ?? new Map<string, number>();
    counts.set(from, row.set(to, (row.get(to) ?? 0) + 1));
  };
  for (const user of new Set(clicks.map((each) => each.user))) {
    const stream = [
      ...clicks.map((each, at) => ({ ...each, second: 0, at })).filter((each) => each.user === user),
      ...orders.map((each, at) => ({ ...each, placement: '(conversion)', second: 1, at })).filter((each) => each.user === user),
    ].sort((a, b) => a.hour - b.hour || a.second - b.second || a.at - b.at);
    let state = '(start)';
    let old = false;
    for (const { placement, hour } of stream) {
      const next = stream.find((each) => each.placement === '(conversion)' && each.hour >= hour);
      // The order stands a second after its hour.
      const stale = placement !== '(conversion)' && next !== undefined && next.hour - hour >= 24 * days;
      if (old && !stale && state !== '(start)') {
        add(state, '(null)');
        state = '(start)';
      }
      old = stale;
      if (placement === '(conversion)') {
        if (state !== '(start)') add(state, placement);
        state = '(start)';
      } else if (placement !== state) {
        add(state, placement);
        state = placement;
      }
    }
    if (state !== '(start)') add(state, '(null)');
  }
  const states = [...new Set(['(start)', ...clicks.map((each) => each.placement)])];
  const reach = (removed: string | null) => {
    const kept = states.filter((state) => state !== removed);
    const matrix = kept.map((from, i) => {
      const row = counts.get(from) ?? new Map<string, number>();
      const all = [...row.values()].reduce((a, b) => a + b, 0);
      return [...kept.map((to, j) => (i === j ? 1 : 0) - (row.get(to) ?? 0) / (all || 1)), (row.get('(conversion)') ?? 0) / (all || 1)];
    });
    for (let pivot = 0; pivot < kept.length; pivot++) {
      const best = matrix
        .slice(pivot)
        .reduce((at, row, k) => (Math.abs(row[pivot]!) > Math.abs(matrix[at]![pivot]!) ? pivot + k : at), pivot);
      [matrix[pivot], matrix[best]] = [matrix[best]!, matrix[pivot]!];
      for (const [k, row] of matrix.entries()) {
        if (k === pivot) continue;
        const factor = row[pivot]! / matrix[pivot]![pivot]!;
        for (let column = pivot; column <= kept.length; column++) row[column]! -= factor * matrix[pivot]![column]!;
      }
    }
    return matrix[0]![kept.length]! / matrix[0]![0]!;
  };
  const whole = reach(null);
  return new Map(states.slice(1).map((state) => [state, whole > 1e-12 ? Math.max(0, 1 - reach(state) / whole) : 0]));
}
