import { fail } from '#core';
import { eventEvidence } from './evidence.ts';
import { funnel, funnelCtes, funnelOf } from './funnel.ts';
import type { AnswerKind, Given, Setting } from './kind.ts';
import { sessionless } from './steps.ts';
import { literal, quote } from './tables.ts';

const usual = ['device', 'browser', 'country', 'source', 'medium', 'channel', 'operating_system'];

/**
 * Those who reached a step and left there beside those who went on, by their properties (a unit's first value). z compares the share that
 * leaves among a value's units with that of all others (two proportions, pooled): above 3 it is hardly chance, whatever its cause. Where
 * fewer than 5 would be expected in any of the four cells it says nothing (Cochran 1954) and is NULL.
 */
export const dropoff: AnswerKind = {
  name: 'dropoff',
  title: 'Who leaves the funnel, compared with who stays?',
  summary: 'For one step of a funnel: the values of properties under which visitors leave more often than the others.',
  options: [
    ...funnel.options.filter(({ name }) => name !== 'by'),
    { name: 'step', type: 'integer', default: 1, summary: 'The step at which they leave, from 1.' },
    { name: 'properties', type: 'list', summary: `Columns of the events. Default: those of ${usual.join(', ')} that are there.` },
  ],
  sql(given, setting) {
    const { step, properties } = parts(given, setting);
    const unit = given['unit'] === 'session' ? 'session' : '"user"';
    const one = (property: string) =>
      `SELECT ${literal(property)} AS property, u.${quote(property)} AS value, len(b.times) = ${step} AS gone FROM best AS b JOIN about AS u ON u.unit = b.unit WHERE len(b.times) >= ${step}`;
    return `WITH ${funnelCtes(asFunnel(given), setting, properties).join(',\n')},
about AS (
  SELECT ${unit} AS unit, ${properties.map((property) => `arg_min(CAST(${quote(property)} AS VARCHAR), time) FILTER (WHERE ${quote(property)} IS NOT NULL) AS ${quote(property)}`).join(', ')} FROM used GROUP BY ALL
),
trait AS (
  ${properties.map(one).join('\n  UNION ALL ')}
),
counted AS (SELECT property, value, count(*) AS reached, count(*) FILTER (WHERE gone) AS gone FROM trait GROUP BY property, value),
compared AS (
  SELECT *, sum(reached) OVER (PARTITION BY property) AS all_reached, sum(gone) OVER (PARTITION BY property) AS all_gone FROM counted
)
SELECT property, value, reached, gone AS left_here, reached - gone AS stayed, round(gone / reached, 6) AS share_left,
  round((all_gone - gone) / nullif(all_reached - reached, 0), 6) AS share_left_others,
  CASE WHEN least(reached, all_reached - reached) * least(all_gone, all_reached - all_gone) / all_reached >= 5 THEN round((gone / reached - (all_gone - gone) / nullif(all_reached - reached, 0))
    / nullif(sqrt(all_gone / all_reached * (1 - all_gone / all_reached) * (1 / reached + 1 / nullif(all_reached - reached, 0))), 0), 3) END AS z
FROM compared ORDER BY abs(z) DESC NULLS LAST, reached DESC, property, value`;
  },
  evidence(given, setting) {
    const { step, properties } = parts(given, setting);
    const all = funnelCtes(asFunnel(given), setting, properties);
    const funnelOnly = all.slice(all.findIndex((cte) => cte.startsWith('hit AS')));
    const { events, steps } = funnelOf(asFunnel(given), setting);
    const more = [
      `SELECT 6, 'reached step ${step}', CAST(count(*) FILTER (WHERE len(times) >= ${step}) AS VARCHAR) FROM best`,
      ...(given['unit'] === 'session' ? [sessionless] : []),
    ];
    return eventEvidence('dropoff', events, given, setting, more, funnelOnly, [
      ...(given['unit'] === 'session' ? ['session'] : []),
      ...steps.flatMap((each) => each.columns),
      ...properties,
    ]);
  },
};

const asFunnel = (given: Given): Given => ({ ...given, by: null });

function parts(given: Given, setting: Setting): { step: number; properties: readonly string[] } {
  const { events, steps } = funnelOf(asFunnel(given), setting);
  const step = given['step'] as number;
  if (step < 1 || step >= steps.length)
    fail('ANSWER_OPTION', { answer: 'dropoff', option: 'step', problem: `it is from 1 to ${steps.length - 1}; nobody leaves the last` });
  const asked = given['properties'] as readonly string[];
  const properties = (asked.length > 0 ? asked : usual.filter((name) => events.table.column(name) !== null)).map((name) =>
    name.toLowerCase(),
  );
  const missing = properties.find((name) => events.table.column(name) === null);
  if (missing !== undefined) fail('ANSWER_COLUMN', { table: events.table.name, what: 'the properties', names: missing });
  if (properties.length === 0)
    fail('ANSWER_OPTION', { answer: 'dropoff', option: 'properties', problem: 'the events have none of the usual ones; name some' });
  return { step, properties };
}
