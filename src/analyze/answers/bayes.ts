import { fail } from '#core';
import type { ExperimentMetric } from '#experiment';
import { eventEvidence } from './evidence.ts';
import { spentCaveats, spentCte, whoCounts } from './experiment.ts';
import { type AnswerKind, eventOptions, type Given, moneyOption } from './kind.ts';
import { literal } from './tables.ts';
import { control, metricCaveats, outcomes, subjects, trialOf, wanted } from './trial.ts';

/** Of so many candidates for a draw all are rejected with a probability below 1e-7 (acceptance is above 0.95 for shapes from 1). */
const candidates = 6;

/** Below so many visitors the mean of counts and ratios is hardly normal. */
const fewVisitors = 30;

/**
 * The posterior of each variant by draws that are the same in every run. Conversion: Beta(1 + buyers, 1 + others). Money by visitor is
 * a hurdle: that Beta times the mean of those who spent, whose posterior is inverse gamma (Gamma amounts, shape by moments, a prior that
 * weighs one buyer of the pooled mean). Counts by visitor: their mean under the reference prior is Student's t with n − 1 degrees of
 * freedom around the sample's mean, scale s / √n (Gelman et al., Bayesian Data Analysis, 3rd edition, section 3.2), which needs no
 * Poisson and holds for overdispersed counts; ratios: the same for their linearisation (delta method). Gamma draws by Marsaglia and
 * Tsang (2000). Expected loss: what is given up on average by taking the variant where another one is better. No correction for looking
 * often: see `experiment`. Cost: draws × variants × metrics.
 */
export const experimentBayes: AnswerKind = {
  name: 'experiment_bayes',
  title: 'How likely is it that the change pays?',
  summary:
    'An A/B test read by Bayes: posterior of conversion, money, counts and ratios, probability to beat the control and to be best, expected loss.',
  options: [
    { name: 'experiment', type: 'text', required: true, summary: 'The definition: experiments/<name>.yaml.' },
    { name: 'draws', type: 'integer', default: 10_000, summary: 'Draws from each posterior, 1000 to 100000.' },
    ...eventOptions.filter(({ name }) => name === 'events' || name === 'orders'),
    moneyOption,
  ],
  sql(given, setting) {
    const trial = trialOf('experiment_bayes', given, setting);
    const { definition, events } = trial;
    const draws = drawsOf(given);
    const roles = definition.metrics.map(
      ({ name, kind, role, direction }, at) =>
        `(${literal(name)}, '${role}', ${at}, ${direction === 'increase' ? 1 : -1}, '${formOf(kind)}')`,
    );
    // A number of its own for each part, draw, candidate and use: hashes of single integers scatter, those of joined texts cost ten times as much.
    const uniform = (use: number) => `(CAST(hash(place + ${use}) >> 11 AS DOUBLE) + 0.5) / 9007199254740992`;
    const normal = (one: number, two: number) => `sqrt(-2 * ln(${uniform(one)})) * cos(2 * pi() * ${uniform(two)})`;
    const treated = (value: string) => `CASE WHEN p.variant <> ${control(definition)} THEN ${value} END`;
    const [low, high] = [definition.alpha / 2, 1 - definition.alpha / 2];
    return `WITH ${[...events.ctes(wanted(trial)), ...subjects(trial, setting), ...outcomes('experiment_bayes', definition, events, trial.days, setting)].join(',\n')},
role(metric, role, ord, sign, form) AS (VALUES ${roles.join(', ')}),
moment AS (
  -- Whoever got more back than he paid counts as one who spent nothing.
  SELECT metric, any_value(form) AS form, variant, count(*) AS visitors, avg(y) AS mean, coalesce(var_samp(y), 0) AS variance, count(*) FILTER (WHERE y > 0) AS buyers, coalesce(sum(y) FILTER (WHERE y > 0), 0) AS spent,
    avg(y) FILTER (WHERE y > 0) AS own, var_samp(y) FILTER (WHERE y > 0) AS spread
  FROM outcome JOIN role USING (metric) GROUP BY metric, variant
),
pooled AS (SELECT metric, sum(spent) / nullif(sum(buyers), 0) AS mean FROM moment GROUP BY metric),
shape AS (
  -- The shape of the amounts by moments, within reason where they are all the same or too few to tell.
  SELECT m.*, p.mean AS prior, coalesce(least(1e4, greatest(1e-3, own * own / nullif(spread, 0))), CASE WHEN buyers > 1 THEN 1e4 ELSE 1 END) AS k
  FROM moment AS m JOIN pooled AS p USING (metric)
),
part AS (
  SELECT metric, variant, 'buy' AS part, 1.0 + buyers AS shape FROM shape WHERE form <> 'mean'
  UNION ALL SELECT metric, variant, 'not', 1.0 + visitors - buyers FROM shape WHERE form <> 'mean'
  UNION ALL SELECT metric, variant, 'amount', k * (1 + buyers) FROM shape WHERE form = 'money' AND prior IS NOT NULL
  UNION ALL SELECT metric, variant, 'spread', (visitors - 1) / 2 FROM shape WHERE form = 'mean' AND visitors > 1
),
candidate AS (
  SELECT metric, variant, part, shape, draw, try, CASE WHEN shape < 1 THEN shape + 1 ELSE shape END - 1.0 / 3 AS d, ${uniform(0)} AS u,
    ${normal(1, 2)} AS x, ${uniform(3)} AS boost, ${normal(4, 5)} AS z
  FROM (SELECT *, (hash(metric || '/' || variant || '/' || part) >> 8) + CAST((draw * ${candidates} + try) * 8 AS UBIGINT) AS place
    FROM part CROSS JOIN range(${draws}) AS n(draw) CROSS JOIN range(${candidates}) AS t(try))
),
cubed AS (SELECT *, (1 + x / sqrt(9 * d)) ** 3 AS v FROM candidate),
gamma AS (
  SELECT metric, variant, part, draw, arg_min(d * v * CASE WHEN shape < 1 THEN boost ** (1 / shape) ELSE 1 END, try) AS g, arg_min(z, try) AS z
  FROM cubed WHERE v > 0 AND ln(u) < 0.5 * x * x + d - d * v + d * ln(CASE WHEN v > 0 THEN v ELSE 1 END) GROUP BY metric, variant, part, draw
),
drawn AS (
  SELECT metric, variant, draw, any_value(g) FILTER (WHERE part = 'buy') AS buy, any_value(g) FILTER (WHERE part = 'not') AS no, any_value(g) FILTER (WHERE part = 'amount') AS amount,
    any_value(z / sqrt(g)) FILTER (WHERE part = 'spread') AS t
  FROM gamma GROUP BY metric, variant, draw
),
posterior AS (
  SELECT d.metric, d.variant, d.draw, r.sign, CASE r.form WHEN 'mean' THEN f.mean + t * sqrt(f.variance / f.visitors * (f.visitors - 1) / 2)
    WHEN 'money' THEN buy / (buy + no) * coalesce(f.k * (f.spent + f.prior) / d.amount, 0) ELSE buy / (buy + no) END AS value
  FROM drawn AS d JOIN shape AS f ON f.metric = d.metric AND f.variant = d.variant JOIN role AS r ON r.metric = d.metric
),
beside AS (
  SELECT *, max(sign * value) OVER (PARTITION BY metric, draw) AS best, any_value(value) FILTER (WHERE variant = ${control(definition)}) OVER (PARTITION BY metric, draw) AS base
  FROM posterior
)
SELECT p.metric, r.role, p.variant, f.visitors, f.buyers, avg(p.value) AS mean, quantile_cont(p.value, ${low}) AS low, quantile_cont(p.value, ${high}) AS high,
  ${treated('avg(p.value - p.base)')} AS difference, ${treated(`quantile_cont(p.value - p.base, ${low})`)} AS difference_low, ${treated(`quantile_cont(p.value - p.base, ${high})`)} AS difference_high,
  ${treated('avg(p.value / nullif(p.base, 0) - 1)')} AS lift,
  ${treated('avg(CAST(p.sign * (p.value - p.base) > 0 AS DOUBLE))')} AS probability_to_beat,
  avg(CAST(p.sign * p.value >= p.best AS DOUBLE)) AS probability_best, avg(p.best - p.sign * p.value) AS expected_loss
FROM beside AS p JOIN role AS r USING (metric) JOIN shape AS f ON f.metric = p.metric AND f.variant = p.variant
GROUP BY p.metric, r.role, r.ord, p.variant, f.visitors, f.buyers ORDER BY r.ord, p.variant`;
  },
  evidence(given, setting) {
    const trial = trialOf('experiment_bayes', given, setting);
    const draws = drawsOf(given);
    const means = trial.definition.metrics.filter(({ kind }) => formOf(kind) === 'mean').map(({ name }) => name);
    const more = [
      ...whoCounts(trial),
      ...metricCaveats('experiment_bayes', trial.definition, trial.exposure, trial.events, trial.days, setting),
      ...spentCaveats(trial, ', counted as none'),
      `SELECT 6, 'probabilities are right to', '± ${(Math.sqrt(0.25 / draws) * 2).toFixed(4)} (${draws} draws, two standard errors)'`,
      ...(means.length === 0
        ? []
        : [
            `SELECT 8, 'caveat: fewer than ${fewVisitors} visitors of a variant, as if the mean were normal', ${literal(means.join(', '))} WHERE (SELECT min(n) FROM (SELECT count(*) AS n FROM subject GROUP BY variant)) < ${fewVisitors}`,
          ]),
    ];
    const ctes = [...subjects(trial, setting), spentCte(trial, given, setting)];
    return eventEvidence('experiment_bayes', trial.events, trial.period, setting, more, ctes, wanted(trial));
  },
};

/** Which posterior a metric has. */
function formOf(kind: ExperimentMetric['kind']): 'conversion' | 'money' | 'mean' {
  switch (kind) {
    case 'conversion':
      return 'conversion';
    case 'revenue':
    case 'net_revenue':
      return 'money';
    case 'count':
    case 'ratio':
    case 'metric':
      return 'mean';
  }
}

function drawsOf(given: Given): number {
  const draws = given['draws'] as number;
  return draws >= 1000 && draws <= 100_000
    ? draws
    : fail('ANSWER_OPTION', { answer: 'experiment_bayes', option: 'draws', problem: 'it is from 1000 to 100000' });
}
