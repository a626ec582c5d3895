import { fail } from '#core';
import { type Events, eventsOf } from './events.ts';
import { eventEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, type Setting } from './kind.ts';
import { secondsOf } from './options.ts';
import { readStep, type Step, sessionless } from './steps.ts';
import { literal, quote } from './tables.ts';

const MOST_STEPS = 12;

/**
 * A unit counts with its deepest run: of the runs that begin at any occurrence of the first step, the one that gets furthest within the
 * window, the earliest of equals. `ordered`: each step is the next of its kind, whatever lies between; `strict`: nothing lies between;
 * `unordered`: a run begins at any step, and entered at k means that k of the steps happened. An event may stand for two steps only
 * in `unordered`. Cost: a sort of the events by unit and one pass a step.
 */
export const funnel: AnswerKind = {
  name: 'funnel',
  title: 'How far do visitors come, and where do they leave?',
  summary: 'Visitors or sessions by the furthest step they reached, with conversion, losses and the time that each step took.',
  options: [
    { name: 'steps', type: 'list', required: true, summary: 'Two to twelve steps: event, or event:property=value.' },
    {
      name: 'order',
      type: 'choice',
      choices: ['ordered', 'strict', 'unordered'],
      default: 'ordered',
      summary: 'Whether other events may lie between, and in which order.',
    },
    { name: 'window', type: 'text', default: '7d', summary: 'How long after the first step the last may come: 30m, 24h, 7d.' },
    { name: 'unit', type: 'choice', choices: ['user', 'session'], default: 'user', summary: 'Who must take all steps.' },
    { name: 'by', type: 'text', summary: 'A property of the first step: one funnel for each of its values.' },
    ...eventOptions,
  ],
  sql(given, setting) {
    const { steps, by } = funnelOf(given, setting);
    const own = `(${by === null ? '' : 'PARTITION BY "by" '}ORDER BY step)`;
    return `WITH ${funnelCtes(given, setting).join(',\n')},
counted AS (
${steps.map((step, at) => countStep(step, at + 1, by)).join('\n  UNION ALL\n')}
)
SELECT step, name, ${by === null ? '' : '"by", '}entered,
  round(entered / nullif(first_value(entered) OVER ${own}, 0), 6) AS of_first,
  round(entered / nullif(lag(entered) OVER ${own}, 0), 6) AS of_previous,
  entered - coalesce(lead(entered) OVER ${own}, entered) AS left_here,
  median_seconds, p90_seconds
FROM counted ORDER BY ${by === null ? '' : '"by", '}step`;
  },
  chart: (given) => ({
    ...(given['by'] === null ? { kind: 'funnel' } : { kind: 'bar', series: 'by' }),
    x: 'name',
    y: ['entered'],
  }),
  evidence(given, setting) {
    const { events, steps } = funnelOf(given, setting);
    const more = steps.map(
      (step) => `SELECT 6, 'events of the step ' || ${literal(step.name)}, CAST(count(*) AS VARCHAR) FROM used WHERE ${step.condition}`,
    );
    const bySession = given['unit'] === 'session';
    const columns = [...(bySession ? ['session'] : []), ...wantedOf(steps, null)];
    return eventEvidence('funnel', events, given, setting, [...more, ...(bySession ? [sessionless] : [])], [], columns);
  },
};

export interface Parts {
  readonly events: Events;
  readonly steps: readonly Step[];
  readonly by: string | null;
}

export function funnelOf(given: Given, setting: Setting): Parts {
  const events = eventsOf('funnel', given, setting);
  const asked = given['steps'] as readonly string[];
  if (asked.length < 2 || asked.length > MOST_STEPS)
    fail('ANSWER_OPTION', { answer: 'funnel', option: 'steps', problem: `a funnel has 2 to ${MOST_STEPS} steps, not ${asked.length}` });
  return {
    events,
    steps: asked.map((text) => readStep('funnel', 'steps', text, events)),
    by: (given['by'] as string | null)?.toLowerCase() ?? null,
  };
}

const wantedOf = (steps: readonly Step[], by: string | null) => [...steps.flatMap((step) => step.columns), ...(by === null ? [] : [by])];

/** `best`: unit and the times of the steps of its deepest run; before it `used` with the `more` columns. */
export function funnelCtes(given: Given, setting: Setting, more: readonly string[] = []): string[] {
  const { events, steps, by } = funnelOf(given, setting);
  const unit = given['unit'] === 'session' ? 'session' : '"user"';
  const strict = given['order'] === 'strict';
  const byColumn = by === null ? '' : `, CAST(${quote(by)} AS VARCHAR) AS "by"`;
  const flags = steps.map((step, at) => `${step.condition} AS is${at + 1}`).join(', ');
  return [
    ...events.ctes([...(unit === 'session' ? ['session'] : []), ...wantedOf(steps, by), ...more]),
    `hit AS (
  -- n numbers the events of a unit, so that equal times have an order.
  SELECT ${unit} AS unit, time, row_number() OVER (PARTITION BY ${unit} ORDER BY time, tie) AS n${byColumn}, ${flags}
  FROM used WHERE ${unit} IS NOT NULL${strict ? '' : ` AND (${steps.map((step) => `(${step.condition})`).join(' OR ')})`}
)`,
    ...(given['order'] === 'unordered' ? unordered(steps.length, by) : inOrder(steps.length, by, strict)),
    `run AS (
  SELECT unit, n1${by === null ? '' : ', "by"'}, ${timesWithin(steps.length, secondsOf('funnel', 'window', String(given['window'])), given['order'] === 'unordered')} AS times FROM chain
)`,
    `best AS (SELECT * FROM run QUALIFY row_number() OVER (PARTITION BY unit ORDER BY len(times) DESC, n1) = 1)`,
  ];
}

/** ASOF joins a NULL to the last row of its unit (docs/sql.md): a step after one that nobody reached would be reached. */
const NOTHING_AFTER = '9223372036854775807';

/** chain: a row for each occurrence of the first step, with the times of the steps that follow it (NULL where none does). */
function inOrder(count: number, by: string | null, strict: boolean): string[] {
  const first = `s1 AS (SELECT unit, n AS n1, time AS t1${by === null ? '' : ', "by"'} FROM hit WHERE is1)`;
  const later = Array.from({ length: count - 1 }, (_, at) => {
    const k = at + 2;
    const next = `(SELECT unit, n, time FROM hit WHERE is${k})`;
    const join = strict
      ? `LEFT JOIN ${next} AS x ON x.unit = s.unit AND x.n = s.n${k - 1} + 1`
      : `ASOF LEFT JOIN ${next} AS x ON x.unit = s.unit AND x.n > coalesce(s.n${k - 1}, ${NOTHING_AFTER})`;
    return `s${k} AS (SELECT s.*, x.n AS n${k}, x.time AS t${k} FROM s${k - 1} AS s ${join})`;
  });
  return [first, ...later, `chain AS (SELECT * FROM s${count})`];
}

/** chain: a row for each event of any step, with the time of the next event of each step from there on. */
function unordered(count: number, by: string | null): string[] {
  const start = `s0 AS (SELECT unit, n AS n1, time AS t0${by === null ? '' : ', "by"'} FROM hit)`;
  const later = Array.from({ length: count }, (_, at) => {
    const k = at + 1;
    return `s${k} AS (SELECT s.*, x.time AS t${k} FROM s${k - 1} AS s ASOF LEFT JOIN (SELECT unit, n, time FROM hit WHERE is${k}) AS x ON x.unit = s.unit AND x.n >= s.n1)`;
  });
  return [start, ...later, `chain AS (SELECT * FROM s${count})`];
}

/** The times of the steps that were reached within the window, as a list. */
function timesWithin(count: number, seconds: number, anyOrder: boolean): string {
  const all = `[${Array.from({ length: count }, (_, at) => `t${at + 1}`).join(', ')}]`;
  const kept = `list_filter(${all}, lambda t: t <= ${anyOrder ? 't0' : 't1'} + INTERVAL ${seconds} SECOND)`;
  return anyOrder ? `list_sort(${kept})` : kept;
}

function countStep(step: Step, k: number, by: string | null): string {
  const took = k === 1 ? 'NULL::DOUBLE' : `(epoch_ms(times[${k}]) - epoch_ms(times[${k - 1}])) / 1000`;
  const quantile = (share: string) =>
    k === 1 ? 'NULL::DOUBLE' : `round(quantile_cont(${took}, ${share}) FILTER (WHERE len(times) >= ${k}), 3)`;
  return `  SELECT ${k} AS step, ${literal(step.name)} AS name, ${by === null ? '' : '"by", '}count(*) FILTER (WHERE len(times) >= ${k}) AS entered,
    ${quantile('0.5')} AS median_seconds, ${quantile('0.9')} AS p90_seconds FROM best${by === null ? '' : ' GROUP BY "by"'}`;
}
