import type { Journey } from '../metrics/journey.ts';
import { type Events, eventsOf } from './events.ts';
import { eventEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, type Setting } from './kind.ts';
import { sessionless } from './steps.ts';
import { literal, needColumn, quote } from './tables.ts';

/** Designed against actual: sessions reduced to the steps of journeys/<name>.yaml. What repeats in a row counts once. */
export const journey: AnswerKind = {
  name: 'journey',
  title: 'Is the shop used as it was designed?',
  summary: 'Each transition between the steps of an intended flow: designed or not, how often, and sessions to look at.',
  options: [
    { name: 'journey', type: 'text', required: true, summary: 'The definition: journeys/<name>.yaml.' },
    { name: 'examples', type: 'integer', default: 3, summary: 'How many example sessions a row shows, up to 20.' },
    ...eventOptions,
  ],
  sql(given, setting) {
    const { events, flow, columns } = parts(given, setting);
    const examples = Math.min(20, given['examples'] as number);
    const designed = flow.steps.flatMap((step) => step.next.map((next) => `(${literal(step.name)}, ${literal(next)})`));
    const starts = flow.steps.filter((step) => step.start).map((step) => `('(start)', ${literal(step.name)})`);
    return `WITH ${events.ctes(columns).join(',\n')},
step AS (
  SELECT session, time, tie, CASE ${flow.steps.map((step) => `WHEN ${condition(step)} THEN ${literal(step.name)}`).join('\n    ')} END AS step FROM used WHERE session IS NOT NULL
),
changed AS (
  SELECT * FROM step WHERE step IS NOT NULL QUALIFY step IS DISTINCT FROM lag(step) OVER (PARTITION BY session ORDER BY time, tie)
),
chained AS (
  SELECT session, step, lag(step) OVER own AS before, lead(step) OVER own AS after FROM changed WINDOW own AS (PARTITION BY session ORDER BY time, tie)
),
moved AS (
  SELECT session, coalesce(before, '(start)') AS source, step AS target FROM chained
  UNION ALL
  SELECT session, step, '(end)' FROM chained WHERE after IS NULL
),
often AS (SELECT source, target, session, count(*) AS times FROM moved GROUP BY ALL),
design(source, target) AS (VALUES ${[...starts, ...designed].join(', ')})
SELECT m.source, m.target, d.source IS NOT NULL AS designed, count(m.session) AS sessions, CAST(sum(m.times) AS BIGINT) AS transitions,
  round(sum(m.times) / sum(sum(m.times)) OVER (PARTITION BY m.source), 6) AS of_source,
  list_slice(min(m.session, ${Math.max(1, examples)}), 1, ${examples}) AS examples
FROM often AS m LEFT JOIN design AS d ON d.source = m.source AND d.target = m.target
GROUP BY m.source, m.target, d.source ORDER BY designed, transitions DESC, m.source, m.target`;
  },
  evidence(given, setting) {
    const { events, flow, columns } = parts(given, setting);
    const any = flow.steps.map((step) => `(${condition(step)})`).join(' OR ');
    const more = [
      `SELECT 6, 'sessions with a step', CAST(count(session) FILTER (WHERE stepped) AS VARCHAR) || ' of ' || CAST(count(session) AS VARCHAR)
        FROM (SELECT session, bool_or(${any}) AS stepped FROM used WHERE session IS NOT NULL GROUP BY session)`,
      sessionless,
    ];
    return eventEvidence('journey', events, given, setting, more, [], columns);
  },
};

function condition(step: Journey['steps'][number]): string {
  const where = Object.entries(step.where).map(([column, value]) => `CAST(${quote(column.toLowerCase())} AS VARCHAR) = ${literal(value)}`);
  return [`event = ${literal(step.event)}`, ...where].join(' AND ');
}

function parts(given: Given, setting: Setting): { events: Events; flow: Journey; columns: string[] } {
  const flow = setting.journey(String(given['journey']));
  const events = eventsOf('journey', given, setting);
  const properties = flow.steps.flatMap((step) => Object.keys(step.where));
  for (const column of properties) needColumn(events.table, 'e', `the journey's "${column}"`, [column]);
  return { events, flow, columns: ['session', ...properties] };
}
