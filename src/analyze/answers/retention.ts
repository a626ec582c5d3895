import { fail } from '#core';
import { eventsOf } from './events.ts';
import { eventEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, type Setting } from './kind.ts';
import { readStep, unseen } from './steps.ts';
import { fromDay, literal, periodOf } from './tables.ts';

/**
 * Periods that the data does not cover wholly are marked: their share can only grow. With `from`, a visitor's cohort is still that of the
 * first event ever, and the periods from that day on are shown.
 */
export const retention: AnswerKind = {
  name: 'retention',
  title: 'Who comes back?',
  summary: 'Visitors by the day, week or month of their first event, and how many of them come back in each period after it.',
  options: [
    {
      name: 'grain',
      type: 'choice',
      choices: ['day', 'week', 'month'],
      default: 'week',
      summary: 'The length of a period; weeks begin on the workspace’s week_start.',
    },
    { name: 'periods', type: 'integer', default: 8, summary: 'How many periods after the first are shown, up to 60.' },
    { name: 'start', type: 'text', summary: 'The event that begins a cohort: event or event:property=value. Default: any.' },
    { name: 'return', type: 'text', summary: 'The event that counts as coming back. Default: any.' },
    ...eventOptions,
  ],
  sql(given, setting) {
    const { ever, start, back, columns, periods } = parts(given, setting);
    const grain = String(given['grain']);
    const from = given['from'] === null ? null : `DATE ${literal(String(given['from']))}`;
    const begins = `s.cohort + to_${grain}s(CAST(p.period AS INTEGER))`;
    return `WITH ${ever.ctes(columns).join(',\n')},
active AS MATERIALIZED (
  SELECT "user", ${periodOf(grain, 'day', setting)} AS period, bool_or(${start ?? 'true'}) AS begins, bool_or(${[back ?? 'true', fromDay('retention', given, setting, 'day')].join(' AND ')}) AS returns, max(day) AS day
  FROM used GROUP BY ALL
),
cohort AS (SELECT "user", min(period) AS cohort FROM active WHERE begins GROUP BY "user"),
came AS (SELECT "user", period FROM active WHERE returns),
size AS (SELECT cohort, count(*) AS users FROM cohort GROUP BY cohort),
returned AS (
  SELECT c.cohort, date_diff('${grain}', c.cohort, v.period) AS period, count(*) AS users
  FROM cohort AS c JOIN came AS v USING ("user") WHERE v.period >= c.cohort GROUP BY ALL
),
last AS (SELECT max(day) AS day FROM active)
SELECT s.cohort, s.users AS size, p.period, coalesce(r.users, 0) AS users, round(coalesce(r.users, 0) / s.users, 6) AS share,
  s.cohort + to_${grain}s(CAST(p.period AS INTEGER) + 1) - INTERVAL 1 DAY <= l.day${from === null ? '' : ` AND ${begins} >= ${from}`} AS complete
FROM size AS s CROSS JOIN range(${periods} + 1) AS p(period) CROSS JOIN last AS l
LEFT JOIN returned AS r ON r.cohort = s.cohort AND r.period = p.period
WHERE ${begins} <= l.day${from === null ? '' : ` AND ${begins} >= ${periodOf(grain, from, setting)}`} ORDER BY s.cohort, p.period`;
  },
  chart: () => ({ kind: 'cohort', x: 'cohort', series: 'period', y: ['share'], unit: '%' }),
  evidence(given, setting) {
    const { events, asked, columns } = parts(given, setting);
    return eventEvidence(
      'retention',
      events,
      given,
      setting,
      [`SELECT 6, 'visitors', CAST(count(DISTINCT "user") AS VARCHAR) FROM used`, ...asked.map(unseen)],
      [],
      columns,
    );
  },
};

function parts(given: Given, setting: Setting) {
  const events = eventsOf('retention', given, setting);
  const ever = eventsOf('retention', { ...given, from: null }, setting);
  const step = (option: string) => (given[option] === null ? null : readStep('retention', option, String(given[option]), events));
  const [start, back] = [step('start'), step('return')];
  const periods = given['periods'] as number;
  if (periods < 1 || periods > 60) fail('ANSWER_OPTION', { answer: 'retention', option: 'periods', problem: 'it is from 1 to 60' });
  return {
    events,
    ever,
    asked: [start, back].filter((step) => step !== null),
    start: start?.condition ?? null,
    back: back?.condition ?? null,
    columns: [...(start?.columns ?? []), ...(back?.columns ?? [])],
    periods,
  };
}
