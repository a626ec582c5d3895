import { fail } from '#core';
import { eventsOf } from './events.ts';
import { eventEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, type Setting } from './kind.ts';
import { readStep, sessionless, unseen } from './steps.ts';
import { quote } from './tables.ts';

/** Sessions as sequences of pages or events; what repeats in a row counts once. A row is one transition, as a Sankey diagram wants it. */
export const paths: AnswerKind = {
  name: 'paths',
  title: 'Which ways do visitors take?',
  summary: 'Transitions from page to page (or event to event), step by step from the session’s start or from a chosen event.',
  options: [
    { name: 'by', type: 'choice', choices: ['page', 'event'], default: 'page', summary: 'What a node is.' },
    { name: 'start', type: 'text', summary: 'event or event:property=value at which a path begins. Default: the session’s first.' },
    { name: 'depth', type: 'integer', default: 4, summary: 'How many transitions are followed, up to 20.' },
    { name: 'top', type: 'integer', default: 20, summary: 'At most so many transitions of each step.' },
    ...eventOptions,
  ],
  sql(given, setting) {
    const { events, node, start, depth, top } = parts(given, setting);
    const moved = node === 'event' ? '' : ` AND (event = 'page_view' OR ${start?.condition ?? 'false'})`;
    return `WITH ${events.ctes(['session', ...(node === 'event' ? [] : ['page']), ...(start?.columns ?? [])]).join(',\n')},
visit AS (
  SELECT session, time, tie, CAST(${quote(node)} AS VARCHAR) AS node, ${start === null ? 'false' : `(${start.condition})`} AS starts FROM used WHERE session IS NOT NULL${moved}
),
begun AS (
  SELECT * FROM visit${start === null ? '' : ' QUALIFY count_if(starts) OVER (PARTITION BY session ORDER BY time, tie ROWS UNBOUNDED PRECEDING) > 0'}
),
changed AS (SELECT * FROM begun QUALIFY node IS DISTINCT FROM lag(node) OVER (PARTITION BY session ORDER BY time, tie)),
numbered AS (
  SELECT session, node, row_number() OVER (PARTITION BY session ORDER BY time, tie) AS step, coalesce(lead(node) OVER (PARTITION BY session ORDER BY time, tie), '(end)') AS target
  FROM changed
)
SELECT step, node AS source, target, count(*) AS sessions, round(count(*) / sum(count(*)) OVER (PARTITION BY step, node), 6) AS of_source
FROM numbered WHERE step <= ${depth} GROUP BY step, node, target
QUALIFY row_number() OVER (PARTITION BY step ORDER BY sessions DESC, source, target) <= ${top}
ORDER BY step, sessions DESC, source, target`;
  },
  chart: () => ({ kind: 'sankey', x: 'source', series: 'target', y: ['sessions'] }),
  evidence(given, setting) {
    const { events, start } = parts(given, setting);
    return eventEvidence(
      'paths',
      events,
      given,
      setting,
      [`SELECT 6, 'sessions', CAST(count(DISTINCT session) AS VARCHAR) FROM used`, sessionless, ...(start === null ? [] : [unseen(start)])],
      [],
      ['session', ...(start?.columns ?? [])],
    );
  },
};

function parts(given: Given, setting: Setting) {
  const events = eventsOf('paths', given, setting);
  const node = String(given['by']);
  const depth = given['depth'] as number;
  if (depth < 1 || depth > 20) fail('ANSWER_OPTION', { answer: 'paths', option: 'depth', problem: 'it is from 1 to 20' });
  const start = given['start'] === null ? null : readStep('paths', 'start', String(given['start']), events);
  return { events, node, start, depth, top: given['top'] as number };
}
