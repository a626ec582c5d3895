import { fail } from '#core';
import { asides, saleCtes } from './customer.ts';
import { orderEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, type Setting } from './kind.ts';
import { fitAmounts, fitVisits } from './lifetime-fit.ts';
import { needOrders } from './orders.ts';
import { literal } from './tables.ts';

/** Histories that a fit reads at most; beyond it every k-th customer by a hash is taken. */
const mostHistories = 40_000;
const parameters = ['r', 'alpha', 'a', 'b', 'p', 'q', 'v'] as const;

/**
 * What each customer is still expected to buy within `days`: BG/NBD for how often (Fader, Hardie, Lee 2005; expected purchases are
 * their equation 10) and Gamma–Gamma for how much (Fader, Hardie 2013), fitted by maximum likelihood on these very orders. A purchase is
 * a day with orders, be they free; time is in weeks; money is net of refunds, and what came back on a day without a purchase reduces the
 * purchase before it, else the first one. Histories are whole: there is no first day. The fit is made before the SQL is written and stands in it as numbers.
 */
export const lifetime: AnswerKind = {
  name: 'lifetime',
  title: 'What are customers still worth?',
  summary: 'Customers by the chance that they are still active, expected orders and value in the days ahead (BG/NBD and Gamma–Gamma).',
  options: [
    { name: 'days', type: 'integer', default: 365, summary: 'How far ahead, 1 to 3650.' },
    { name: 'rows', type: 'choice', choices: ['customers', 'total'], default: 'customers', summary: 'A row a customer, or their sum.' },
    ...eventOptions.filter(({ name }) => name === 'orders' || name === 'to'),
  ],
  fit(given, setting) {
    return {
      sql: `WITH ${historyCtes(given, setting).join(',\n')},
taken AS (SELECT * FROM history WHERE hash(CAST(customer AS VARCHAR)) % greatest(1, CAST(ceil((SELECT count(*) FROM history) / ${mostHistories}) AS BIGINT)) = 0)
SELECT 'visits' AS part, x, tx, t, NULL AS mean, count(*) AS n FROM taken GROUP BY x, tx, t
UNION ALL SELECT 'amounts', x, NULL, NULL, CAST(mean AS DOUBLE), count(*) FROM taken WHERE x > 0 AND mean > 0 GROUP BY x, mean`,
      rows: 2 * mostHistories + 10_000,
      made(rows) {
        const number = (row: Readonly<Record<string, unknown>>, key: string) => Number(row[key]);
        const of = (part: string) => rows.filter((row) => row['part'] === part);
        const visits = of('visits').map((row) => ({
          x: number(row, 'x'),
          tx: number(row, 'tx'),
          T: number(row, 't'),
          n: number(row, 'n'),
        }));
        const amounts = of('amounts').map((row) => ({ x: number(row, 'x'), mean: number(row, 'mean'), n: number(row, 'n') }));
        const repeating = amounts.reduce((sum, { n }) => sum + n, 0);
        if (repeating < 10) fail('ANSWER_TOO_FEW', { answer: 'lifetime', found: repeating, what: 'customers who bought again', needs: 10 });
        return { ...fitVisits(visits), ...fitAmounts(amounts) };
      },
    };
  },
  sql(given, setting) {
    const { r, alpha, a, b, p, q, v } = fitted(given);
    const weeks = daysOf(given) / 7;
    const shown =
      given['rows'] === 'total'
        ? `SELECT count(*) AS customers, sum(alive) AS expected_active, sum(expected_orders) AS expected_orders, sum(expected_orders * expected_order) AS expected_value FROM told`
        : `SELECT customer, x + 1 AS purchases, CAST(last_day AS DATE) AS last_day, net, round(alive, 6) AS alive, round(expected_orders, 6) AS expected_orders, round(expected_order, 2) AS expected_order,
  round(expected_orders * expected_order, 2) AS expected_value FROM told ORDER BY expected_orders * expected_order DESC, customer`;
    return `WITH ${historyCtes(given, setting).join(',\n')},
fitted AS (SELECT ${parameters.map((name) => `CAST(${fitted(given)[name]} AS DOUBLE) AS ${name}`).join(', ')}),
ahead AS (
  -- Gauss' hypergeometric function by its series; it depends on x and T alone.
  SELECT x, t, z, list_sum(list_transform(range(CAST(least(20000, ceil(45 / (1 - z)) + 50) AS BIGINT)), lambda k: exp(lgamma(${r} + x + k) - lgamma(${r} + x) + lgamma(${b} + x + k) - lgamma(${b} + x) - lgamma(${a + b - 1} + x + k) + lgamma(${a + b - 1} + x) + k * ln(z) - lgamma(k + 1)))) AS f
  FROM (SELECT DISTINCT x, t, ${weeks} / (${alpha} + t + ${weeks}) AS z FROM history)
),
told AS (
  SELECT h.customer, h.x, h.last_day, h.net, o.alive,
    (${a + b - 1} + h.x) / ${a - 1} * (1 - ((${alpha} + h.t) / (${alpha} + h.t + ${weeks})) ** (${r} + h.x) * g.f) * o.alive AS expected_orders,
    CASE WHEN h.x > 0 AND h.mean > 0 THEN ${p} * (${v} + h.x * h.mean) / (${p} * h.x + ${q} - 1) ELSE ${p * v} / (${q - 1}) END AS expected_order
  FROM history AS h JOIN ahead AS g ON g.x = h.x AND g.t = h.t
  CROSS JOIN LATERAL (SELECT 1 / (1 + CASE WHEN h.x > 0 THEN ${a} / (${b} + h.x - 1) * ((${alpha} + h.t) / (${alpha} + h.tx)) ** (${r} + h.x) ELSE 0 END) AS alive) AS o
)
${shown}`;
  },
  evidence(given, setting) {
    const found = fitted(given);
    const history = historyCtes(given, setting).slice(1).join(',\n');
    return orderEvidence('lifetime', needOrders(given, setting), given, setting, [
      ...asides('lifetime', given, setting),
      `SELECT 6, 'fitted (weeks)', ${literal(parameters.map((name) => `${name} ${found[name].toPrecision(4)}`).join(', '))}`,
      `SELECT 6, 'customers, those who bought again', (WITH ${history} SELECT count(*) || ', ' || count(*) FILTER (WHERE x > 0) FROM history)`,
      `SELECT 8, 'caveat: spending goes with frequency (correlation), which Gamma–Gamma excludes', CAST(round(c, 3) AS VARCHAR) FROM (WITH ${history} SELECT corr(x, mean) AS c FROM history WHERE x > 0 AND mean > 0) WHERE NOT isnan(c) AND abs(c) > 0.3`,
      ...(found.q <= 1 ? [`SELECT 8, 'caveat: amounts have no mean (q is at most 1)', '${found.q.toPrecision(4)}'`] : []),
      `SELECT 8, 'caveat: the fit reads every k-th customer, k', CAST(k AS VARCHAR) FROM (WITH ${history} SELECT CAST(ceil(count(*) / ${mostHistories}) AS BIGINT) AS k FROM history) WHERE k > 1`,
    ]);
  },
};

/** `history`: customer, x (days with orders after the first), tx and t in weeks from the first to the last and to the newest day of the data, mean of those days. */
function historyCtes(given: Given, setting: Setting): string[] {
  return [
    ...saleCtes('lifetime', given, setting),
    `dealt AS (
  SELECT customer, day, CASE WHEN bool_or(bought) THEN day END AS bought, sum(amount) - sum(refunded) AS value FROM sale GROUP BY customer, day
),
beside AS (
  SELECT customer, value, max(bought) OVER (PARTITION BY customer ORDER BY day) AS before, min(bought) OVER (PARTITION BY customer) AS first, max(bought) OVER () AS newest FROM dealt
)`,
    `seen AS (
  SELECT customer, coalesce(before, first) AS day, any_value(first) AS first, any_value(newest) AS newest, sum(value) AS value
  FROM beside WHERE first IS NOT NULL GROUP BY customer, coalesce(before, first)
)`,
    `history AS (
  SELECT customer, count(*) - 1 AS x, date_diff('day', any_value(first), max(day)) / 7 AS tx, date_diff('day', any_value(first), any_value(newest)) / 7 AS t, max(day) AS last_day,
    sum(value) AS net, avg(value) FILTER (WHERE day > first) AS mean
  FROM seen GROUP BY customer
)`,
  ];
}

function daysOf(given: Given): number {
  const days = given['days'] as number;
  return days >= 1 && days <= 3650 ? days : fail('ANSWER_OPTION', { answer: 'lifetime', option: 'days', problem: 'it is from 1 to 3650' });
}

const fitted = (given: Given) =>
  Object.fromEntries(parameters.map((name) => [name, Number(given[name])])) as Record<(typeof parameters)[number], number>;
