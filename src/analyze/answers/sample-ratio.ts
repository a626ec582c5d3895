import type { Events } from './events.ts';
import { eventEvidence } from './evidence.ts';
import { whoCounts } from './experiment.ts';
import { type AnswerKind, eventOptions } from './kind.ts';
import { alarmAbove } from './normal.ts';
import { literal, quote } from './tables.ts';
import { subjects, trialOf, wanted } from './trial.ts';

/** Properties of the first exposure that are looked at where the table has them. */
const properties = ['browser', 'device', 'os', 'country', 'language', 'channel', 'source', 'campaign', 'page', 'app_version'];

/**
 * Where a sample-ratio mismatch comes from (Fabijan et al. 2019): the visitors' split within each value of each property, and what is
 * left of the mismatch without those visitors. A value whose absence brings the rest below the alarm explains it, and is on top.
 * Beside properties: the day, whether anything followed the exposure within half an hour (a redirect that loses visitors), crawlers and
 * staff (which are set aside before), and the busiest 1 % of visitors (crawlers that don't say so).
 */
export const sampleRatio: AnswerKind = {
  name: 'sample_ratio',
  title: 'Where does a lopsided split come from?',
  summary:
    'An A/B test’s visitors by browser, device, day, redirect, bot and more: observed split, chi-square, and what remains without them.',
  options: [
    { name: 'experiment', type: 'text', required: true, summary: 'The definition: experiments/<name>.yaml.' },
    { name: 'least', type: 'integer', default: 10, summary: 'Values of fewer visitors are left out.' },
    { name: 'top', type: 'integer', default: 50, summary: 'At most so many rows.' },
    ...eventOptions.filter(({ name }) => name === 'events' || name === 'orders'),
  ],
  sql(given, setting) {
    const trial = trialOf('sample_ratio', given, setting);
    const { definition, events, exposure, variant } = trial;
    const own = propertiesOf(events);
    const seen = `CAST(${quote(variant)} AS VARCHAR)`;
    const zone = literal(setting.timeZone);
    const side = (dimension: string, value: string) =>
      `SELECT variant, '${dimension}' AS dimension, CAST(${value} AS VARCHAR) AS value FROM met`;
    return `WITH ${[...events.ctes([...wanted(trial), ...own]), ...subjects(trial, setting)].join(',\n')},
met AS (
  SELECT s."user", s.variant, s.first${own.map((name) => `, arg_min(u.${quote(name)}, u.time) FILTER (WHERE u.${quote(name)} IS NOT NULL AND u.time >= s.first) AS ${quote(name)}`).join('')},
    count(*) FILTER (WHERE u.time > s.first AND u.time <= s.first + INTERVAL 30 MINUTE) > 0 AS went_on, count(*) AS events
  FROM subject AS s JOIN used AS u ON u."user" = s."user" GROUP BY ALL
),
busy AS (SELECT quantile_cont(events, 0.99) AS events FROM met),
said AS (
  ${[
    side('(all)', `'(all)'`),
    ...own.map((name) => side(name, quote(name))),
    side('day', `CAST(first AT TIME ZONE ${zone} AS DATE)`),
    side('hour', `hour(first AT TIME ZONE ${zone})`),
    side('redirect', `CASE WHEN went_on THEN 'went on after the exposure' ELSE 'nothing within 30 minutes of the exposure' END`),
    `SELECT variant, 'activity', CASE WHEN k.events > b.events THEN 'the busiest 1 %' ELSE 'others' END FROM met AS k CROSS JOIN busy AS b`,
    `SELECT variant, 'set aside', aside FROM (SELECT "user", ${seen} AS variant, any_value(aside) AS aside FROM event WHERE aside IS NOT NULL AND ${exposure.condition} GROUP BY ALL)
    WHERE variant IN (SELECT variant FROM subject)`,
    `SELECT variant, 'set aside', 'saw two variants' FROM exposed WHERE "user" NOT IN (SELECT "user" FROM subject)`,
  ].join('\n  UNION ALL ')}
),
cell AS (
  SELECT s.dimension, s.value, v.variant, count(s.value) FILTER (WHERE s.variant = v.variant) AS n, count(*) AS own, any_value(v.share) AS share
  FROM said AS s CROSS JOIN (VALUES ${definition.variants.map(({ name, share }) => `(${literal(name)}, ${share})`).join(', ')}) AS v(variant, share)
  WHERE s.value IS NOT NULL GROUP BY s.dimension, s.value, v.variant
),
whole AS (SELECT variant, n, own AS total FROM cell WHERE dimension = '(all)'),
judged AS (
  SELECT c.dimension, c.value, max(c.own) AS visitors, string_agg(c.variant || ' ' || c.n, ', ' ORDER BY c.variant) AS observed,
    sum((c.n - c.own * c.share) ** 2 / (c.own * c.share)) AS chi_square,
    sum((w.n - c.n - (w.total - c.own) * c.share) ** 2 / nullif((w.total - c.own) * c.share, 0)) FILTER (WHERE c.dimension NOT IN ('(all)', 'set aside')) AS without_it
  FROM cell AS c JOIN whole AS w USING (variant) GROUP BY c.dimension, c.value
)
SELECT dimension, value, CAST(visitors AS BIGINT) AS visitors, observed, round(chi_square, 2) AS chi_square, chi_square > ${alarmAbove(definition.variants.length)} AS alarm,
  round(without_it, 2) AS without_it,
  coalesce(without_it <= ${alarmAbove(definition.variants.length)} AND max(chi_square) FILTER (WHERE dimension = '(all)') OVER () > ${alarmAbove(definition.variants.length)} AND visitors < 0.5 * max(visitors) FILTER (WHERE dimension = '(all)') OVER (), false) AS explains
FROM judged WHERE visitors >= ${given['least']} OR dimension = '(all)'
ORDER BY dimension <> '(all)', explains DESC, chi_square DESC, dimension, value LIMIT ${given['top']}`;
  },
  evidence(given, setting) {
    const trial = trialOf('sample_ratio', given, setting);
    const meant = `SELECT 6, 'meant split', ${literal(trial.definition.variants.map(({ name, share }) => `${name} ${share}`).join(', '))}`;
    return eventEvidence(
      'sample_ratio',
      trial.events,
      trial.period,
      setting,
      [...whoCounts(trial), meant],
      subjects(trial, setting),
      wanted(trial),
    );
  },
};

const propertiesOf = ({ table }: Events) => properties.filter((name) => table.column(name) !== null);
