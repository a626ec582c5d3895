import { fail } from '#core';
import { asides, factCte, saleCtes } from './customer.ts';
import { orderEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, type Setting } from './kind.ts';
import { needOrders } from './orders.ts';
import { segmentViews } from './segment-views.ts';
import { literal, periodOf } from './tables.ts';

const orderOptions = eventOptions.filter(({ name }) => name === 'orders' || name === 'to');

/**
 * A rule over customers, now or at the end of each period. What was known on a past day is worked out again from the orders up to it,
 * with the refunds that are known today, so that the history needs no keeping and a changed rule has one at once.
 */
export const segment: AnswerKind = {
  name: 'segment',
  title: 'Who is in the segment, and who came and went?',
  summary: 'A segment of segments/*.yaml: its members, or by period how many there were, entered and left.',
  options: [
    { name: 'segment', type: 'text', required: true, summary: 'The definition: segments/<name>.yaml.' },
    {
      name: 'rows',
      type: 'choice',
      choices: ['members', 'history'],
      default: 'members',
      summary: 'A row a member today, or a row a period.',
    },
    {
      name: 'grain',
      type: 'choice',
      choices: ['day', 'week', 'month'],
      default: 'month',
      summary: 'history: the length of a period; weeks begin on the workspace’s week_start.',
    },
    { name: 'periods', type: 'integer', default: 12, summary: 'history: so many periods back, 1 to 120.' },
    ...orderOptions,
  ],
  sql(given, setting) {
    const { where } = setting.segment(String(given['segment']));
    const ctes = saleCtes('segment', given, setting);
    if (given['rows'] === 'members')
      return `WITH ${[...ctes, `today AS (SELECT max(day) AS day FROM sale)`, factCte('fact', 'today')].join(',\n')}
SELECT customer, orders, net, first_day, last_day, recency_days FROM fact WHERE (${where}\n) ORDER BY net DESC, customer`;
    return `WITH ${[...ctes, periodCte(given, setting), factCte('fact', 'period')].join(',\n')},
member AS (SELECT as_of, customer, net FROM fact WHERE (${where}\n)),
beside AS (
  SELECT p.n, m.net, lag(p.n) OVER own AS before, lead(p.n) OVER own AS after FROM member AS m JOIN period AS p ON p.day = m.as_of
  WINDOW own AS (PARTITION BY m.customer ORDER BY m.as_of)
),
moved AS (
  SELECT n, count(*) AS members, sum(net) AS net, count(*) FILTER (WHERE before IS DISTINCT FROM n + 1) AS entered, count(*) FILTER (WHERE after IS DISTINCT FROM n - 1) AS gone
  FROM beside GROUP BY n
)
-- The oldest period only tells who entered in the one after it; what follows the newest is not known.
SELECT p.day AS as_of, coalesce(m.members, 0) AS members, coalesce(m.net, 0) AS net, coalesce(m.entered, 0) AS entered, CASE WHEN p.n > 0 THEN coalesce(m.gone, 0) END AS left_after
FROM period AS p LEFT JOIN moved AS m USING (n) WHERE p.n < ${given['periods']} ORDER BY p.day`;
  },
  evidence(given, setting) {
    const { where } = setting.segment(String(given['segment']));
    return orderEvidence('segment', needOrders(given, setting), given, setting, [
      ...asides('segment', given, setting),
      `SELECT 6, 'rule', ${literal(where)}`,
    ]);
  },
  views: segmentViews,
};

/** `period`: the ends of the newest periods and of one before them, n counted back from the newest, which ends with the data. */
function periodCte(given: Given, setting: Setting): string {
  const periods = given['periods'] as number;
  if (periods < 1 || periods > 120) fail('ANSWER_OPTION', { answer: 'segment', option: 'periods', problem: 'it is from 1 to 120' });
  const grain = String(given['grain']);
  const start = periodOf(grain, 'last', setting);
  return `period AS (
  SELECT n, least(last, CAST(${start} - to_${grain}s(n) + to_${grain}s(1) - INTERVAL 1 DAY AS DATE)) AS day
  FROM (SELECT max(day) AS last, min(day) AS first FROM sale) CROSS JOIN range(${periods} + 1) AS r(n) WHERE ${start} - to_${grain}s(n) + to_${grain}s(1) > first
)`;
}

/** Sizes and overlaps of segments among the customers of today. `share` is of the row's segment, `lift` how many times more than by chance. */
export const segments: AnswerKind = {
  name: 'segments',
  title: 'How large are the segments, and do they overlap?',
  summary: 'Each pair of segments: members, how many are in both, as a share, and as a multiple of chance.',
  options: [
    { name: 'segments', type: 'list', required: true, summary: 'The definitions: names of segments/<name>.yaml.' },
    ...orderOptions,
  ],
  sql(given, setting) {
    const rules = rulesOf(given, setting);
    return `WITH ${[...saleCtes('segments', given, setting), 'today AS (SELECT max(day) AS day FROM sale)', factCte('fact', 'today')].join(',\n')},
member AS (
  ${rules.map(({ name, where }) => `SELECT ${literal(name)} AS segment, customer, net FROM fact WHERE (${where}\n)`).join('\n  UNION ALL ')}
),
size AS (
  SELECT s.segment, count(m.customer) AS members, coalesce(sum(m.net), 0) AS net FROM (VALUES ${rules.map(({ name }) => `(${literal(name)})`).join(', ')}) AS s(segment)
  LEFT JOIN member AS m USING (segment) GROUP BY s.segment
),
both_in AS (SELECT a.segment, b.segment AS other, count(*) AS shared FROM member AS a JOIN member AS b USING (customer) GROUP BY a.segment, b.segment)
SELECT s.segment, s.members, s.net, o.segment AS other, coalesce(b.shared, 0) AS shared, round(coalesce(b.shared, 0) / nullif(s.members, 0), 6) AS share,
  round(coalesce(b.shared, 0) * (SELECT count(*) FROM fact) / nullif(s.members * o.members, 0), 4) AS lift
FROM size AS s CROSS JOIN size AS o LEFT JOIN both_in AS b ON b.segment = s.segment AND b.other = o.segment ORDER BY s.segment, o.segment`;
  },
  evidence(given, setting) {
    return orderEvidence('segments', needOrders(given, setting), given, setting, [
      ...asides('segments', given, setting),
      ...rulesOf(given, setting).map(({ name, where }) => `SELECT 6, 'rule ' || ${literal(name)}, ${literal(where)}`),
    ]);
  },
};

function rulesOf(given: Given, setting: Setting) {
  const asked = [...new Set(given['segments'] as readonly string[])];
  if (asked.length === 0 || asked.length > 20)
    fail('ANSWER_OPTION', { answer: 'segments', option: 'segments', problem: 'name 1 to 20 segments' });
  return asked.map((name) => setting.segment(name));
}
