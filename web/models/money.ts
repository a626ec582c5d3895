import type { ModelReport } from '../../src/server/api.ts';

/** What acting from each threshold on would have earned, and from which on to act. */
export interface Earnings {
  readonly points: readonly { readonly threshold: number; readonly profit: number }[];
  /** null: on nobody. */
  readonly from: number | null;
  readonly profit: number;
  readonly everyone: number;
  /** Whether the threshold follows from the prices alone, so that nothing is chosen by the held-out rows. */
  readonly priced: boolean;
}

/**
 * A right yes earns `gain`, a wrong one costs `cost`: with honest probabilities acting pays from cost / (gain + cost) on, as the report says
 * (Elkan 2001). Class weights move the probabilities: there the best threshold of the held-out rows is all that is known.
 */
export function earningsOf({ acting, thresholds, warnings }: ModelReport, gain: number, cost: number): Earnings {
  const profitOf = (hits: number, misses: number) => hits * gain - misses * cost;
  const points =
    acting?.map(({ threshold, model }) => ({ threshold, profit: profitOf(model.hits, model.misses) })) ??
    (thresholds ?? []).map((each) => ({ threshold: each.threshold, profit: profitOf(each.truePositives, each.falsePositives) }));
  const everyone = points[0]?.profit ?? 0;
  if (warnings.some(({ kind }) => kind === 'class weights')) {
    const best = points.reduce((most, point) => (point.profit > most.profit ? point : most), points[0] ?? { threshold: 1, profit: 0 });
    return { points, from: best.profit > 0 ? best.threshold : null, profit: Math.max(0, best.profit), everyone, priced: false };
  }
  const from = gain + cost > 0 ? Math.max(0, cost / (gain + cost)) : Number.POSITIVE_INFINITY;
  if (!(from <= 1)) return { points, from: null, profit: 0, everyone, priced: true };
  const nearest = points.reduce((best, point) => (Math.abs(point.threshold - from) < Math.abs(best.threshold - from) ? point : best));
  return { points, from, profit: nearest.profit, everyone, priced: true };
}
