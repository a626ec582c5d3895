import type { Judged } from '../metrics.ts';

/** Weight of positives and negatives among the rows acted on. */
interface Acted {
  readonly hits: number;
  readonly misses: number;
}

/** Whom the model and the simple rule act on at one threshold of the second class's probability, and whom both do; of judged rows. */
export interface Acting {
  readonly threshold: number;
  readonly model: Acted;
  readonly rule: Acted;
  readonly both: Acted;
}

export interface Money {
  /** What acting on a row of the second class brings, before the contact is paid. */
  readonly hit: number;
  /** What acting on any row costs. */
  readonly contact: number;
}

type Way = 'model' | 'rule' | 'everyone' | 'nobody';

/** What acting is worth on the judged rows, in the money that was given. */
export interface Worth extends Money {
  /** contact / hit: with honest probabilities acting pays from here on. Nothing is tuned on the judged rows. null: a hit brings nothing, act on nobody. */
  readonly threshold: number | null;
  /** Profit of each way; doing nothing is 0. The rule acts from the same threshold on. */
  readonly profit: Readonly<Record<Way, number>>;
  /** The best way without the model. */
  readonly instead: Exclude<Way, 'model'>;
  /** What the model earns beyond it, and the standard error of that over rows drawn anew. */
  readonly gain: number;
  readonly gainError: number;
  /** Whether the gain is beyond two of its errors. If not, do `instead`. */
  readonly pays: boolean;
  /** The slider: profit when acting from each threshold on. */
  readonly points: readonly { readonly threshold: number; readonly model: number; readonly rule: number }[];
}

/** Finer near 0, where rare answers are decided. */
const THRESHOLDS = [0, 0.001, 0.002, 0.003, 0.005, 0.0075, ...Array.from({ length: 99 }, (_, at) => (at + 1) / 100), 1.01];

/** Two classes: counts at about a hundred thresholds, the last of which acts on nobody. */
export function acting(judged: Judged, ruled: Float64Array): Acting[] {
  const { truth, weights, answers } = judged;
  return THRESHOLDS.map((threshold) => actingFrom(threshold, truth, weights, answers, ruled));
}

function actingFrom(threshold: number, truth: Float64Array, weights: Float64Array, answers: Float64Array, ruled: Float64Array): Acting {
  const counts = { model: { hits: 0, misses: 0 }, rule: { hits: 0, misses: 0 }, both: { hits: 0, misses: 0 } };
  truth.forEach((y, row) => {
    const kind = y === 1 ? 'hits' : 'misses';
    const byModel = answers[row * 2 + 1]! >= threshold;
    const byRule = ruled[row * 2 + 1]! >= threshold;
    if (byModel) counts.model[kind] += weights[row]!;
    if (byRule) counts.rule[kind] += weights[row]!;
    if (byModel && byRule) counts.both[kind] += weights[row]!;
  });
  return { threshold, ...counts };
}

/** What acting is worth: the model against the simple rule, against acting on everyone, and against doing nothing. `points` are those of a report. */
export function worth(points: readonly Acting[], money: Money): Worth {
  const { hit, contact } = money;
  const threshold = hit > 0 ? contact / hit : null;
  const away = (point: Acting): number => Math.abs(point.threshold - threshold!);
  const isNobody = threshold === null || threshold > 1;
  const at = isNobody ? points.at(-1)! : points.reduce((best, point) => (away(point) < away(best) ? point : best));
  const everyone = points[0]!.model;
  const nobody = { hits: 0, misses: 0 };
  const profitOf = ({ hits, misses }: Acted): number => hits * hit - (hits + misses) * contact;
  const acted: Readonly<Record<Way, Acted>> = { model: at.model, rule: at.rule, everyone, nobody };
  const both: Readonly<Record<Way, Acted>> = { model: at.model, rule: at.both, everyone: at.model, nobody };
  const profit = { model: profitOf(at.model), rule: profitOf(at.rule), everyone: profitOf(everyone), nobody: 0 };
  const ways = ['nobody', 'everyone', 'rule'] as const;
  const instead = ways.reduce<Exclude<Way, 'model'>>((best, way) => (profit[way] > profit[best] ? way : best), 'nobody');
  const gain = profit.model - profit[instead];
  // Only rows on which one of the two acts and the other does not tell them apart.
  const differing = (kind: keyof Acted): number => at.model[kind] + acted[instead][kind] - 2 * both[instead][kind];
  const squares = differing('hits') * (hit - contact) ** 2 + differing('misses') * contact ** 2;
  const rows = everyone.hits + everyone.misses;
  const gainError = Math.sqrt(Math.max(0, squares - (gain * gain) / rows));
  const slider = points.map((point) => ({ threshold: point.threshold, model: profitOf(point.model), rule: profitOf(point.rule) }));
  return { ...money, threshold, profit, instead, gain, gainError, pays: gain > 0 && gain > 2 * gainError, points: slider };
}
