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

/** The leaf that a row reaches in the tree with that root; its values (one a feature, NaN missing) begin at `at`. */
function leafOf(forest: Forest, root: number, values: Float64Array, at: number): number {
  const { feature, left } = forest;
  let node = root;
  for (let f = feature[node]!; f >= 0; f = feature[node]!) node = left[node]! + (goesLeft(forest, node, values[at + f]!) ? 0 : 1);
  return node;
}

/** Adds every tree's leaf to the scores of one row ([outputs], which begin at `base`). Cost: trees × depth. */
export function scoreRow(forest: Forest, row: Float64Array, scores: Float64Array): void {
  scores.set(forest.base);
  const { roots, threshold, outputs } = forest;
  for (let t = 0, output = 0; t < roots.length; t++) {
    scores[output] = scores[output]! + threshold[leafOf(forest, roots[t]!, row, 0)]!;
    if (++output === outputs) output = 0;
  }
}

/** Rows that pass through one tree together, so that the tree stays in the processor's cache. */
const BLOCK = 128;

/** Scores of all rows: columns are [features][rows]; the answer is [rows × outputs]. Same bits as `scoreRow`: each row adds its leaves in the trees' order. */
export function scoreColumns(forest: Forest, columns: readonly Float64Array[], rows: number): Float64Array {
  const { outputs, roots, threshold, base } = forest;
  const width = columns.length;
  const scores = new Float64Array(rows * outputs);
  for (let i = 0; i < scores.length; i++) scores[i] = base[i % outputs]!;
  const block = new Float64Array(BLOCK * width);
  for (let from = 0; from < rows; from += BLOCK) {
    const count = Math.min(BLOCK, rows - from);
    for (let f = 0; f < width; f++) for (let i = 0; i < count; i++) block[i * width + f] = columns[f]![from + i]!;
    for (let t = 0; t < roots.length; t++) {
      for (let i = 0, at = from * outputs + (t % outputs); i < count; i++, at += outputs) {
        scores[at] = scores[at]! + threshold[leafOf(forest, roots[t]!, block, i * width)]!;
      }
    }
  }
  return scores;
}
