import type { Random } from '../random.ts';
import type { FeatureBins } from './bins.ts';

/** What a split must satisfy and how leaves are regularised (the names of XGBoost's and LightGBM's parameters: docs/learn.md). */
export interface SplitRules {
  readonly l1: number;
  readonly l2: number;
  readonly minGain: number;
  readonly minChildWeight: number;
  readonly minRows: number;
}

/** Between which a leaf's value (before the learning rate) must lie, so that constraints hold. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

export const unbounded: Bounds = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };

/** Sums of a node in real units (not fixed point). `rows` counts the rows in it. */
export interface Sums extends Bounds {
  readonly gradient: number;
  readonly hessian: number;
  readonly rows: number;
  /** [features]: 1 where the prediction may only rise with the feature, -1 where it may only fall, else 0; null without constraints. */
  readonly monotone: Int8Array | null;
  /** Extra trees: one cut is tried for each numeric feature, drawn from this; null tries all. */
  readonly draw: Random | null;
}

export interface Split {
  readonly feature: number;
  readonly gain: number;
  /** Numeric: bins 1 … threshold go left. Category: unused. */
  readonly threshold: number;
  /** [256]: 1 where the bin goes left. */
  readonly goesLeft: Uint8Array;
  readonly left: { readonly gradient: number; readonly hessian: number };
}

/** A histogram of one node and how to read it: sums times scale are real units. */
export interface NodeHistogram {
  readonly sums: Float64Array;
  readonly offsets: Uint32Array;
  readonly gradientScale: number;
  readonly hessianScale: number;
}

/** What a search of one node needs besides its sums. */
export interface SplitLimits {
  /** A split must gain more. */
  readonly gain: number;
  readonly rowsPerHessian: number;
  /** Least hessian of a side: the larger of minChildWeight and what minRows asks for by share. */
  readonly leastHessian: number;
}

export function splitLimits({ hessian, rows }: Pick<Sums, 'hessian' | 'rows'>, rules: SplitRules): SplitLimits {
  return {
    gain: Math.max(rules.minGain, 1e-12),
    rowsPerHessian: hessian > 0 ? rows / hessian : 0,
    leastHessian: Math.max(rules.minChildWeight, rows > 0 ? ((rules.minRows - 0.5) * hessian) / rows : 0, 1e-300),
  };
}

/** Categories with fewer rows than this can't be told from noise (LightGBM's cat_smooth); they go right. */
const CATEGORY_SMOOTH = 10;
/** Extra L2 for many-vs-many splits, which have many ways to fit noise (LightGBM's cat_l2). */
const CATEGORY_L2 = 10;
/** Most categories on the side that is listed (LightGBM's max_cat_threshold). */
const CATEGORY_SIDE = 32;
/** Up to this many categories each is tried alone against the rest. */
export const ONE_HOT_LEVELS = 4;

/** Leaf weight that minimises the second-order loss: -soft(G, l1) / (H + l2) (Chen, Guestrin 2016, eq. 5). */
export function leafWeight(gradient: number, hessian: number, rules: Pick<SplitRules, 'l1' | 'l2'>): number {
  const divisor = hessian + rules.l2;
  return divisor > 0 ? -soften(gradient, rules.l1) / divisor : 0;
}

/** The leaf's value within its bounds. */
export function boundedWeight(gradient: number, hessian: number, rules: Pick<SplitRules, 'l1' | 'l2'>, { low, high }: Bounds): number {
  return Math.max(low, Math.min(high, leafWeight(gradient, hessian, rules)));
}

/** What a leaf of that value takes off the loss; with the best value it is `strength`. */
function worth(weight: number, gradient: number, hessian: number, l1: number, l2: number): number {
  return -(2 * gradient * weight + (hessian + l2) * weight * weight + 2 * l1 * Math.abs(weight));
}

function soften(gradient: number, l1: number): number {
  if (gradient > l1) return gradient - l1;
  return gradient < -l1 ? gradient + l1 : 0;
}

export function strength(gradient: number, hessian: number, l1: number, l2: number): number {
  const g = soften(gradient, l1);
  const divisor = hessian + l2;
  return divisor > 0 ? (g * g) / divisor : 0;
}

/**
 * The best split of a node over the given features, or null when none gains more than `minGain`: the loss reduction
 * G_L²/(H_L+λ) + G_R²/(H_R+λ) - G²/(H+λ) (Chen, Guestrin 2016, eq. 7, without its factor ½, as XGBoost reports it). Missing values
 * are tried on both sides. Categories are ordered by gradient/hessian and cut like numbers (Fisher 1958; Ke et al. 2017).
 * The rows of a side are estimated from its share of the hessian, so histograms need no third sum. Ties go to
 * the numeric features, then to the first feature and bin.
 */
export function bestSplit(
  histogram: NodeHistogram,
  features: Uint32Array,
  bins: readonly FeatureBins[],
  node: Sums,
  rules: SplitRules,
): Split | null {
  const search = new Search(histogram, node, rules);
  for (const f of features) if (bins[f]!.kind === 'numeric') search.number(f);
  for (const f of features) {
    const kind = bins[f]!;
    if (kind.kind === 'numeric') continue;
    if (node.draw !== null) search.drawnCategories(f, node.draw);
    else if (kind.levels <= ONE_HOT_LEVELS) search.oneAgainstRest(f);
    else search.manyAgainstMany(f);
  }
  return search.result(bins);
}

/** The state of one search: the best candidate so far, kept in plain fields so that the inner loops allocate nothing. */
class Search {
  private gain: number;
  private feature = -1;
  private threshold = 0;
  private missingLeft = false;
  private leftBins: readonly number[] | null = null;
  private leftGradient = 0;
  private leftHessian = 0;
  private readonly histogram: NodeHistogram;
  private readonly node: Sums;
  private readonly rules: SplitRules;
  private readonly rowsPerHessian: number;
  private readonly leastHessian: number;

  constructor(histogram: NodeHistogram, node: Sums, rules: SplitRules) {
    this.histogram = histogram;
    this.node = node;
    this.rules = rules;
    const limits = splitLimits(node, rules);
    this.gain = limits.gain;
    this.rowsPerHessian = limits.rowsPerHessian;
    this.leastHessian = limits.leastHessian;
  }

  number(feature: number): void {
    const { monotone } = this.node;
    if (monotone === null) this.numeric(feature);
    else this.constrained(feature, monotone[feature]!);
  }

  private numeric(feature: number): void {
    const { sums, offsets, gradientScale, hessianScale } = this.histogram;
    const { l1, l2 } = this.rules;
    const begin = offsets[feature]! * 2;
    const end = offsets[feature + 1]! * 2;
    const missingGradient = sums[begin]! * gradientScale;
    const missingHessian = sums[begin + 1]! * hessianScale;
    const someMissing = missingHessian !== 0 || missingGradient !== 0;
    const { gradient, hessian } = this.node;
    const least = this.leastHessian;
    const parent = strength(gradient, hessian, l1, l2);
    const only = this.drawBin(begin, end);
    let g = 0;
    let h = 0;
    for (let at = begin + 2, bin = 1; at < end - 2 || (someMissing && at < end); at += 2, bin++) {
      g += sums[at]! * gradientScale;
      h += sums[at + 1]! * hessianScale;
      if (only > 0 && bin !== only) continue;
      if (h >= least && hessian - h >= least) {
        const gain = strength(g, h, l1, l2) + strength(gradient - g, hessian - h, l1, l2) - parent;
        if (gain > this.gain) this.keep(feature, gain, bin, someMissing ? false : h * 2 > hessian, g, h);
      }
      if (!someMissing) continue;
      const withGradient = g + missingGradient;
      const withHessian = h + missingHessian;
      if (withHessian >= least && hessian - withHessian >= least) {
        const gain =
          strength(withGradient, withHessian, l1, l2) + strength(gradient - withGradient, hessian - withHessian, l1, l2) - parent;
        if (gain > this.gain) this.keep(feature, gain, bin, true, withGradient, withHessian);
      }
    }
  }

  /** The one cut that extra trees try (Geurts et al. 2006), among those between the node's own values; 0 tries all. */
  private drawBin(begin: number, end: number): number {
    const { draw } = this.node;
    if (draw === null) return 0;
    const { sums } = this.histogram;
    let first = begin + 2;
    let last = end - 2;
    while (first < last && sums[first + 1] === 0) first += 2;
    while (last > first && sums[last + 1] === 0) last -= 2;
    return (first - begin) / 2 + Math.floor(draw() * Math.max(1, (last - first) / 2));
  }

  /** As `numeric`, with leaf values held to the node's bounds and to the direction (+1, -1, 0 none) of the feature. */
  private constrained(feature: number, direction: number): void {
    const { sums, offsets, gradientScale, hessianScale } = this.histogram;
    const begin = offsets[feature]! * 2;
    const end = offsets[feature + 1]! * 2;
    const missing = { g: sums[begin]! * gradientScale, h: sums[begin + 1]! * hessianScale };
    const someMissing = missing.h !== 0 || missing.g !== 0;
    const only = this.drawBin(begin, end);
    let g = 0;
    let h = 0;
    for (let at = begin + 2, bin = 1; at < end - 2 || (someMissing && at < end); at += 2, bin++) {
      g += sums[at]! * gradientScale;
      h += sums[at + 1]! * hessianScale;
      if (only > 0 && bin !== only) continue;
      this.offerConstrained(feature, direction, bin, someMissing ? false : h * 2 > this.node.hessian, g, h);
      if (someMissing) this.offerConstrained(feature, direction, bin, true, g + missing.g, h + missing.h);
    }
  }

  private offerConstrained(feature: number, direction: number, bin: number, missingLeft: boolean, g: number, h: number): void {
    if (h < this.leastHessian || this.node.hessian - h < this.leastHessian) return;
    const gain = this.boundedGain(g, h, this.rules.l2, direction);
    if (gain > this.gain) this.keep(feature, gain, bin, missingLeft, g, h);
  }

  /** The gain with bounded leaf values; none where they go against the direction (XGBoost's way with monotone constraints). */
  private boundedGain(g: number, h: number, l2: number, direction: number): number {
    const { l1 } = this.rules;
    const { gradient, hessian } = this.node;
    const [restGradient, restHessian] = [gradient - g, hessian - h];
    const left = boundedWeight(g, h, { l1, l2 }, this.node);
    const right = boundedWeight(restGradient, restHessian, { l1, l2 }, this.node);
    if ((right - left) * direction < 0) return 0;
    const whole = boundedWeight(gradient, hessian, this.rules, this.node);
    return worth(left, g, h, l1, l2) + worth(right, restGradient, restHessian, l1, l2) - worth(whole, gradient, hessian, l1, this.rules.l2);
  }

  private keep(feature: number, gain: number, threshold: number, missingLeft: boolean, gradient: number, hessian: number): void {
    this.gain = gain;
    this.feature = feature;
    this.threshold = threshold;
    this.missingLeft = missingLeft;
    this.leftBins = null;
    this.leftGradient = gradient;
    this.leftHessian = hessian;
  }

  oneAgainstRest(feature: number): void {
    const { sums, offsets, gradientScale, hessianScale } = this.histogram;
    const begin = offsets[feature]!;
    for (let bin = begin; bin < offsets[feature + 1]!; bin++) {
      const g = sums[bin * 2]! * gradientScale;
      const h = sums[bin * 2 + 1]! * hessianScale;
      this.offerCategories(feature, [bin - begin], 1, g, h, this.rules.l2);
    }
  }

  manyAgainstMany(feature: number): void {
    const { sums, offsets, gradientScale, hessianScale } = this.histogram;
    const begin = offsets[feature]!;
    const used: { bin: number; g: number; h: number; rank: number }[] = [];
    for (let bin = begin; bin < offsets[feature + 1]!; bin++) {
      const g = sums[bin * 2]! * gradientScale;
      const h = sums[bin * 2 + 1]! * hessianScale;
      if (h * this.rowsPerHessian + 0.5 >= CATEGORY_SMOOTH) used.push({ bin: bin - begin, g, h, rank: g / (h + CATEGORY_SMOOTH) });
    }
    used.sort((a, b) => a.rank - b.rank || a.bin - b.bin);
    this.prefixes(feature, used);
    this.prefixes(feature, used.reverse());
  }

  /** Extra trees: each category of the node's own goes left by a toss of a coin (Geurts et al. 2006). */
  drawnCategories(feature: number, draw: Random): void {
    const { sums, offsets, gradientScale, hessianScale } = this.histogram;
    const begin = offsets[feature]!;
    const left: number[] = [];
    let g = 0;
    let h = 0;
    for (let bin = begin; bin < offsets[feature + 1]!; bin++) {
      if (sums[bin * 2 + 1] === 0 || draw() < 0.5) continue;
      left.push(bin - begin);
      g += sums[bin * 2]! * gradientScale;
      h += sums[bin * 2 + 1]! * hessianScale;
    }
    this.offerCategories(feature, left, left.length, g, h, this.rules.l2);
  }

  private prefixes(feature: number, used: readonly { bin: number; g: number; h: number }[]): void {
    const order = used.map((u) => u.bin);
    let g = 0;
    let h = 0;
    for (let k = 0; k < Math.min(used.length, CATEGORY_SIDE); k++) {
      g += used[k]!.g;
      h += used[k]!.h;
      this.offerCategories(feature, order, k + 1, g, h, this.rules.l2 + CATEGORY_L2);
    }
  }

  private offerCategories(feature: number, order: readonly number[], count: number, g: number, h: number, l2: number): void {
    const { gradient, hessian } = this.node;
    const { l1 } = this.rules;
    if (h < this.leastHessian || hessian - h < this.leastHessian) return;
    const gain =
      this.node.monotone !== null
        ? this.boundedGain(g, h, l2, 0)
        : strength(g, h, l1, l2) + strength(gradient - g, hessian - h, l1, l2) - strength(gradient, hessian, l1, this.rules.l2);
    if (gain <= this.gain) return;
    this.keep(feature, gain, 0, false, g, h);
    this.leftBins = order.slice(0, count);
  }

  result(bins: readonly FeatureBins[]): Split | null {
    if (this.feature < 0) return null;
    const goesLeft = new Uint8Array(256);
    if (bins[this.feature]!.kind === 'category') for (const bin of this.leftBins!) goesLeft[bin] = 1;
    else {
      goesLeft.fill(1, 1, this.threshold + 1);
      goesLeft[0] = this.missingLeft ? 1 : 0;
    }
    return {
      feature: this.feature,
      gain: this.gain,
      threshold: this.threshold,
      goesLeft,
      left: { gradient: this.leftGradient, hessian: this.leftHessian },
    };
  }
}
