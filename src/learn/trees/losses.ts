import { exp, log, orderFreeMean, sigmoid } from '../exact.ts';

/** The names of losses that trees can be trained with. */
export type LossName = 'squared' | 'absolute' | 'huber' | 'quantile' | 'poisson' | 'gamma' | 'tweedie' | 'logistic' | 'softmax' | 'shares';

/**
 * The loss of trees side by side, whose leaves hold the mean target of their rows (of classes: the class's share), so that the mean of the
 * trees is one too. A step in log-odds or logarithms from the start is none: from 1 % to a leaf of 10 % it leads to 99 %. From the start
 * such a step is as steep for all rows, so that splits stay the same.
 */
export function lossOfMeans(name: LossName, classes: number): LossName {
  switch (name) {
    case 'softmax':
      return classes > 2 ? 'shares' : 'squared';
    case 'logistic':
    case 'poisson':
    case 'gamma':
    case 'tweedie':
      return 'squared';
    default:
      return name;
  }
}

/**
 * A loss: where to begin, and first and second derivatives by the score. Targets of `logistic` are 0 or 1, of
 * `softmax` class numbers. Scores are [rows × outputs].
 */
export interface Loss {
  readonly outputs: number;
  /** Score before any tree: [outputs]. */
  base(targets: Float64Array, weights: Float64Array): Float64Array;
  /** Writes gradient and hessian, [rows × outputs] each, times weight. */
  derivatives(targets: Float64Array, weights: Float64Array, scores: Float64Array, gradient: Float64Array, hessian: Float64Array): void;
  /** Weighted mean loss, the figure that early stopping watches. */
  mean(targets: Float64Array, weights: Float64Array, scores: Float64Array): number;
  /** For losses whose hessian says nothing (absolute, quantile): the share of residuals that a leaf's value should exceed. */
  readonly leafQuantile: number | null;
}

export interface LossOptions {
  readonly classes: number;
  /** The quantile to predict, in (0, 1). */
  readonly alpha: number;
  /** Residuals beyond this count linearly (huber). */
  readonly delta: number;
  /** Tweedie variance power, in (1, 2). */
  readonly power: number;
}

/** Least hessian, so that a leaf of certain rows has a finite value. */
const LEAST_HESSIAN = 1e-16;

export function lossNamed(name: LossName, options: LossOptions): Loss {
  switch (name) {
    case 'squared':
      return pointwise({
        base: orderFreeMean,
        gradient: (y, s) => s - y,
        hessian: () => 1,
        value: (y, s) => 0.5 * (s - y) * (s - y),
      });
    case 'absolute':
      return quantileLoss(0.5, 2);
    case 'quantile':
      return quantileLoss(options.alpha, 1);
    case 'huber':
      return huber(options.delta);
    case 'poisson':
      return pointwise({
        base: logMean,
        link: exp,
        gradient: (y, _s, p) => p - y,
        hessian: (_y, _s, p) => p,
        value: (y, s) => exp(s) - y * s,
      });
    case 'gamma':
      return pointwise({
        base: logMean,
        link: exp,
        gradient: (y, _s, p) => 1 - y / p,
        hessian: (y, _s, p) => y / p,
        value: (y, s) => s + y * exp(-s),
      });
    case 'tweedie':
      return tweedie(options.power);
    case 'logistic':
      return pointwise({
        base: (y, w) => logit(orderFreeMean(y, w)),
        link: sigmoid,
        gradient: (y, _s, p) => p - y,
        hessian: (_y, _s, p) => p * (1 - p),
        value: (y, s) => Math.max(s, 0) - y * s + log(1 + exp(-Math.abs(s))),
      });
    case 'softmax':
      return softmax(options.classes);
    case 'shares':
      return shares(options.classes);
  }
}

interface Pointwise {
  readonly base: (targets: Float64Array, weights: Float64Array) => number;
  readonly link?: (score: number) => number;
  /** Derivatives by the score s; p is the linked score, computed once for both. */
  readonly gradient: (y: number, s: number, p: number) => number;
  readonly hessian: (y: number, s: number, p: number) => number;
  readonly value: (y: number, s: number) => number;
  readonly leafQuantile?: number;
}

function pointwise(parts: Pointwise): Loss {
  const { value, link } = parts;
  return {
    outputs: 1,
    leafQuantile: parts.leafQuantile ?? null,
    base: (targets, weights) => Float64Array.of(parts.base(targets, weights)),
    derivatives(targets, weights, scores, gradient, hessian) {
      for (let i = 0; i < targets.length; i++) {
        const s = scores[i]!;
        const p = link ? link(s) : s;
        gradient[i] = parts.gradient(targets[i]!, s, p) * weights[i]!;
        hessian[i] = Math.max(parts.hessian(targets[i]!, s, p), LEAST_HESSIAN) * weights[i]!;
      }
    },
    mean(targets, weights, scores) {
      let sum = 0;
      let total = 0;
      for (let i = 0; i < targets.length; i++) {
        sum += value(targets[i]!, scores[i]!) * weights[i]!;
        total += weights[i]!;
      }
      return sum / total;
    },
  };
}

/** Pinball loss (Koenker, Bassett 1978) times `factor`; leaves hold the residuals' quantile. */
function quantileLoss(alpha: number, factor: number): Loss {
  return pointwise({
    base: (y, w) => weightedQuantile(y, w, alpha),
    gradient: (y, s) => factor * (s >= y ? 1 - alpha : -alpha),
    hessian: () => 1,
    value: (y, s) => factor * (s >= y ? (1 - alpha) * (s - y) : alpha * (y - s)),
    leafQuantile: alpha,
  });
}

function huber(delta: number): Loss {
  return pointwise({
    base: (y, w) => weightedQuantile(y, w, 0.5),
    gradient: (y, s) => Math.max(-delta, Math.min(delta, s - y)),
    hessian: () => 1,
    value: (y, s) => {
      const r = Math.abs(s - y);
      return r <= delta ? 0.5 * r * r : delta * (r - 0.5 * delta);
    },
  });
}

/** Compound Poisson–gamma deviance with a log link (Tweedie 1984; LightGBM's and XGBoost's reg:tweedie). */
function tweedie(power: number): Loss {
  return pointwise({
    base: logMean,
    gradient: (y, s) => exp((2 - power) * s) - y * exp((1 - power) * s),
    hessian: (y, s) => (2 - power) * exp((2 - power) * s) - (1 - power) * y * exp((1 - power) * s),
    value: (y, s) => exp((2 - power) * s) / (2 - power) - (y * exp((1 - power) * s)) / (1 - power),
    link: exp,
  });
}

function softmax(classes: number): Loss {
  const probabilities = new Float64Array(classes);
  return {
    outputs: classes,
    leafQuantile: null,
    base(targets, weights) {
      const base = new Float64Array(classes);
      const indicator = new Float64Array(targets.length);
      for (let c = 0; c < classes; c++) {
        for (let i = 0; i < targets.length; i++) indicator[i] = targets[i] === c ? 1 : 0;
        base[c] = log(Math.max(orderFreeMean(indicator, weights), 1e-6));
      }
      return base;
    },
    derivatives(targets, weights, scores, gradient, hessian) {
      for (let i = 0, at = 0; i < targets.length; i++) {
        softmaxInto(scores, at, classes, probabilities);
        for (let c = 0; c < classes; c++, at++) {
          const p = probabilities[c]!;
          gradient[at] = (p - (targets[i] === c ? 1 : 0)) * weights[i]!;
          hessian[at] = Math.max(2 * p * (1 - p), LEAST_HESSIAN) * weights[i]!;
        }
      }
    },
    mean(targets, weights, scores) {
      let sum = 0;
      let total = 0;
      for (let i = 0; i < targets.length; i++) {
        softmaxInto(scores, i * classes, classes, probabilities);
        sum -= log(probabilities[targets[i]!]!) * weights[i]!;
        total += weights[i]!;
      }
      return sum / total;
    },
  };
}

/** The squared error of each class's indicator: scores are the classes' shares. */
function shares(classes: number): Loss {
  return {
    outputs: classes,
    leafQuantile: null,
    base: (targets, weights) =>
      Float64Array.from({ length: classes }, (_, c) =>
        orderFreeMean(
          targets.map((y) => Number(y === c)),
          weights,
        ),
      ),
    derivatives(targets, weights, scores, gradient, hessian) {
      for (let at = 0; at < scores.length; at++) {
        const row = Math.floor(at / classes);
        gradient[at] = (scores[at]! - Number(targets[row] === at % classes)) * weights[row]!;
        hessian[at] = weights[row]!;
      }
    },
    mean(targets, weights, scores) {
      let sum = 0;
      let total = 0;
      for (let at = 0; at < scores.length; at++) {
        const row = Math.floor(at / classes);
        sum += 0.5 * (scores[at]! - Number(targets[row] === at % classes)) ** 2 * weights[row]!;
        total += weights[row]! / classes;
      }
      return sum / total;
    },
  };
}

function softmaxInto(scores: Float64Array, at: number, classes: number, into: Float64Array): void {
  let top = scores[at]!;
  for (let c = 1; c < classes; c++) top = Math.max(top, scores[at + c]!);
  let sum = 0;
  for (let c = 0; c < classes; c++) sum += into[c] = exp(scores[at + c]! - top);
  for (let c = 0; c < classes; c++) into[c] = into[c]! / sum;
}

function logMean(targets: Float64Array, weights: Float64Array): number {
  return log(Math.max(orderFreeMean(targets, weights), 1e-12));
}

function logit(p: number): number {
  const held = Math.max(1e-9, Math.min(1 - 1e-9, p));
  return log(held / (1 - held));
}

/** The least value at which the weights below and at it reach the share `alpha`. */
export function weightedQuantile(values: ArrayLike<number>, weights: ArrayLike<number>, alpha: number): number {
  const order = Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a]! - values[b]! || weights[a]! - weights[b]!);
  let total = 0;
  for (const i of order) total += weights[i]!;
  let sum = 0;
  for (const i of order) {
    sum += weights[i]!;
    if (sum >= alpha * total) return values[i]!;
  }
  return order.length > 0 ? values[order[order.length - 1]!]! : 0;
}
