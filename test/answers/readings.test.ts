import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cases } from './experiment-cases.ts';
import { openWarehouse, type Row, type Warehouse } from './fixture.ts';

const near = (got: unknown, wanted: number, what: string, off = 1e-6) =>
  assert.ok(Math.abs(Number(got) - wanted) <= off * Math.max(1, Math.abs(wanted)), `${what}: ${got} for ${wanted}`);

let warehouse: Warehouse;
before(async () => {
  warehouse = await openWarehouse();
});
after(() => warehouse.close());

/** An event as a row of main.events; a visitor's minute 0 is its exposure. */
interface Happened {
  readonly event: string;
  readonly user: string;
  readonly minute: number;
  readonly variant?: string;
  readonly value?: number;
  readonly browser?: string;
  readonly agent?: string;
}

async function put(events: readonly Happened[]): Promise<void> {
  const text = (value: string | undefined) => (value === undefined ? 'NULL' : `'${value}'`);
  const rows = events.map(
    ({ event, user, minute, variant, value, browser, agent }, at) =>
      `('${event}', '${user}', ${minute}, ${text(variant)}, ${event === 'purchase' ? `'o${at}'` : 'NULL'}, ${value ?? 'NULL'}, ${text(browser)}, ${text(agent)})`,
  );
  await warehouse.make(
    `CREATE OR REPLACE TABLE main.events AS SELECT event, u AS user_pseudo_id, TIMESTAMPTZ '2026-01-05 00:00:00Z' + to_minutes(m) AS time, variant, order_id, CAST(value AS DECIMAL(18,2)) AS value, browser, agent AS user_agent
     FROM (VALUES ${rows.join(', ')}) AS e(event, u, m, variant, order_id, value, browser, agent)`,
  );
}

const define = (text: string, variants = '{ A: 0.5, B: 0.5 }') =>
  warehouse.definitions.experiments.set('own', `exposure: seen\nvariants: ${variants}\n${text}`);
const run = (answer: string, options = {}) => warehouse.run(answer, { events: 'main.events', experiment: 'own', ...options });
const at = (rows: readonly Row[], metric: string, variant = 'B') =>
  rows.find((row) => row['metric'] === metric && row['variant'] === variant)!;

describe('an experiment read beside scipy and statsmodels', () => {
  /** The visitors of experiment-cases.ts. */
  const reference = Array.from({ length: 120 }, (_, i): Happened[] => {
    const treated = i % 2 === 1;
    const orders = (i * 7 + Math.floor(i / 5)) % 4;
    const clicks = ((i * 5) % 7) + Number(treated);
    const price = 10 + ((i * 13) % 9) + (treated ? 7 : 0);
    return [
      { event: 'seen', user: `u${i}`, minute: 0, variant: treated ? 'B' : 'A' },
      ...Array.from({ length: orders }, (_, n): Happened => ({ event: 'purchase', user: `u${i}`, minute: 1 + n, value: price })),
      ...Array.from({ length: clicks }, (_, n): Happened => ({ event: 'click', user: `u${i}`, minute: 10 + n })),
    ];
  }).flat();
  const three = `metrics:
  - { name: buyers, role: primary }
  - { name: revenue, kind: revenue, role: ROLE }
  - { name: clicks, kind: count, event: click, role: ROLE }
  - { name: order value, kind: ratio, numerator: revenue, denominator: orders, role: guardrail, minimum_effect: 0.05 }
to: 2026-01-31
covariate_days: 0
`;

  test('means have Welch’s intervals and p-values, ratios those of the delta method, and Holm adjusts the family of decisions', async () => {
    await put(reference);
    define(three.replaceAll('ROLE', 'decision'));
    const { rows } = await run('experiment');
    for (const name of ['buyers', 'revenue', 'clicks'] as const) {
      const row = at(rows, name);
      for (const key of ['difference', 'low', 'high', 'p'] as const) near(row[key], cases.means[name][key], `${name} ${key}`);
      near(row['p_adjusted'], cases.holm[name], `${name} adjusted`);
      // Bonferroni over three comparisons: z(1 − 0.05/6) = 2.3939798; scipy.stats.norm.ppf.
      near((row['high_all'] - row['difference']) / (row['high'] - row['difference']), 2.3939797998185104 / 1.959963984540054, 'together');
    }
    const value = at(rows, 'order value');
    near(at(rows, 'order value', 'A')['mean'], cases.ratio.a, 'ratio A');
    near(value['mean'], cases.ratio.b, 'ratio B');
    for (const key of ['low', 'high', 'p'] as const) near(value[key], cases.ratio[key], `ratio ${key}`);
  });

  test('exploration is adjusted by Benjamini and Hochberg, and nothing is where multiplicity is off', async () => {
    await put(reference);
    define(three
      .replace('name: buyers, role: primary', 'name: buyers, role: exploration')
      .replaceAll('ROLE', 'exploration')
      .replace('role: guardrail', 'role: primary'));
    const { rows } = await run('experiment');
    for (const name of ['buyers', 'revenue', 'clicks'] as const) near(at(rows, name)['p_adjusted'], cases.bh[name], name);
    define(`${three.replaceAll('ROLE', 'decision')}multiplicity: false\n`);
    const plain = (await run('experiment')).rows;
    for (const name of ['buyers', 'revenue', 'clicks'] as const) {
      assert.equal(at(plain, name)['p_adjusted'], at(plain, name)['p']);
      assert.equal(at(plain, name)['high_all'], at(plain, name)['high']);
    }
  });

  test('Bayes’ reading of conversion is that of the two Beta posteriors, within the error that it states', async () => {
    const buyers = (variant: string, users: number, bought: number) =>
      Array.from({ length: users }, (_, i): Happened[] => [
        { event: 'seen', user: `${variant}${i}`, minute: 0, variant },
        ...(i < bought ? [{ event: 'purchase', user: `${variant}${i}`, minute: 1, value: 10 + (i % 7) }] : []),
      ]).flat();
    await put([...buyers('A', 60, 9), ...buyers('B', 60, 19)]);
    define('metrics:\n  - { name: buyers, role: primary }\n  - { name: revenue, kind: revenue }\n  - { name: money, kind: net_revenue, direction: decrease }\n  - { name: homes, kind: count, event: home }\n');
    const { rows } = await run('experiment_bayes', { draws: 50_000 });
    const [a, b] = [at(rows, 'buyers', 'A'), at(rows, 'buyers')];
    const error = 4 * Math.sqrt((0.98 * 0.02) / 50_000);
    near(b['probability_to_beat'], cases.bayes.beat, 'beat', error);
    near(a['probability_best'], 1 - cases.bayes.beat, 'best', error);
    near(a['mean'], cases.bayes.mean_a, 'mean', 0.001);
    near(b['mean'], cases.bayes.mean_b, 'mean', 0.001);
    near(b['low'], cases.bayes.low_b, 'low', 0.004);
    near(b['high'], cases.bayes.high_b, 'high', 0.004);
    near(a['expected_loss'], cases.bayes.loss_a, 'loss', 0.002);
    near(b['expected_loss'], cases.bayes.loss_b, 'loss', 0.0002);
    // Nobody came home: a count that is the same for all has no spread.
    assert.deepEqual([at(rows, 'homes')['mean'], at(rows, 'homes')['low'], at(rows, 'homes')['high']], [0, 0, 0]);
    // The mean of the posterior of money is about the sample's: 19 of 60 buy for 12.79 each. What is good for one is bad where less is better.
    const spent = Array.from({ length: 19 }, (_, i) => 10 + (i % 7)).reduce((sum, value) => sum + value, 0);
    near(at(rows, 'revenue')['mean'], spent / 60, 'money', 0.08);
    near(at(rows, 'money')['probability_to_beat'], 1 - at(rows, 'revenue')['probability_to_beat'], 'decrease', 0.02);
  });

  test('Bayes’ reading of counts and ratios is that of two Student posteriors, also with six visitors each', async () => {
    await put(reference);
    define(three.replaceAll('ROLE', 'decision'));
    const draws = 20_000;
    const check = (rows: readonly Row[], metric: string, told: (typeof cases.bayesMeans)[keyof typeof cases.bayesMeans]) => {
      const [a, b] = [at(rows, metric, 'A'), at(rows, metric)];
      const deviation = (told.high_b - told.low_b) / 4;
      near(b['probability_to_beat'], told.beat, `${metric} beat`, 4 * Math.sqrt((told.beat * (1 - told.beat)) / draws) + 1e-9);
      const close = (got: unknown, wanted: number, what: string, errors: number) =>
        assert.ok(Math.abs(Number(got) - wanted) < (errors * deviation) / Math.sqrt(draws), `${metric} ${what}: ${got} for ${wanted}`);
      close(a['mean'], told.mean_a, 'mean A', 6);
      close(b['mean'], told.mean_b, 'mean B', 6);
      // A quantile at 2.5 % scatters by sqrt(0.025 · 0.975) / density ≈ 2.7 deviations / √draws; heavier tails more.
      close(b['low'], told.low_b, 'low', 20);
      close(b['high'], told.high_b, 'high', 20);
      close(a['expected_loss'], told.loss_a, 'loss A', 8);
      close(b['expected_loss'], told.loss_b, 'loss B', 8);
    };
    const whole = await run('experiment_bayes', { draws });
    check(whole.rows, 'clicks', cases.bayesMeans.clicks);
    check(whole.rows, 'order value', cases.bayesMeans.ratio);
    assert.ok(!Object.keys(whole.facts).some((fact) => fact.startsWith('caveat: fewer than 30')));
    await put(reference.filter(({ user }) => Number(user.slice(1)) < 12));
    const few = await run('experiment_bayes', { draws });
    check(few.rows, 'clicks', cases.bayesMeans.few);
    assert.equal(few.facts['caveat: fewer than 30 visitors of a variant, as if the mean were normal'], 'clicks, order value');
  });
});

test('both readings say who paid less than nothing and whether one visitor is as much as all others; Bayes counts the former as none', async (t) => {
  const bought = (user: string, variant: string, value: number): Happened[] => [
    { event: 'seen', user, minute: 0, variant },
    { event: 'purchase', user, minute: 1, value },
  ];
  await put([
    ...bought('giant', 'A', 1e6),
    ...bought('owed', 'B', -5),
    ...bought('back', 'B', 10),
    ...bought('plain', 'A', 10),
    ...bought('other', 'B', 10),
  ]);
  t.after(() => warehouse.make('DROP TABLE main.given'));
  // What is given back stands in the table of orders: more than was paid of the purchase "back".
  await warehouse.make(
    `CREATE TABLE main.given AS SELECT order_id, time AS ordered_at, value AS amount, CASE user_pseudo_id WHEN 'back' THEN 12.00 ELSE 0 END AS refund_amount FROM main.events WHERE event = 'purchase'`,
  );
  define('metrics:\n  - { name: revenue, kind: revenue, role: primary }\n  - { name: net, kind: net_revenue }\n');
  for (const [answer, taken] of [
    ['experiment', ''],
    ['experiment_bayes', ', counted as none'],
  ] as const) {
    const { facts } = await run(answer, { orders: 'main.given' });
    assert.deepEqual(
      ['visitors of negative revenue', 'visitors who got more back than they paid', 'one visitor is more than half of the revenue'].map(
        (what) => facts[`caveat: ${what}`],
      ),
      [`1${taken}`, `1${taken}`, 'giant'],
      answer,
    );
  }
});

describe('a verdict', () => {
  const visitors = (spent: (at: number, treated: boolean) => number) =>
    Array.from({ length: 400 }, (_, i): Happened[] => {
      const value = spent(i, i % 2 === 1);
      return [
        { event: 'seen', user: `u${i}`, minute: 0, variant: i % 2 === 1 ? 'B' : 'A' },
        ...(value === 0 ? [] : [{ event: 'purchase', user: `u${i}`, minute: 1, value }]),
      ];
    }).flat();
  const verdict = async (metric: string, spent: (at: number, treated: boolean) => number) => {
    await put(visitors(spent));
    define(`to: 2026-01-31\ncovariate_days: 0\nmetrics:\n  - { name: main, role: primary }\n  - { name: money, kind: revenue, role: guardrail${metric} }\n`);
    return at((await run('experiment')).rows, 'money')['verdict'];
  };
  const flat = (i: number) => 10 + ((i >> 1) % 5);

  test('says what direction, smallest effect and the harm put up with make of the interval', async () => {
    assert.equal(await verdict('', (i, treated) => flat(i) + (treated ? 2 : 0)), 'better');
    assert.equal(await verdict(', direction: decrease', (i, treated) => flat(i) + (treated ? 2 : 0)), 'worse');
    assert.equal(await verdict('', (i) => flat(i)), 'undecided');
    assert.equal(await verdict(', minimum_effect: 0.1', (i) => flat(i)), 'no harm beyond what is put up with');
    assert.equal(
      await verdict(', minimum_effect: 0.5', (i, treated) => flat(i) - (treated ? 1 : 0)),
      'worse, but within the harm put up with',
    );
  });
});

describe('a sample-ratio alarm', () => {
  const seen = (count: number, variant: string, more: Partial<Happened>, from = 0, minute = 0) =>
    Array.from({ length: count }, (_, i): Happened[] => [
      { event: 'seen', user: `${more.browser ?? ''}${more.agent ?? ''}${variant}${from + i}`, minute, variant, ...more },
      { event: 'home', user: `${more.browser ?? ''}${more.agent ?? ''}${variant}${from + i}`, minute: minute + 1, ...more },
    ]).flat();
  const metrics = 'metrics:\n  - { name: buyers, role: primary }\n';

  test('is traced to the browser without which the split is right, and crawlers are shown though they are set aside', async () => {
    await put([
      ...seen(500, 'A', { browser: 'Chrome' }),
      ...seen(510, 'B', { browser: 'Chrome' }),
      ...seen(150, 'A', { browser: 'Safari' }),
      ...seen(40, 'B', { browser: 'Safari' }),
      ...seen(30, 'B', { browser: 'Chrome', agent: 'Googlebot' }, 1000),
    ]);
    define(metrics);
    const { rows, facts } = await run('sample_ratio');
    // 650 and 550 where 600 were meant: 2 · 50² / 600 = 8.33, below the alarm; so let Safari be worse.
    assert.match(facts['sample ratio']!, /below/);
    await put([
      ...seen(500, 'A', { browser: 'Chrome' }),
      ...seen(510, 'B', { browser: 'Chrome' }),
      ...seen(250, 'A', { browser: 'Safari' }),
      ...seen(40, 'B', { browser: 'Safari' }),
      ...seen(30, 'B', { browser: 'Chrome', agent: 'Googlebot' }, 1000),
    ]);
    const found = await run('sample_ratio');
    assert.match(found.facts['sample ratio']!, /ALARM/);
    assert.deepEqual([found.rows[0]!['dimension'], found.rows[0]!['observed'], found.rows[0]!['alarm']], ['(all)', 'A 750, B 550', true]);
    // 210² / 145 / 2 … by hand: (250 − 145)² / 145 + (40 − 145)² / 145 = 152.07; without it 500 against 510: 2 · 5² / 505 = 0.1.
    const safari = found.rows[1]!;
    assert.deepEqual(
      [safari['dimension'], safari['value'], safari['visitors'], safari['chi_square'], safari['without_it'], safari['explains']],
      ['browser', 'Safari', 290, 152.07, 0.1, true],
    );
    const bot = found.rows.find((row) => row['value'] === 'bot')!;
    assert.deepEqual([bot['observed'], bot['explains']], ['A 0, B 30', false]);
    assert.ok(
      rows.every((row) => row['explains'] === false),
      'nothing to explain without an alarm',
    );
  });

  test('names the day on which the split changed', async () => {
    const day = 24 * 60;
    await put(
      [0, 1, 2, 3, 4, 5].flatMap((n) => [
        ...seen(n < 3 ? 100 : 160, 'A', {}, n * 200, n * day),
        ...seen(n < 3 ? 100 : 40, 'B', {}, n * 200, n * day),
      ]),
    );
    define(metrics);
    const { facts } = await run('experiment');
    assert.match(facts['caveat: the split changed on']!, /^2026-01-08 /);
    await put([0, 1, 2, 3, 4, 5].flatMap((n) => [...seen(100, 'A', {}, n * 200, n * day), ...seen(100, 'B', {}, n * 200, n * day)]));
    assert.equal((await run('experiment')).facts['caveat: the split changed on'], undefined);
  });
});

describe('the plan of an experiment', () => {
  test('needs as many visitors as statsmodels says, and as many days as they take to come', async () => {
    // 20 new visitors a day for 14 days; every other one buys: mean 0.5, variance 0.25 · 280/279, so that a lift of 20 % is an effect of 0.2 deviations.
    const events = Array.from({ length: 280 }, (_, i): Happened[] => [
      { event: 'page_view', user: `u${i}`, minute: Math.floor(i / 20) * 1440 },
      ...(i % 2 === 0 ? [{ event: 'purchase', user: `u${i}`, minute: Math.floor(i / 20) * 1440 + 1, value: 5 }] : []),
    ]).flat();
    await put([...events, { event: 'seen', user: 'u0', minute: 3, variant: 'A' }]);
    const metrics = 'covariate_days: 0\nmetrics:\n  - { name: buyers, role: primary, minimum_effect: 0.2 }\n';
    define(metrics);
    const { rows } = await run('experiment_plan', { weeks: 10 });
    const variance = (0.25 * 280) / 279;
    const visitors = (2 * cases.power.n_control * variance) / 0.25;
    near(rows[0]!['visitors_needed'], Math.ceil(visitors), 'visitors', 1e-9);
    assert.equal(rows[0]!['days_needed'], Math.ceil(rows[0]!['visitors_needed'] / 20));
    assert.deepEqual(
      rows.map((row) => row['visitors']),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((week) => week * 140),
    );
    assert.deepEqual(
      rows.map((row) => row['enough']),
      rows.map((row) => row['visitors'] >= visitors),
    );
    const first = rows.find((row) => row['enough'])!;
    assert.ok(first['smallest_lift'] <= 0.2 && rows[first['weeks'] - 2]!['smallest_lift'] > 0.2);
    assert.ok(rows.every((row) => row['always_valid_lift'] > row['smallest_lift']));

    define(metrics.replace('covariate', 'power: 0.9\ntraffic: 0.5\ncovariate'), '{ A: 0.5, B: 0.3, C: 0.2 }');
    const uneven = (await run('experiment_plan', { weeks: 1 })).rows[0]!;
    // Two comparisons; the smallest variant decides: control 0.5 of all.
    near(uneven['visitors_needed'], Math.ceil(((cases.power.n_control_unequal / 0.5) * variance) / 0.25), 'visitors', 1e-9);
    assert.deepEqual([uneven['visitors'], uneven['days_needed']], [70, Math.ceil(uneven['visitors_needed'] / 0.5 / 20)]);
  });
});
