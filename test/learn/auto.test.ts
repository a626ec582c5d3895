import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { type ColumnData, predict, type Report, train } from '#learn';
import { logLoss, rootMeanSquare } from '../../src/learn/metrics.ts';
import { blendShares, likelihoodShares, mixed, type OutOfFold, squaredShares } from '../../src/learn/stack.ts';
import { generator, numbers, readTable, texts, withoutData } from './data.ts';

const dataPath = (path: string): string => join(process.env['MILLRACE_DATA'] ?? join(import.meta.dirname, '../../../shared/data'), path);
const real = { skip: withoutData };
const flagged = (report: Report, kind: string): (string | null)[] => report.warnings.filter((w) => w.kind === kind).map((w) => w.column);

/** Rows of a query as columns: numbers, flags and times as numbers, all else as text. */
async function columnsOf(sql: string): Promise<ColumnData[]> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  try {
    const answer = await connection.runAndReadAll(sql);
    const rows = answer.getRowsJson();
    return answer.columnNames().map((name, at) => {
      const values = rows.map((row) => row[at] ?? null);
      const isNumber = /INT|DOUBLE|FLOAT|DECIMAL|BOOLEAN/.test(String(answer.columnType(at)));
      return isNumber
        ? numbers(
            name,
            values.map((v) => (v === null ? Number.NaN : Number(v))),
          )
        : texts(
            name,
            values.map((v) => (v === null ? null : String(v))),
          );
    });
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const modelsOfTwo = fc
  .array(fc.record({ y: fc.integer({ min: 0, max: 1 }), p: fc.tuple(...[0, 1, 2].map(() => fc.integer({ min: 1, max: 99 }))) }), {
    minLength: 3,
    maxLength: 30,
  })
  .map(
    (rows): OutOfFold => ({
      truth: Float64Array.from(rows, (r) => r.y),
      weights: new Float64Array(rows.length).fill(1),
      width: 2,
      answers: [0, 1, 2].map((m) => Float64Array.from(rows.flatMap((r) => [1 - r.p[m]! / 100, r.p[m]! / 100]))),
    }),
  );

/** All shares of three models in steps of a tenth. */
const grid = Array.from({ length: 11 }, (_, a) => Array.from({ length: 11 - a }, (_v, b) => [a / 10, b / 10, (10 - a - b) / 10])).flat();

test('stacked shares have the least log-loss of all shares', () => {
  fc.assert(
    fc.property(modelsOfTwo, (given) => {
      const loss = (shares: readonly number[]): number => logLoss({ ...given, answers: mixed(given.answers, shares) });
      const found = loss(likelihoodShares(given));
      for (const shares of grid) assert.ok(found <= loss(shares) + 2e-3, `${found} against ${loss(shares)} at ${shares}`);
    }),
    { numRuns: 50 },
  );
});

test('stacked shares of numbers have the least squared error of all shares', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(...[0, 1, 2, 3].map(() => fc.integer({ min: -9, max: 9 }))), { minLength: 3, maxLength: 30 }), (rows) => {
      const of = (at: number): Float64Array => Float64Array.from(rows, (row) => row[at]!);
      const given: OutOfFold = { truth: of(0), weights: new Float64Array(rows.length).fill(1), width: 1, answers: [of(1), of(2), of(3)] };
      const error = (shares: readonly number[]): number => rootMeanSquare({ ...given, answers: mixed(given.answers, shares) });
      const found = error(squaredShares(given));
      for (const shares of grid) assert.ok(found <= error(shares) + 1e-2, `${found} against ${error(shares)} at ${shares}`);
    }),
    { numRuns: 50 },
  );
});

test('shares of a blend add up to 1, none is negative, and the blend is no worse than its best member on the rows it was chosen by', () => {
  fc.assert(
    fc.property(modelsOfTwo, (given) => {
      const shares = blendShares(given, 'logLoss', logLoss);
      assert.ok(Math.abs(shares.reduce((a, b) => a + b, 0) - 1) < 1e-9 && shares.every((s) => s >= 0));
      const best = Math.min(...given.answers.map((answers) => logLoss({ ...given, answers })));
      assert.ok(logLoss({ ...given, answers: mixed(given.answers, shares) }) <= best + 1e-9);
    }),
    { numRuns: 50 },
  );
});

test('of many good models that are much alike some stay in the blend, few enough to be served, and beside two weaker ones they have the say', () => {
  const next = generator(67);
  const rows = 1200;
  const signal = Array.from({ length: rows }, () => next());
  const truth = Float64Array.from(signal, (p) => (next() < p ? 1 : 0));
  const model = (told: number, noise: number): Float64Array =>
    Float64Array.from(
      signal.flatMap((p) => {
        const held = Math.max(0.02, Math.min(0.98, 0.5 + told * (p - 0.5) + noise * (next() - 0.5)));
        return [1 - held, held];
      }),
    );
  const alike = Array.from({ length: 60 }, () => model(0.9, 0.1));
  const answers = [model(0.4, 0.1), ...alike, model(0.3, 0.1)];
  const given: OutOfFold = { truth, weights: truth.map(() => 1), width: 2, answers };
  const shares = blendShares(given, 'logLoss', logLoss);
  const loss = (of: Float64Array): number => logLoss({ ...given, answers: of });
  assert.ok(shares.slice(1, -1).reduce((sum, share) => sum + share, 0) > 0.9, `${shares}`);
  const members = shares.filter((share) => share > 0).length;
  assert.ok(members >= 2 && members <= 12, `${members} members`);
  const typical = alike.map(loss).sort((a, b) => a - b)[30]!;
  assert.ok(loss(mixed(answers, shares)) < typical, `${loss(mixed(answers, shares))} against ${typical}`);
});

/** A class that depends on two columns and chance; `rows` of them. */
function madeUp(rows: number, seed: number): ColumnData[] {
  const next = generator(seed);
  const x = Array.from({ length: rows }, () => next());
  const kind = Array.from({ length: rows }, () => ['a', 'b', 'c'][Math.floor(next() * 3)]!);
  const y = x.map((v, i) => (next() < 0.1 + 0.6 * v + (kind[i] === 'a' ? 0.25 : 0) ? 'yes' : 'no'));
  return [numbers('x', x), texts('kind', kind), texts('y', y)];
}

test('with a budget in trials the report and the model are the same again, times aside', async () => {
  const made = async () => {
    const model = await train({ target: 'y', budget: { trials: 9 }, seed: 4 }, madeUp(600, 19), undefined, undefined, {
      now: () => 0,
      pause: async () => {},
    });
    return [model.hash, JSON.stringify(model.report)];
  };
  assert.deepEqual(await made(), await made());
});

test('the leaderboard has an error, a time and a size for each model, and the card says in two languages what was found', async () => {
  const columns = madeUp(1500, 23);
  const model = await train({ target: 'y', budget: { trials: 7 }, money: { hit: 10, contact: 4 } }, columns);
  const report = model.report!;
  assert.equal(report.trials.length, 7);
  for (const trial of report.trials) assert.ok(trial.error > 0 && trial.bytes > 100 && trial.predictMicros >= 0);
  assert.ok(Math.abs(report.trials.reduce((sum, t) => sum + t.share, 0) - 1) < 1e-9);
  assert.ok(report.reliability!.expectedError < 0.12 && report.calibration!.length > 3);
  assert.equal(report.ranking!.at(-1)!.share, 1);
  assert.equal(report.card.en.length, report.card.ko.length);
  assert.ok(report.card.en.some((line) => line.includes('beats the best simple rule')));
  assert.ok(report.card.ko.some((line) => line.includes('단순 규칙')));
  assert.equal(report.money!.threshold, 0.4);
  const slope = report.dependence.find((d) => d.column === 'x')!.points;
  assert.ok(slope.at(-1)!.answers[1]! > slope[0]!.answers[1]! + 0.3, 'more x, more yes');
  const kinds = new Map(report.dependence.find((d) => d.column === 'kind')!.points.map((p) => [p.value, p.answers[1]!]));
  assert.ok(kinds.get('a')! > kinds.get('b')! + 0.1);
});

test('noise earns nothing: the card says to do without the model', async () => {
  const next = generator(31);
  const columns = [
    numbers(
      'x',
      Array.from({ length: 800 }, () => next()),
    ),
    numbers(
      'y',
      Array.from({ length: 800 }, () => (next() < 0.2 ? 1 : 0)),
    ),
  ];
  const { report } = await train({ target: 'y', budget: { trials: 2 }, money: { hit: 10, contact: 5 } }, columns);
  assert.equal(report!.better, false);
  assert.deepEqual([report!.money!.pays, report!.money!.instead], [false, 'nobody']);
  assert.ok(
    report!.card.en.some((line) => line.includes('NOT clearly better')) &&
      report!.card.en.some((line) => line.includes('acting on "1"') && line.includes('prefer doing nothing')) &&
      report!.card.ko.some((line) => line.includes('"1"에 행동하는')),
  );
});

test('a rule that has not met a class is not beaten by a model that has not either', async () => {
  const rows = Array.from({ length: 12 }, (_, i) => i);
  const next = generator(9);
  const columns = [
    numbers(
      'x',
      rows.map(() => next()),
    ),
    texts(
      'y',
      rows.map((i) => `c${i}`),
    ),
  ];
  for (let seed = 1; seed < 9; seed++) {
    const { better, scores } = (await train({ target: 'y', task: 'classification', seed, budget: { trials: 2 } }, columns)).report!;
    assert.equal(scores.find(({ metric }) => metric === 'accuracy')?.value, 0);
    assert.equal(better, false, `seed ${seed}`);
  }
});

test('the rows on which the model fails are named', async () => {
  const next = generator(37);
  const rows = 3000;
  const place = Array.from({ length: rows }, () => ['north', 'south', 'east', 'west'][Math.floor(next() * 4)]!);
  const x = place.map(() => next());
  const y = place.map((p, i) => (p === 'east' ? (next() < 0.5 ? 1 : 0) : x[i]! > 0.5 ? 1 : 0));
  const { report } = await train({ target: 'y', budget: { trials: 1 } }, [texts('place', place), numbers('x', x), numbers('y', y)]);
  assert.deepEqual([report!.slices[0]!.column, report!.slices[0]!.value], ['place', 'east']);
});

test('one entity on both sides of a split that was asked for is told of', async () => {
  const next = generator(41);
  const users = Array.from({ length: 600 }, (_, i) => `u${i % 90}`);
  const columns = [
    texts('user_id', users),
    numbers(
      'x',
      users.map(() => next()),
    ),
    numbers(
      'y',
      users.map(() => (next() < 0.5 ? 1 : 0)),
    ),
  ];
  const asked = await train({ target: 'y', learner: 'linear', split: { kind: 'random' } }, columns);
  assert.deepEqual(flagged(asked.report!, 'both sides'), ['user_id']);
  const chosen = await train({ target: 'y', learner: 'linear' }, columns);
  assert.deepEqual(flagged(chosen.report!, 'both sides'), []);
});

test('a class of one row in a hundred is still ranked', async () => {
  const next = generator(43);
  const x = Array.from({ length: 4000 }, () => next());
  const y = x.map((v) => (next() < (v > 0.95 ? 0.25 : 0.002) ? 1 : 0));
  const { report } = await train({ target: 'y', budget: { trials: 4 } }, [
    numbers('x', x),
    numbers(
      'z',
      x.map(() => next()),
    ),
    numbers('y', y),
  ]);
  assert.ok(report!.trials.some((t) => t.candidate.name === 'trees for a rare class'));
  assert.deepEqual(report!.warnings.filter((w) => w.kind === 'imbalance').length, 1);
  assert.ok(report!.scores.find((s) => s.metric === 'auc')!.value > 0.85);
});

test(
  'ga-merch-sessions: of a propensity to buy, the columns that are written with the purchase are flagged, and no others',
  real,
  async () => {
    const columns = await columnsOf(`
    SELECT CAST(coalesce(totals.transactions, 0) > 0 AS INTEGER) AS bought, totals.totalTransactionRevenue AS revenue, totals.transactions AS orders,
      len(list_filter(hits, h -> h.eCommerceAction.action_type = '6')) AS purchase_hits, totals.pageviews AS pageviews,
      totals.timeOnSite AS seconds, visitNumber AS visit_number, trafficSource.medium AS medium, device.deviceCategory AS device,
      geoNetwork.country AS country, device.browser AS browser
    FROM read_parquet('${dataPath('ga-merch-sessions/ga_sample.parquet')}')`);
    const { report } = await train({ target: 'bought', budget: { trials: 1 } }, columns);
    assert.deepEqual(flagged(report!, 'leakage').sort(), ['orders', 'purchase_hits', 'revenue']);
    assert.equal(flagged(report!, 'imbalance').length, 1);
    const honest = await train({ target: 'bought', ignore: ['orders', 'purchase_hits', 'revenue'], budget: { trials: 3 } }, columns);
    assert.deepEqual(flagged(honest.report!, 'too good'), []);
  },
);

test('uci-online-retail: of churn, what is counted over the whole time gives the answer away and is flagged', real, async () => {
  const columns = await columnsOf(`
    WITH line AS (
      SELECT CustomerID AS customer, CAST(InvoiceDate AS TIMESTAMP) AS moment, CAST(Quantity AS DOUBLE) * UnitPrice AS amount, InvoiceNo AS invoice
      FROM read_csv('${dataPath('uci-online-retail/online_retail.csv.gz')}') WHERE CustomerID IS NOT NULL AND UnitPrice > 0
    )
    SELECT CAST(customer AS BIGINT) AS customer_id, count(*) FILTER (WHERE moment < '2011-09-01') AS lines, sum(amount) FILTER (WHERE moment < '2011-09-01') AS spent,
      count(DISTINCT invoice) FILTER (WHERE moment < '2011-09-01') AS orders, date_diff('day', max(moment) FILTER (WHERE moment < '2011-09-01'), DATE '2011-09-01') AS days_since,
      date_diff('day', max(moment), DATE '2012-01-01') AS days_since_ever, CAST(count(*) FILTER (WHERE moment >= '2011-09-01') = 0 AS INTEGER) AS churned
    FROM line GROUP BY customer HAVING lines > 0 ORDER BY customer`);
  const { report } = await train({ target: 'churned', budget: { trials: 1 } }, columns);
  assert.deepEqual(flagged(report!, 'leakage'), ['days_since_ever']);
  assert.ok(flagged(report!, 'dropped').includes('customer_id'));
  const honest = (await train({ target: 'churned', ignore: ['days_since_ever'], budget: { trials: 2 } }, columns)).report!;
  assert.deepEqual([flagged(honest, 'leakage'), honest.better], [[], true]);
});

test('german-credit: with its cost matrix, acting on the model loses less than granting or refusing all', real, async () => {
  const columns = readTable('german-credit/german.data', /[ \t]+/, null);
  // Granting a bad loan costs 5, refusing a good one 1: refusing brings 6 where it is right and costs 1 each time, beside granting all.
  const { report } = await train({ target: 'class', budget: { trials: 6 }, money: { hit: 6, contact: 1 } }, columns);
  const { profit, threshold } = report!.money!;
  assert.ok(Math.abs(threshold! - 1 / 6) < 1e-9);
  const bad = report!.rows.judged * 0.3;
  const cost = (5 * bad - profit.model) / report!.rows.judged;
  assert.ok(profit.model > profit.everyone && profit.model > profit.nobody);
  assert.ok(cost <= 0.6, `a cost of ${cost} a loan; granting all costs 1.5, refusing all 0.7`);
});

test('uci-occupancy: a room by the minute is split by time', real, async () => {
  const lines = readTable('uci-occupancy/datatraining.txt.gz', ',', [
    'number',
    'at',
    'temperature',
    'humidity',
    'light',
    'co2',
    'ratio',
    'occupied',
  ]);
  const columns = lines.map((column): ColumnData => {
    const values = Array.from({ length: column.values.length - 1 }, (_, i) => String(column.values[i + 1]).replaceAll('"', ''));
    return column.name === 'at' ? texts('at', values) : numbers(column.name, values.map(Number));
  });
  const { report } = await train({ target: 'occupied', learner: 'linear' }, columns);
  assert.deepEqual([report!.split.kind, report!.split.column], ['time', 'at']);
  assert.ok(flagged(report!, 'dropped').includes('number'));
  assert.ok(flagged(report!, 'leakage').includes('light'), 'the lamp is on when someone is there');
});

test('a model that was stopped keeps the best and answers', async () => {
  const stop = new AbortController();
  let told = 0;
  const columns = madeUp(900, 53);
  const model = await train(
    { target: 'y', budget: { trials: 50 } },
    columns,
    (p) => {
      if (p.trials >= 3 && ++told === 1) stop.abort();
    },
    stop.signal,
    { now: () => performance.now() * 1000, pause: async () => {} },
  );
  assert.equal(model.report!.stopped, true);
  assert.ok(model.report!.trials.length >= 3 && model.report!.trials.length < 50);
  const scores = model.report!.trials;
  const kept = scores.filter((t) => t.share > 0);
  assert.deepEqual([kept.length, kept[0]!.score], [1, Math.min(...scores.map((t) => t.score))]);
  assert.equal(predict(model, columns).columns[0]!.values.length, 900);
});
