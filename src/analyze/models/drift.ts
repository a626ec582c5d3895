/**
 * Whether rows are still like those of the training: counts in bins beside counts in bins, by column. PSI says how far they are apart
 * (Siddiqi 2006), the chi-squared test of homogeneity how likely that is by chance; the false alarm rate is held over all columns
 * of one look together (Bonferroni).
 */
import type { ColumnData } from '#learn';

/** Counts of the training rows. Numbers: below the first edge, between edges, from the last on; levels: each, then all others. The last count is of missing values. */
export type Reference =
  | { readonly kind: 'number'; readonly edges: readonly number[]; readonly counts: readonly number[] }
  | { readonly kind: 'levels'; readonly levels: readonly string[]; readonly counts: readonly number[] };

export interface Drift {
  readonly psi: number;
  readonly statistic: number;
  readonly p: number;
}

const BINS = 10;
const LEVELS = 30;
/** Bins that expect fewer rows are put together: below it the test's distribution is not the chi-squared one (Cochran 1954). */
const LEAST_EXPECTED = 5;

/** The bins of a column: tenths of its known numbers, or its most frequent levels. */
export function referenceOf(column: ColumnData): Reference {
  if (column.kind === 'text') {
    const counts = new Map<string, number>();
    for (const value of column.values) if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
    const levels = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)! || (a < b ? -1 : 1)).slice(0, LEVELS);
    return counted({ kind: 'levels', levels, counts: [] }, column);
  }
  const known = column.values.filter(Number.isFinite).sort();
  const edges = Array.from({ length: BINS - 1 }, (_, k) => known[Math.floor(((k + 1) * known.length) / BINS)]!);
  return counted({ kind: 'number', edges: known.length === 0 ? [] : [...new Set(edges)], counts: [] }, column);
}

/** The same bins with the counts of another column. */
export function counted(bins: Reference, column: ColumnData): Reference {
  if (bins.kind === 'levels') {
    const places = new Map(bins.levels.map((level, k) => [level, k]));
    const counts = new Array<number>(bins.levels.length + 2).fill(0);
    for (const value of column.values) {
      const missing = value === null || Number.isNaN(value);
      counts[missing ? counts.length - 1 : (places.get(String(value)) ?? bins.levels.length)]!++;
    }
    return { ...bins, counts };
  }
  const counts = new Array<number>(bins.edges.length + 2).fill(0);
  for (const value of column.values) {
    const number = value === null ? Number.NaN : Number(value);
    counts[Number.isFinite(number) ? bins.edges.filter((edge) => number >= edge).length : counts.length - 1]!++;
  }
  return { ...bins, counts };
}

/** How far the counts of a window are from those of the training. Both have at least one row. */
export function driftOf(reference: readonly number[], window: readonly number[]): Drift {
  const [before, now] = pooled(reference, window);
  const [n, m] = [sum(before), sum(now)];
  let psi = 0;
  let statistic = 0;
  before.forEach((count, k) => {
    // Half a row, so that a bin that is empty on one side has a logarithm.
    const [a, b] = [Math.max(count, 0.5) / n, Math.max(now[k]!, 0.5) / m];
    psi += (b - a) * Math.log(b / a);
    const expected = (count + now[k]!) / (n + m);
    if (expected > 0) statistic += (count - n * expected) ** 2 / (n * expected) + (now[k]! - m * expected) ** 2 / (m * expected);
  });
  return { psi, statistic, p: before.length < 2 ? 1 : chiSquaredAbove(statistic, before.length - 1) };
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

/** Bins that expect too few rows on either side, as one. */
function pooled(reference: readonly number[], window: readonly number[]): [number[], number[]] {
  const [n, m] = [sum(reference), sum(window)];
  const share = Math.min(n, m) / (n + m);
  const small = reference.map((count, k) => (count + window[k]!) * share < LEAST_EXPECTED);
  const rest = (counts: readonly number[]) => sum(counts.filter((_, k) => small[k]));
  const kept = (counts: readonly number[]) => counts.filter((_, k) => !small[k]);
  const [a, b] = [rest(reference), rest(window)];
  return a + b === 0
    ? [kept(reference), kept(window)]
    : [
        [...kept(reference), a],
        [...kept(window), b],
      ];
}

/** P(X > x) of the chi-squared distribution: the upper regularised incomplete gamma function, by series or continued fraction (Press et al., Numerical Recipes, 6.2). */
export function chiSquaredAbove(x: number, degrees: number): number {
  if (x <= 0) return 1;
  const [a, half] = [degrees / 2, x / 2];
  const front = Math.exp(-half + a * Math.log(half) - logGamma(a));
  if (half < a + 1) {
    let term = 1 / a;
    let total = term;
    for (let k = 1; k < 1000 && term > total * 1e-15; k++) total += term *= half / (a + k);
    return Math.max(0, 1 - front * total);
  }
  let b = half + 1 - a;
  let c = 1e300;
  let d = 1 / b;
  let fraction = d;
  for (let k = 1; k < 1000; k++) {
    const step = -k * (k - a);
    b += 2;
    d = 1 / (step * d + b);
    c = b + step / c;
    fraction *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return front * fraction;
}

/** ln Γ(x) for x > 0 (Lanczos 1964, g = 5). */
function logGamma(x: number): number {
  const terms = [76.18009172947146, -86.50532032941678, 24.01409824083091, -1.231739572450155, 0.001208650973866179, -0.000005395239384953];
  const series = terms.reduce((total, term, k) => total + term / (x + 1 + k), 1.000000000190015);
  return (x + 0.5) * Math.log(x + 5.5) - (x + 5.5) + Math.log((2.5066282746310007 * series) / x);
}
