/** One visitor as the fit sees it: the features in their order, whether it is a member, and which half of the visitors it is in. */
export interface Seen {
  readonly x: readonly number[];
  readonly member: boolean;
  readonly held: boolean;
}

export interface Likeness {
  /** Of the standardised features, the constant last. */
  readonly weights: readonly number[];
  readonly means: readonly number[];
  readonly deviations: readonly number[];
  /** Area under the ROC curve on the held half, by weights that the other half alone gave. NaN where a half has no members or no others. */
  readonly area: number;
}

const PENALTY = 1;
const STEPS = 50;

/**
 * Logistic regression of membership on standardised features, by Newton's method with a ridge of 1 on all but the constant (Hastie,
 * Tibshirani, Friedman 2009, section 4.4.1): the ridge keeps weights finite where a rule parts the two perfectly. O(rows × features²) a step.
 */
export function fitLikeness(all: readonly Seen[]): Likeness {
  const others = all.filter(({ held }) => !held);
  const held = all.filter((each) => each.held);
  const half = fit(others);
  return {
    ...fit(all),
    area: areaUnder(held.map((each) => ({ member: each.member, score: scoreOf(each.x, half) }))),
  };
}

type Fitted = Omit<Likeness, 'area'>;

function fit(rows: readonly Seen[]): Fitted {
  const width = rows[0]?.x.length ?? 0;
  const at = Array.from({ length: width }, (_, k) => k);
  const means = at.map((k) => rows.reduce((sum, { x }) => sum + x[k]!, 0) / rows.length);
  const deviations = at.map((k) => Math.sqrt(rows.reduce((sum, { x }) => sum + (x[k]! - means[k]!) ** 2, 0) / rows.length) || 1);
  const weights = new Array<number>(width + 1).fill(0);
  for (let step = 0; step < STEPS; step++) {
    const gradient = weights.map((weight, k) => (k < width ? -PENALTY * weight : 0));
    const hessian = weights.map((_, k) => weights.map((__, l) => (k === l && k < width ? PENALTY : 0)));
    for (const { x, member } of rows) {
      const z = [...at.map((k) => (x[k]! - means[k]!) / deviations[k]!), 1];
      const p = 1 / (1 + Math.exp(-z.reduce((sum, value, k) => sum + value * weights[k]!, 0)));
      for (let k = 0; k <= width; k++) {
        gradient[k]! += ((member ? 1 : 0) - p) * z[k]!;
        for (let l = 0; l <= k; l++) hessian[k]![l]! += p * (1 - p) * z[k]! * z[l]!;
      }
    }
    const move = solved(hessian, gradient);
    for (let k = 0; k <= width; k++) weights[k]! += move[k]!;
    if (Math.max(...move.map(Math.abs)) < 1e-10) break;
  }
  return { weights, means, deviations };
}

const scoreOf = (x: readonly number[], { weights, means, deviations }: Fitted): number =>
  x.reduce((sum, value, k) => sum + (weights[k]! * (value - means[k]!)) / deviations[k]!, weights.at(-1)!);

/** Cholesky; only the lower half of `matrix` is read. It is positive definite by the ridge and by p (1 − p) of the constant. */
function solved(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const lower = matrix.map((row) => [...row]);
  const n = right.length;
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      for (let k = 0; k < j; k++) lower[i]![j]! -= lower[i]![k]! * lower[j]![k]!;
      lower[i]![j] = i === j ? Math.sqrt(Math.max(lower[j]![j]!, 1e-12)) : lower[i]![j]! / lower[j]![j]!;
    }
  }
  const out = [...right];
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) out[i]! -= lower[i]![k]! * out[k]!;
    out[i]! /= lower[i]![i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) out[i]! -= lower[k]![i]! * out[k]!;
    out[i]! /= lower[i]![i]!;
  }
  return out;
}

/** Scores that differ by no more are the same: where membership has nothing to do with the features, weights are what rounding leaves. */
const TIED = 1e-12;

/** Mann and Whitney: the chance that a member's score is above another's, ties by half. */
function areaUnder(scored: readonly { readonly member: boolean; readonly score: number }[]): number {
  const sorted = scored.toSorted((a, b) => a.score - b.score);
  const members = sorted.filter(({ member }) => member).length;
  let ranks = 0;
  for (let from = 0; from < sorted.length; ) {
    let to = from;
    while (to < sorted.length && sorted[to]!.score - sorted[from]!.score <= TIED) to++;
    const tied = sorted.slice(from, to).filter(({ member }) => member).length;
    ranks += (tied * (from + 1 + to)) / 2;
    from = to;
  }
  return (ranks - (members * (members + 1)) / 2) / (members * (sorted.length - members));
}
