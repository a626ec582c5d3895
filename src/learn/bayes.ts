import { log } from './exact.ts';
import type { Design, Sparse } from './linear/design.ts';
import { type Linear, type LinearRows, prepare } from './linear/linear.ts';

export interface BayesOptions {
  /** Added to every count (Laplace), so that what was never seen is not impossible. */
  readonly smoothing: number;
}

export const bayesDefaults: BayesOptions = { smoothing: 1 };

/**
 * Naive Bayes as a linear model, since the logarithm of each class's likelihood is linear in the design's columns: categories by their
 * shares, words by their multinomial shares (on tf–idf, Rennie et al. 2003), numbers as normal with a variance common to all classes, and
 * whether a number is missing. Scores are log joint likelihoods, for softmax; with two classes their difference, for sigmoid.
 * Cost: two passes over the rows.
 */
export function fitBayes(rows: LinearRows, classes: number, { smoothing }: BayesOptions): Linear {
  const { design, table } = prepare(rows.encoded);
  const { sums, squares, weight } = momentsOf(rows, table, classes);
  const joint = new Float64Array(table.width * classes);
  const total = weight.reduce((sum, w) => sum + w, 0);
  const intercepts = weight.map((w) => log((w + smoothing) / (total + smoothing * classes)));
  for (const block of blocksOf(design)) {
    if (block.kind === 'number') normal(block, sums, squares, weight, smoothing, joint, intercepts);
    else shares(block, sums, smoothing, classes, joint);
  }
  if (classes > 2) return { design, outputs: classes, intercepts, weights: Float32Array.from(joint) };
  return {
    design,
    outputs: 1,
    intercepts: Float64Array.of(intercepts[1]! - intercepts[0]!),
    weights: Float32Array.from({ length: table.width }, (_, column) => joint[column * 2 + 1]! - joint[column * 2]!),
  };
}

/** Columns [from, to) of the design that belong together. */
interface Block {
  readonly kind: 'number' | 'shares';
  readonly missing: boolean;
  readonly from: number;
  readonly to: number;
}

function blocksOf(design: Design): Block[] {
  const blocks: Block[] = [];
  let from = 0;
  for (const part of design.parts) {
    const width = part.kind === 'levels' ? part.levels : part.missing ? 2 : 1;
    blocks.push({
      kind: part.kind === 'levels' ? 'shares' : 'number',
      missing: part.kind === 'number' && part.missing,
      from,
      to: from + width,
    });
    from += width;
  }
  if (from < design.width) blocks.push({ kind: 'shares', missing: false, from, to: design.width });
  return blocks;
}

/** Weighted sums of values and of their squares by column and class, [width × classes], and the weight of each class. */
function momentsOf({ targets, weights }: LinearRows, table: Sparse, classes: number) {
  const sums = new Float64Array(table.width * classes);
  const squares = new Float64Array(table.width * classes);
  const weight = new Float64Array(classes);
  for (let row = 0; row < table.rows; row++) {
    const k = targets[row]!;
    const w = weights[row]!;
    weight[k] = weight[k]! + w;
    for (let p = table.starts[row]!; p < table.starts[row + 1]!; p++) {
      const slot = table.columns[p]! * classes + k;
      sums[slot] = sums[slot]! + w * table.values[p]!;
      squares[slot] = squares[slot]! + w * table.values[p]! ** 2;
    }
  }
  return { sums, squares, weight };
}

function normal(
  block: Block,
  sums: Float64Array,
  squares: Float64Array,
  weight: Float64Array,
  smoothing: number,
  joint: Float64Array,
  intercepts: Float64Array,
): void {
  const classes = weight.length;
  const at = block.from * classes;
  const present = weight.map((w, k) => w - (block.missing ? sums[at + classes + k]! : 0));
  const means = present.map((n, k) => sums[at + k]! / (n + smoothing));
  const total = present.reduce((sum, n) => sum + n, 0);
  let spread = smoothing;
  for (let k = 0; k < classes; k++) spread += squares[at + k]! - 2 * means[k]! * sums[at + k]! + present[k]! * means[k]! ** 2;
  const variance = spread / (total + smoothing);
  for (let k = 0; k < classes; k++) {
    const away = (means[k]! * means[k]!) / (2 * variance);
    joint[at + k] = means[k]! / variance;
    intercepts[k] = intercepts[k]! - away;
    if (!block.missing) continue;
    const known = log((present[k]! + smoothing) / (weight[k]! + 2 * smoothing));
    const unknown = log((weight[k]! - present[k]! + smoothing) / (weight[k]! + 2 * smoothing));
    intercepts[k] = intercepts[k]! + known;
    // A row without the number says nothing of its value, and takes back what the intercept said.
    joint[at + classes + k] = unknown - known + away;
  }
}

function shares(block: Block, sums: Float64Array, smoothing: number, classes: number, joint: Float64Array): void {
  for (let k = 0; k < classes; k++) {
    let total = smoothing * (block.to - block.from);
    for (let column = block.from; column < block.to; column++) total += sums[column * classes + k]!;
    for (let column = block.from; column < block.to; column++) {
      const slot = column * classes + k;
      joint[slot] = log((sums[slot]! + smoothing) / total);
    }
  }
}
