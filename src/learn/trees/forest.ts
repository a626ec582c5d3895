/**
 * Trees as flat arrays: the model's own form, read in place by prediction on server, browser and device.
 * A node is inner (`feature` ≥ 0: children `left` and `left` + 1) or a leaf (`feature` -1, its value in `threshold`).
 * Tree t adds to output t mod outputs.
 */
export interface Forest {
  readonly outputs: number;
  /** [outputs]: the score before any tree. */
  readonly base: Float64Array;
  /** [features]: 1 where a feature is a category. */
  readonly categorical: Uint8Array;
  /** [trees]: each tree's first node; trees lie one after another. */
  readonly roots: Int32Array;
  /** [nodes]. */
  readonly feature: Int32Array;
  /** [nodes]: numeric: x ≤ threshold goes left; category: index into `sets`; leaf: its value. */
  readonly threshold: Float64Array;
  /** [nodes]: 1 where a missing value goes left. */
  readonly missingLeft: Uint8Array;
  /** [nodes]: the left child. */
  readonly left: Int32Array;
  /** [nodes]: loss reduction of an inner node's split, 0 in leaves. */
  readonly gain: Float64Array;
  /** [nodes]: hessian sum of the training rows that reached the node. */
  readonly cover: Float64Array;
  /** Eight words a set: bit c is 1 where category c goes left. A code beyond the set goes right. */
  readonly sets: Uint32Array;
}

/** A forest that grows: the same fields as lists. */
export interface ForestBuilder {
  roots: number[];
  feature: number[];
  threshold: number[];
  missingLeft: number[];
  left: number[];
  gain: number[];
  cover: number[];
  sets: number[];
}

export function newForest(): ForestBuilder {
  return { roots: [], feature: [], threshold: [], missingLeft: [], left: [], gain: [], cover: [], sets: [] };
}

/** Appends a leaf and returns its node number. */
export function addLeaf(forest: ForestBuilder, value: number, cover: number): number {
  forest.feature.push(-1);
  forest.threshold.push(value);
  forest.missingLeft.push(0);
  forest.left.push(-1);
  forest.gain.push(0);
  forest.cover.push(cover);
  return forest.feature.length - 1;
}

export function finishForest(grown: ForestBuilder, base: Float64Array, categorical: Uint8Array): Forest {
  return {
    outputs: base.length,
    base,
    categorical,
    roots: Int32Array.from(grown.roots),
    feature: Int32Array.from(grown.feature),
    threshold: Float64Array.from(grown.threshold),
    missingLeft: Uint8Array.from(grown.missingLeft),
    left: Int32Array.from(grown.left),
    gain: Float64Array.from(grown.gain),
    cover: Float64Array.from(grown.cover),
    sets: Uint32Array.from(grown.sets),
  };
}

/** One forest of all trees in order; base and features are the same in all parts. */
export function joinForests(parts: readonly Forest[], base: Float64Array, categorical: Uint8Array): Forest {
  const joined = newForest();
  for (const part of parts) {
    const nodes = joined.feature.length;
    const sets = joined.sets.length;
    for (const root of part.roots) joined.roots.push(root + nodes);
    for (let n = 0; n < part.feature.length; n++) {
      const f = part.feature[n]!;
      joined.feature.push(f);
      joined.threshold.push(part.threshold[n]! + (f >= 0 && categorical[f] === 1 ? sets : 0));
      joined.missingLeft.push(part.missingLeft[n]!);
      joined.left.push(f >= 0 ? part.left[n]! + nodes : -1);
      joined.gain.push(part.gain[n]!);
      joined.cover.push(part.cover[n]!);
    }
    for (const word of part.sets) joined.sets.push(word);
  }
  return finishForest(joined, base, categorical);
}

/** Whether `value` of the node's feature goes to the left child. */
export function goesLeft(forest: Forest, node: number, value: number): boolean {
  if (Number.isNaN(value)) return forest.missingLeft[node] === 1;
  const threshold = forest.threshold[node]!;
  if (forest.categorical[forest.feature[node]!] === 0) return value <= threshold;
  return value < 256 && ((forest.sets[threshold + (value >>> 5)]! >>> (value & 31)) & 1) === 1;
}

/** The leaf that a row (one value a feature, NaN missing) reaches in the tree with that root. */
export function leafOf(forest: Forest, root: number, row: Float64Array): number {
  const { feature, left } = forest;
  let node = root;
  for (let f = feature[node]!; f >= 0; f = feature[node]!) node = left[node]! + (goesLeft(forest, node, row[f]!) ? 0 : 1);
  return node;
}

/** Adds every tree's leaf to the scores of one row ([outputs], which begin at `base`). Cost: trees × depth. */
export function scoreRow(forest: Forest, row: Float64Array, scores: Float64Array): void {
  scores.set(forest.base);
  const { roots, threshold, outputs } = forest;
  for (let t = 0, output = 0; t < roots.length; t++) {
    scores[output] = scores[output]! + threshold[leafOf(forest, roots[t]!, row)]!;
    if (++output === outputs) output = 0;
  }
}

/** Scores of all rows: columns are [features][rows]; the answer is [rows × outputs]. Same bits as `scoreRow`. */
export function scoreColumns(forest: Forest, columns: readonly Float64Array[], rows: number): Float64Array {
  const { outputs } = forest;
  const scores = new Float64Array(rows * outputs);
  const row = new Float64Array(columns.length);
  const one = new Float64Array(outputs);
  for (let i = 0; i < rows; i++) {
    for (let f = 0; f < columns.length; f++) row[f] = columns[f]![i]!;
    scoreRow(forest, row, one);
    scores.set(one, i * outputs);
  }
  return scores;
}

/** Sum of split gains of each feature: [features]. */
export function gainImportance(forest: Forest): Float64Array {
  const total = new Float64Array(forest.categorical.length);
  for (let n = 0; n < forest.feature.length; n++) {
    const f = forest.feature[n]!;
    if (f >= 0) total[f] = total[f]! + forest.gain[n]!;
  }
  return total;
}
