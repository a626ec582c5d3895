import { type Forest, goesLeft } from './forest.ts';

/**
 * A function that adds SHAP values of one row for every output to `into` [outputs × features]: how much each feature moved the score from its
 * expectation, where an unknown feature sends the row down both branches by their cover (path-dependent TreeSHAP, Lundberg et al. 2020,
 * algorithm 2). They add up to the score minus `expectedScores`. Cost: trees × leaves × depth².
 */
export function shapAdder(forest: Forest): (row: Float64Array, into: Float64Array) => void {
  const features = forest.categorical.length;
  const paths = pathsOf(forest);
  return (row, into) => {
    forest.roots.forEach((root, t) => {
      const sink = into.subarray((t % forest.outputs) * features, ((t % forest.outputs) + 1) * features);
      descend({ forest, row, sink, paths }, root, 0, 0, 1, 1, -1);
    });
  };
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

/**
 * Paths from a root, one behind another: a node's path is its parent's and one element more. Of an element: the feature, the share of rows
 * that flow on when it is unknown, whether the row does when it is known (1 or 0), and the weight of subsets of that size.
 */
interface Paths {
  readonly feature: Int32Array;
  readonly zero: Float64Array;
  readonly one: Float64Array;
  readonly weight: Float64Array;
}

/** Room for the paths of every node above a leaf: of lengths 1 to the depth and 1. */
function pathsOf(forest: Forest): Paths {
  const depth = new Int32Array(forest.feature.length);
  let deepest = 0;
  // Children come after their parent.
  forest.feature.forEach((feature, node) => {
    deepest = Math.max(deepest, depth[node]!);
    if (feature < 0) return;
    const left = forest.left[node]!;
    depth[left] = depth[node]! + 1;
    depth[left + 1] = depth[node]! + 1;
  });
  const room = ((deepest + 2) * (deepest + 3)) / 2;
  return { feature: new Int32Array(room), zero: new Float64Array(room), one: new Float64Array(room), weight: new Float64Array(room) };
}

/** A walk down one tree with one row. */
interface Walk {
  readonly forest: Forest;
  readonly row: Float64Array;
  readonly sink: Float64Array;
  readonly paths: Paths;
}

/** `above` and `length` are where the parent's path lies; this node's is written behind it, so that its sibling finds the parent's as it was. */
function descend(walk: Walk, node: number, above: number, length: number, zero: number, one: number, feature: number): void {
  const { forest, row, sink, paths } = walk;
  const at = above + length;
  extend(paths, above, length, zero, one, feature);
  const split = forest.feature[node]!;
  if (split < 0) {
    for (let i = 1; i <= length; i++)
      sink[paths.feature[at + i]!]! +=
        unwoundSum(paths, at, length, i) * (paths.one[at + i]! - paths.zero[at + i]!) * forest.threshold[node]!;
    return;
  }
  const left = forest.left[node]!;
  const hot = left + (goesLeft(forest, node, row[split]!) ? 0 : 1);
  const cold = hot === left ? left + 1 : left;
  const total = forest.cover[left]! + forest.cover[left + 1]!;
  let [zeroBefore, oneBefore, own] = [1, 1, length + 1];
  let seen = 0;
  while (seen <= length && paths.feature[at + seen] !== split) seen++;
  if (seen <= length) {
    zeroBefore = paths.zero[at + seen]!;
    oneBefore = paths.one[at + seen]!;
    unwind(paths, at, length, seen);
    own--;
  }
  descend(walk, hot, at, own, (zeroBefore * forest.cover[hot]!) / total, oneBefore, split);
  descend(walk, cold, at, own, (zeroBefore * forest.cover[cold]!) / total, 0, split);
}

/** Writes the path and one element more behind it. */
function extend(
  { feature: features, zero: zeros, one: ones, weight }: Paths,
  above: number,
  length: number,
  zero: number,
  one: number,
  feature: number,
): void {
  const at = above + length;
  // Paths are short: a loop is faster than copyWithin.
  for (let i = 0; i < length; i++) {
    features[at + i] = features[above + i]!;
    zeros[at + i] = zeros[above + i]!;
    ones[at + i] = ones[above + i]!;
    weight[at + i] = weight[above + i]!;
  }
  features[at + length] = feature;
  zeros[at + length] = zero;
  ones[at + length] = one;
  weight[at + length] = length === 0 ? 1 : 0;
  for (let i = length - 1; i >= 0; i--) {
    weight[at + i + 1] = weight[at + i + 1]! + (one * weight[at + i]! * (i + 1)) / (length + 1);
    weight[at + i] = (zero * weight[at + i]! * (length - i)) / (length + 1);
  }
}

/** The path as if that element had never been added, in its place. `last` is the index of its last element. */
function unwind({ feature, zero: zeros, one: ones, weight }: Paths, at: number, last: number, element: number): void {
  const [zero, one] = [zeros[at + element]!, ones[at + element]!];
  let next = weight[at + last]!;
  for (let i = last - 1; i >= 0; i--) {
    if (one !== 0) {
      const kept = weight[at + i]!;
      weight[at + i] = (next * (last + 1)) / ((i + 1) * one);
      next = kept - (weight[at + i]! * zero * (last - i)) / (last + 1);
    } else weight[at + i] = (weight[at + i]! * (last + 1)) / (zero * (last - i));
  }
  for (let i = at + element; i < at + last; i++) {
    feature[i] = feature[i + 1]!;
    zeros[i] = zeros[i + 1]!;
    ones[i] = ones[i + 1]!;
  }
}

/** The sum of the weights that `unwind` would leave. */
function unwoundSum({ zero: zeros, one: ones, weight }: Paths, at: number, last: number, element: number): number {
  const [zero, one] = [zeros[at + element]!, ones[at + element]!];
  let sum = 0;
  let next = weight[at + last]!;
  for (let i = last - 1; i >= 0; i--) {
    if (one !== 0) {
      const unwound = (next * (last + 1)) / ((i + 1) * one);
      sum += unwound;
      next = weight[at + i]! - (unwound * zero * (last - i)) / (last + 1);
    } else sum += (weight[at + i]! * (last + 1)) / (zero * (last - i));
  }
  return sum;
}
