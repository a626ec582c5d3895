import { fail } from '#core';
import { factCte, saleCtes } from './customer.ts';
import { type Events, eventsOf } from './events.ts';
import { eventEvidence } from './evidence.ts';
import { type AnswerKind, eventOptions, type Given, type Setting } from './kind.ts';
import { fitLikeness, type Seen } from './lookalike-fit.ts';
import { literal } from './tables.ts';

/** At most so many of each kind are read for the fit; beyond it every k-th by a hash is taken. */
const MOST = 20_000;
const FEWEST = 50;

/** What visitors do, without what they buy: of that the segment is made. Counts go in as ln(1 + n). */
const kinds = ['page_view', 'view_item_list', 'select_item', 'select_promotion', 'view_item', 'add_to_cart', 'begin_checkout'] as const;
const features = [...kinds, 'days', 'recency_days'] as const;

/**
 * Visitors who are not in a segment, by how much they behave like its members: logistic regression of membership on what was counted of
 * each visitor (`fitLikeness`), fitted before the SQL is written; its numbers stand in it. Members and others are sampled apart, which
 * moves the constant alone (King, Zeng 2001, section 4.1); it is moved back, so that `likeness` is a chance among all visitors.
 */
export const lookalike: AnswerKind = {
  name: 'lookalike',
  title: 'Who behaves like the segment’s members?',
  summary: 'Visitors outside a segment by likeness to its members, told from what they do in the shop, not from what they buy.',
  options: [
    { name: 'segment', type: 'text', required: true, summary: 'The definition: segments/<name>.yaml.' },
    { name: 'top', type: 'integer', default: 1000, summary: 'At most so many visitors.' },
    ...eventOptions,
  ],
  fit(given, setting) {
    return {
      sql: `WITH ${ctesOf(given, setting).join(',\n')},
size AS (SELECT count(*) FILTER (WHERE member) AS members, count(*) FILTER (WHERE NOT member) AS others FROM visitor)
SELECT ${features.join(', ')}, member, hash(hash(CAST("user" AS VARCHAR))) % 2 = 1 AS held, members, others FROM visitor CROSS JOIN size
WHERE hash(CAST("user" AS VARCHAR)) % greatest(1, CAST(ceil((CASE WHEN member THEN members ELSE others END) / ${MOST}) AS BIGINT)) = 0 ORDER BY "user"`,
      rows: 3 * MOST,
      made(rows) {
        const [members, others] = [Number(rows[0]?.['members'] ?? 0), Number(rows[0]?.['others'] ?? 0)];
        const few = (found: number, what: string) => fail('ANSWER_TOO_FEW', { answer: 'lookalike', found, what, needs: FEWEST });
        if (members < FEWEST) few(members, 'members of the segment among the visitors');
        if (others < FEWEST) few(others, 'visitors outside the segment');
        const seen = rows.map((row): Seen => {
          return { x: features.map((name) => Number(row[name])), member: row['member'] === true, held: row['held'] === true };
        });
        const { weights, means, deviations, area } = fitLikeness(seen);
        const taken = seen.filter(({ member }) => member).length;
        const shift = Math.log(members / taken) - Math.log(others / (seen.length - taken));
        return {
          constant: weights.at(-1)! + shift - features.reduce((sum, _, k) => sum + (weights[k]! * means[k]!) / deviations[k]!, 0),
          ...Object.fromEntries(features.map((name, k) => [`of_${name}`, weights[k]! / deviations[k]!])),
          area,
        };
      },
    };
  },
  sql(given, setting) {
    const score = features.map((name) => `CAST(${number(given, `of_${name}`)} AS DOUBLE) * ${name}`).join(' + ');
    return `WITH ${ctesOf(given, setting).join(',\n')}
SELECT "user", round(1 / (1 + exp(-(CAST(${number(given, 'constant')} AS DOUBLE) + ${score}))), 6) AS likeness,
  ${kinds.map((kind) => `CAST(round(exp(${kind}) - 1) AS BIGINT) AS ${kind}`).join(', ')}, CAST(round(exp(days) - 1) AS BIGINT) AS days, CAST(round(exp(recency_days) - 1) AS BIGINT) AS recency_days
FROM visitor WHERE NOT member ORDER BY likeness DESC, "user" LIMIT ${given['top']}`;
  },
  evidence(given, setting) {
    const { events } = parts(given, setting);
    const weights = features.map((name) => `${name} ${number(given, `of_${name}`).toPrecision(3)}`).join(', ');
    return eventEvidence(
      'lookalike',
      events,
      given,
      setting,
      [
        `SELECT 6, 'members of the segment, other visitors', (SELECT count(*) FILTER (WHERE member) || ', ' || count(*) FILTER (WHERE NOT member) FROM visitor)`,
        `SELECT 6, 'rule', ${literal(setting.segment(String(given['segment'])).where)}`,
        `SELECT 6, 'members told from others (area under the curve, visitors that the fit did not see)', '${number(given, 'area').toFixed(3)}'`,
        `SELECT 6, 'weights of ln(1 + n)', ${literal(weights)}`,
        ...(number(given, 'area') < 0.6
          ? [`SELECT 8, 'caveat: members hardly behave otherwise than others', '${number(given, 'area').toFixed(3)}'`]
          : []),
        ...(unreported(events)
          ? [
              `SELECT 8, 'caveat: members are customers whose id the events carry as user_id', 'this table has no user_id beside the browser’s'`,
            ]
          : []),
      ],
      // The evidence has `shop_order` by itself.
      visitorCtes(given, setting).slice(1),
    );
  },
};

const number = (given: Given, name: string): number => Number(given[name]);
const unreported = ({ table, shape }: Events): boolean =>
  shape === 'flat' && table.column('user_pseudo_id') !== null && table.column('user_id') === null;

function parts(given: Given, setting: Setting) {
  return { events: eventsOf('lookalike', given, setting), where: setting.segment(String(given['segment'])).where };
}

const ctesOf = (given: Given, setting: Setting): string[] => [...parts(given, setting).events.ctes(), ...visitorCtes(given, setting)];

/** `shop_order` and what follows, to `visitor`: "user", the features as ln(1 + n), whether it is a member. Needs `used`. */
function visitorCtes(given: Given, setting: Setting): string[] {
  const { where } = parts(given, setting);
  // The segment is what it is today, whatever days of behaviour are asked for.
  const orders = { ...given, from: null, to: null };
  const counted = kinds.map((kind) => `ln(1 + count(*) FILTER (WHERE event = '${kind}')) AS ${kind}`).join(', ');
  return [
    ...saleCtes('lookalike', orders, setting),
    'today AS (SELECT max(day) AS day FROM sale)',
    factCte('fact', 'today'),
    `member AS (SELECT CAST(customer AS VARCHAR) AS customer FROM fact WHERE (${where}\n))`,
    `visitor AS (
  SELECT "user", ${counted}, ln(1 + count(DISTINCT day)) AS days, ln(1 + date_diff('day', max(day), (SELECT max(day) FROM used))) AS recency_days,
    CAST("user" AS VARCHAR) IN (SELECT customer FROM member) AS member
  FROM used GROUP BY "user"
)`,
  ];
}
