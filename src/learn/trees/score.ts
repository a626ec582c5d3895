import { binOf, type FeatureBins } from './bins.ts';
import { codeCount, codesOf, exampleOf } from './codes.ts';
import { type Forest, goesLeft, scoreColumns } from './forest.ts';
import { type Masks, masksOf, scoreMasks } from './masks.ts';

/** Words of a node's set: one bit for each code that a forest grown here can have. */
const WORDS = 9;
/** Rows that pass through one tree together, so that the tree stays in the processor's cache. */
const BLOCK = 256;
/** Rows that walk down side by side: the processor steps one while another waits for memory. Divides BLOCK. */
const TOGETHER = 4;

/**
 * A forest made ready for many rows: each value becomes a code once (0 missing; a number's interval between the forest's thresholds, or a
 * category + 1), and each inner node a set of the codes that go left, so that a step down is three loads and no decision.
 */
export interface CodedForest {
  readonly forest: Forest;
  readonly bins: readonly FeatureBins[];
  /** [nodes × 2]: the feature and the left child. A leaf is its own left child, and every code goes there. */
  readonly nodes: Int32Array;
  /** [nodes × 9]. */
  readonly sets: Uint32Array;
}

/** Null where a feature has more thresholds than codes, which a forest grown here never has. Cost: nodes × 257. */
function codeForest(forest: Forest): CodedForest | null {
  const bins = codesOf(forest);
  if (bins.some((of) => codeCount(of) > WORDS * 32)) return null;
  const nodes = new Int32Array(forest.feature.length * 2);
  const sets = new Uint32Array(forest.feature.length * WORDS);
  forest.feature.forEach((f, n) => {
    nodes[n * 2] = Math.max(f, 0);
    nodes[n * 2 + 1] = f >= 0 ? forest.left[n]! : n;
    if (f >= 0) addCodes(forest, n, bins[f]!, sets);
    else sets.fill(0xffffffff, n * WORDS, (n + 1) * WORDS);
  });
  return { forest, bins, nodes, sets };
}

function addCodes(forest: Forest, node: number, bins: FeatureBins, sets: Uint32Array): void {
  for (let code = 0; code < codeCount(bins); code++) {
    if (!goesLeft(forest, node, exampleOf(bins, code))) continue;
    const at = node * WORDS + (code >>> 5);
    sets[at] = (sets[at]! | (1 << (code & 31))) >>> 0;
  }
}

/**
 * Scores of many rows at once: columns are [features][rows], the answer is [rows × outputs]. The same bits as `scoreRow` and
 * `scoreColumns`: each row adds its leaves in the trees' order. By masks where they are faster, else walking down coded trees.
 */
export function columnScorer(forest: Forest): (columns: readonly Float64Array[], rows: number) => Float64Array {
  let ready: Masks | CodedForest | null | undefined;
  return (columns, rows) => {
    // Coding costs as much as some hundred rows; a forest without trees has no features to code.
    if (rows < BLOCK || forest.roots.length === 0) return scoreColumns(forest, columns, rows);
    ready ??= masksOf(forest) ?? codeForest(forest);
    if (ready === null) return scoreColumns(forest, columns, rows);
    return 'groups' in ready ? scoreMasks(ready, columns, rows) : scoreCoded(ready, columns, rows);
  };
}

function scoreCoded(coded: CodedForest, columns: readonly Float64Array[], rows: number): Float64Array {
  const { outputs, roots, base } = coded.forest;
  const width = columns.length;
  const scores = new Float64Array(rows * outputs);
  for (let i = 0; i < scores.length; i++) scores[i] = base[i % outputs]!;
  const codes = new Uint16Array(BLOCK * width);
  for (let from = 0; from < rows; from += BLOCK) {
    const count = Math.min(BLOCK, rows - from);
    for (let f = 0; f < width; f++) writeCodes(coded.bins[f]!, columns[f]!, from, count, codes, f, width);
    for (let t = 0; t < roots.length; t++) addTree(coded, roots[t]!, codes, width, count, scores, from * outputs + (t % outputs));
  }
  return scores;
}

function writeCodes(
  bins: FeatureBins,
  values: Float64Array,
  from: number,
  count: number,
  codes: Uint16Array,
  f: number,
  width: number,
): void {
  for (let i = 0, at = f; i < count; i++, at += width) {
    const value = values[from + i]!;
    codes[at] = bins.kind === 'category' && value >= bins.levels ? bins.levels + 1 : binOf(bins, value);
  }
}

function addTree(
  { forest, nodes, sets }: CodedForest,
  root: number,
  codes: Uint16Array,
  width: number,
  count: number,
  scores: Float64Array,
  first: number,
): void {
  const { outputs, threshold } = forest;
  const step = (node: number, row: number): number => {
    const code = codes[row + nodes[node << 1]!]!;
    return nodes[(node << 1) + 1]! + (((sets[node * WORDS + (code >>> 5)]! >>> (code & 31)) & 1) ^ 1);
  };
  for (let i = 0; i < count; i += TOGETHER) {
    const row = i * width;
    let [a, b, c, d] = [root, root, root, root];
    for (let moved = true; moved; ) {
      const nextA = step(a, row);
      const nextB = step(b, row + width);
      const nextC = step(c, row + width * 2);
      const nextD = step(d, row + width * 3);
      moved = ((nextA ^ a) | (nextB ^ b) | (nextC ^ c) | (nextD ^ d)) !== 0;
      a = nextA;
      b = nextB;
      c = nextC;
      d = nextD;
    }
    const at = first + i * outputs;
    scores[at] = scores[at]! + threshold[a]!;
    if (i + 1 < count) scores[at + outputs] = scores[at + outputs]! + threshold[b]!;
    if (i + 2 < count) scores[at + outputs * 2] = scores[at + outputs * 2]! + threshold[c]!;
    if (i + 3 < count) scores[at + outputs * 3] = scores[at + outputs * 3]! + threshold[d]!;
  }
}
