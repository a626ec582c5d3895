import { readDefinition, type Section } from '#definition';

export const outcomes = ['conversion', 'count', 'revenue', 'net_revenue', 'ratio', 'metric'] as const;
export const roles = ['primary', 'decision', 'guardrail', 'exploration'] as const;

/** What an experiment is judged by: whether, how often, or for how much money something happened after the first exposure. */
export interface ExperimentMetric {
  readonly name: string;
  readonly kind: (typeof outcomes)[number];
  /** event or event:property=value, for conversion and count. */
  readonly event: string;
  /** Of a ratio: revenue, net_revenue, orders, or event or event:property=value, which is counted. Empty texts for other kinds. */
  readonly numerator: string;
  readonly denominator: string;
  /** Of kind metric: the definition metrics/<metric>.yaml, and the column of its table that names the visitor (null: found by its usual names). */
  readonly metric: string;
  readonly by: string | null;
  readonly role: (typeof roles)[number];
  /** Which way is good. */
  readonly direction: 'increase' | 'decrease';
  /** The smallest change that matters, as a share of the control's mean; of a guardrail, the harm that is put up with. */
  readonly minimumEffect: number | null;
}

/** An A/B test as it was meant before it began. The first variant is the control. */
export interface Experiment {
  readonly name: string;
  readonly title: string;
  /** Who is drawn: a member over all browsers, or a browser. */
  readonly unit: 'user' | 'visitor';
  readonly salt: string;
  /** The share of units that take part. */
  readonly traffic: number;
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
  readonly power: number;
  /** Whether p-values and intervals answer for all comparisons of a family together. */
  readonly multiplicity: boolean;
  /** For how many visitors the always-valid interval is made tightest. */
  readonly planned: number;
  /** The quantile at which money is capped in a second row, or null. */
  readonly winsorise: number | null;
  /** Days before the first exposure that give the covariate of CUPED; 0 leaves it out. */
  readonly covariateDays: number;
  /** The placement that the control does without (a hold-out), or null: gives the ledger's randomised column. */
  readonly placement: string | null;
}

const known = ['title', 'unit', 'salt', 'traffic', 'exposure', 'variant', 'variants', 'metrics', 'from', 'to', 'alpha', 'power'];
const more = ['multiplicity', 'planned', 'winsorise', 'covariate_days', 'placement'];
const metricKeys = ['name', 'kind', 'event', 'numerator', 'denominator', 'metric', 'by', 'role', 'direction', 'minimum_effect'];

/** experiments/<name>.yaml as data. Pure. Errors: DEFINITION_YAML, DEFINITION_INVALID, both with the line. */
export function parseExperiment(name: string, text: string, file: string): Experiment {
  const top = readDefinition(text, file, [...known, ...more]);
  const [from, to] = [dayOf(top, 'from'), dayOf(top, 'to')];
  if (from !== null && to !== null && to < from) top.refuse('to', `is before ${from}`);
  const salt = top.text('salt') ?? name;
  // The salt ends where the unit begins.
  if (salt.includes(':')) top.refuse('salt', 'must not have ":"');
  return {
    name,
    title: top.text('title') ?? name,
    unit: top.choice('unit', ['user', 'visitor'] as const, 'user'),
    salt,
    traffic: numberOf(top, 'traffic', 0.0001, 1) ?? 1,
    exposure: top.needText('exposure'),
    variant: top.text('variant') ?? 'variant',
    variants: variantsOf(top),
    metrics: metricsOf(top),
    from,
    to,
    alpha: Number(top.choice('alpha', ['0.1', '0.05', '0.01'] as const, '0.05')) as 0.05,
    power: numberOf(top, 'power', 0.5, 0.99) ?? 0.8,
    multiplicity: top.boolean('multiplicity', true),
    planned: numberOf(top, 'planned', 10, 1e9) ?? 10_000,
    winsorise: numberOf(top, 'winsorise', 0.5, 0.9999),
    covariateDays: numberOf(top, 'covariate_days', 0, 365) ?? 14,
    placement: top.text('placement'),
  };
}

function variantsOf(top: Section): Experiment['variants'] {
  const variants = Object.entries(top.words('variants')).map(([own, share]) => ({ name: own, share: Number(share) }));
  if (variants.length < 2 || variants.length > 10) top.refuse('variants', 'must name two to ten variants, each with its share');
  if (variants.some(({ share }) => !(share > 0)) || Math.abs(variants.reduce((sum, { share }) => sum + share, 0) - 1) > 1e-9)
    top.refuse('variants', 'must have shares above 0 that sum to 1');
  return variants;
}

function metricsOf(top: Section): ExperimentMetric[] {
  const metrics = top.sections('metrics', metricKeys, 20).map((metric): ExperimentMetric => {
    const kind = metric.choice('kind', outcomes, 'conversion');
    const part = (key: 'numerator' | 'denominator' | 'metric', of: 'ratio' | 'metric') =>
      kind === of ? metric.needText(key) : metric.text(key) === null ? '' : metric.refuse(key, `is only of kind: ${of}`);
    if (kind !== 'metric' && metric.text('by') !== null) metric.refuse('by', 'is only of kind: metric');
    return {
      name: metric.needText('name', 60),
      kind,
      event: metric.text('event') ?? 'purchase',
      numerator: part('numerator', 'ratio'),
      denominator: part('denominator', 'ratio'),
      metric: part('metric', 'metric'),
      by: metric.text('by'),
      role: metric.choice('role', roles, 'decision'),
      direction: metric.choice('direction', ['increase', 'decrease'] as const, 'increase'),
      minimumEffect: numberOf(metric, 'minimum_effect', 0.0001, 100),
    };
  });
  if (metrics.length === 0) top.refuse('metrics', 'must be a list of 1 to 20 metrics');
  if (metrics.filter(({ role }) => role === 'primary').length !== 1) top.refuse('metrics', 'must have exactly one with role: primary');
  if (new Set(metrics.map((metric) => metric.name)).size < metrics.length) top.refuse('metrics', 'name one twice');
  return metrics;
}

function numberOf(section: Section, key: string, min: number, max: number): number | null {
  const found = section.text(key);
  if (found === null) return null;
  const value = Number(found);
  return Number.isFinite(value) && value >= min && value <= max ? value : section.refuse(key, `must be a number from ${min} to ${max}`);
}

function dayOf(top: Section, key: 'from' | 'to'): string | null {
  const day = top.text(key);
  if (day === null) return null;
  const real = /^\d{4}-\d{2}-\d{2}$/.test(day) && !Number.isNaN(Date.parse(day)) && new Date(day).toISOString().startsWith(day);
  return real ? day : top.refuse(key, 'must be a day, YYYY-MM-DD');
}
