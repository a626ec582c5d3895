import { readDefinition } from './definition.ts';

export const outcomes = ['conversion', 'count', 'revenue', 'net_revenue'] as const;

/** What an experiment is judged by: whether, how often, or for how much money something happened after the first exposure. */
export interface ExperimentMetric {
  readonly name: string;
  readonly kind: (typeof outcomes)[number];
  /** event or event:property=value, for conversion and count. */
  readonly event: string;
  readonly role: 'primary' | 'decision' | 'guardrail' | 'exploration';
}

/** An A/B test as it was meant before it began. The unit is the visitor; the first variant is the control. */
export interface Experiment {
  readonly name: string;
  readonly title: string;
  /** event or event:property=value. */
  readonly exposure: string;
  /** The property of the exposure that names the variant. */
  readonly variant: string;
  readonly variants: readonly { readonly name: string; readonly share: number }[];
  readonly metrics: readonly ExperimentMetric[];
  /** Days of the workspace's zone, or null. */
  readonly from: string | null;
  readonly to: string | null;
  readonly alpha: 0.1 | 0.05 | 0.01;
  /** For how many visitors the always-valid interval is made tightest. */
  readonly planned: number;
  /** The quantile at which money is capped in a second row, or null. */
  readonly winsorise: number | null;
  /** Days before the first exposure that give the covariate of CUPED; 0 leaves it out. */
  readonly covariateDays: number;
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const known = ['title', 'exposure', 'variant', 'variants', 'metrics', 'from', 'to', 'alpha', 'planned', 'winsorise', 'covariate_days'];

/** experiments/<name>.yaml as data. Pure. Errors: DEFINITION_YAML, DEFINITION_INVALID, both with the line. */
export function parseExperiment(name: string, text: string, file: string): Experiment {
  const top = readDefinition(text, file, known);
  const number = (key: string, min: number, max: number, absent: number | null) => {
    const found = top.text(key);
    if (found === null) return absent;
    const value = Number(found);
    return Number.isFinite(value) && value >= min && value <= max ? value : top.refuse(key, `must be a number from ${min} to ${max}`);
  };
  const variants = Object.entries(top.words('variants')).map(([own, share]) => ({ name: own, share: Number(share) }));
  if (variants.length < 2 || variants.length > 10) top.refuse('variants', 'must name two to ten variants, each with its share');
  if (variants.some(({ share }) => !(share > 0)) || Math.abs(variants.reduce((sum, { share }) => sum + share, 0) - 1) > 1e-9)
    top.refuse('variants', 'must have shares above 0 that sum to 1');
  const metrics = top.sections('metrics', ['name', 'kind', 'event', 'role']).map((metric) => ({
    name: metric.needText('name', 60),
    kind: metric.choice('kind', outcomes, 'conversion'),
    event: metric.text('event') ?? 'purchase',
    role: metric.choice('role', ['primary', 'decision', 'guardrail', 'exploration'] as const, 'decision'),
  }));
  if (metrics.length === 0 || metrics.length > 20) top.refuse('metrics', 'must be a list of 1 to 20 metrics');
  if (metrics.filter(({ role }) => role === 'primary').length !== 1) top.refuse('metrics', 'must have exactly one with role: primary');
  if (new Set(metrics.map((metric) => metric.name)).size < metrics.length) top.refuse('metrics', 'name one twice');
  const [from, to] = (['from', 'to'] as const).map((key) => {
    const day = top.text(key);
    return day === null || DAY.test(day) ? day : top.refuse(key, 'must be a day, YYYY-MM-DD');
  }) as [string | null, string | null];
  if (from !== null && to !== null && to < from) top.refuse('to', `is before ${from}`);
  return {
    name,
    title: top.text('title') ?? name,
    exposure: top.needText('exposure'),
    variant: top.text('variant') ?? 'variant',
    variants,
    metrics,
    from,
    to,
    alpha: Number(top.choice('alpha', ['0.1', '0.05', '0.01'] as const, '0.05')) as 0.05,
    planned: number('planned', 10, 1e9, 10_000)!,
    winsorise: number('winsorise', 0.5, 0.9999, null),
    covariateDays: number('covariate_days', 0, 365, 14)!,
  };
}
