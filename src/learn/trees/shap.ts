import { type Forest, goesLeft } from './forest.ts';

/**
 * SHAP values of one row for every output, added to `into` [outputs × features]: how much each feature moved the score from its expectation,
 * where an unknown feature sends the row down both branches by their cover (path-dependent TreeSHAP, Lundberg et al. 2020, algorithm 2).
 * They add up to the score minus `expectedScores`. Cost: trees × leaves × depth².
 */
export function addShapValues(forest: Forest, row: Float64Array, into: Float64Array): void {
  const features = forest.categorical.length;
  forest.roots.forEach((root, t) => {
    const sink = into.subarray((t % forest.outputs) * features, ((t % forest.outputs) + 1) * features);
    descend(forest, row, sink, root, [], 1, 1, -1);
  });
}

/** The score of each output with every feature unknown: base and cover-weighted leaves. */
export function expectedScores(forest: Forest): Float64Array {
  const expected = Float64Array.from(forest.base);
  forest.roots.forEach((root, t) => {
    expected[t % forest.outputs]! += expectedValue(forest, root);
  });
  return expected;
}

function expectedValue(forest: Forest, node: number): number {
  if (forest.feature[node]! < 0) return forest.threshold[node]!;
  const left = forest.left[node]!;
  const [a, b] = [forest.cover[left]!, forest.cover[left + 1]!];
  return (a * expectedValue(forest, left) + b * expectedValue(forest, left + 1)) / (a + b);
}

/** A feature on the path: the share of rows that flow on when it is unknown, whether the row does when it is known (1 or 0), and the weight of subsets of that size. */
interface Element {
  readonly feature: number;
  readonly zero: number;
  readonly one: number;
  weight: number;
}

function descend(
  forest: Forest,
  row: Float64Array,
  sink: Float64Array,
  node: number,
  above: readonly Element[],
  zero: number,
  one: number,
  feature: number,
): void {
  let path = extend(above, zero, one, feature);
  const split = forest.feature[node]!;
  if (split < 0) {
    for (let i = 1; i < path.length; i++) {
      const element = path[i]!;
      sink[element.feature]! += unwoundSum(path, i) * (element.one - element.zero) * forest.threshold[node]!;
    }
    return;
  }
  const left = forest.left[node]!;
  const hot = left + (goesLeft(forest, node, row[split]!) ? 0 : 1);
  const cold = hot === left ? left + 1 : left;
  const total = forest.cover[left]! + forest.cover[left + 1]!;
  let [zeroBefore, oneBefore] = [1, 1];
  const seen = path.findIndex((e) => e.feature === split);
  if (seen >= 0) {
    zeroBefore = path[seen]!.zero;
    oneBefore = path[seen]!.one;
    path = unwind(path, seen);
  }
  descend(forest, row, sink, hot, path, (zeroBefore * forest.cover[hot]!) / total, oneBefore, split);
  descend(forest, row, sink, cold, path, (zeroBefore * forest.cover[cold]!) / total, 0, split);
}

function extend(above: readonly Element[], zero: number, one: number, feature: number): Element[] {
  const path = above.map((e) => ({ ...e }));
  const depth = path.length;
  path.push({ feature, zero, one, weight: depth === 0 ? 1 : 0 });
  for (let i = depth - 1; i >= 0; i--) {
    path[i + 1]!.weight += (one * path[i]!.weight * (i + 1)) / (depth + 1);
    path[i]!.weight = (zero * path[i]!.weight * (depth - i)) / (depth + 1);
  }
  return path;
}

/** The path as if element `at` had never been added. */
function unwind(path: readonly Element[], at: number): Element[] {
  const depth = path.length - 1;
  const { zero, one } = path[at]!;
  const weights = path.map((e) => e.weight);
  let next = weights[depth]!;
  for (let i = depth - 1; i >= 0; i--) {
    if (one !== 0) {
      const kept = weights[i]!;
      weights[i] = (next * (depth + 1)) / ((i + 1) * one);
      next = kept - (weights[i]! * zero * (depth - i)) / (depth + 1);
    } else weights[i] = (weights[i]! * (depth + 1)) / (zero * (depth - i));
  }
  const rest = path.filter((_, i) => i !== at);
  return rest.map((e, i) => ({ ...e, weight: weights[i]! }));
}

function unwoundSum(path: readonly Element[], at: number): number {
  return unwind(path, at).reduce((sum, e) => sum + e.weight, 0);
}
