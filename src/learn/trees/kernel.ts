import { type FeatureBins, writeBins } from './bins.ts';
import type { Split, SplitLimits } from './split.ts';

/**
 * The loops in which training spends its time, over one memory layout. Two implementations give the same bits:
 * this file's plain JavaScript (the reference) and the WASM one, at any number of threads. Gradients are fixed-point integers, so a histogram's sums are
 * exact in doubles and don't depend on the order in which rows are added.
 */
export interface Kernel {
  /** [rows × features], row-major: the bin of each value. Filled once by the caller. */
  readonly bins: Uint8Array;
  /** [rows × 2]: gradient and hessian of each row in fixed point. Filled by the caller before each tree. */
  readonly gradients: Int32Array;
  /** [rows]: row numbers; each node owns a range of it. */
  readonly order: Uint32Array;
  /** order := 0, 1, 2 …, which each tree begins with. */
  number(): void;
  /** The sums of a slot: [bins of all features × 2], gradient and hessian; feature f begins at 2·offsets[f]. */
  histogram(slot: number): Float64Array;
  /** Sums the rows order[from … to) into the slot, for the active features only. */
  fill(slot: number, from: number, to: number): void;
  /** parent := parent - child, bin by bin. */
  subtract(parent: number, child: number): void;
  /** Reorders order[from … to) stably so that rows with goesLeft[bin of feature] = 1 come first; returns where the others begin. */
  partition(from: number, to: number, feature: number, goesLeft: Uint8Array): number;
  /** `subtract` after `fill` in one: the parent becomes the sibling of the rows order[from … to), which are summed into `child`. */
  fillBeside(child: number, parent: number, from: number, to: number): void;
  /** Features that `fill` sums up and `search` looks at, ascending. */
  activate(features: Uint32Array): void;
  /** Writes the bins of one feature's values, [rows]. */
  writeBins(feature: number, bins: FeatureBins, values: Float64Array): void;
  /** [rows]: what a loss with one output writes its derivatives to, in real units; `fix` reads them. */
  readonly gradient: Float64Array;
  readonly hessian: Float64Array;
  /** gradients := floor(derivative × scale + ½). */
  fix(gradientScale: number, hessianScale: number): void;
  /**
   * The best splits of one node or of two siblings over all active features as `bestSplit` of split.ts finds them; absent where that is to do it.
   * With `sum` as `fill` or, with two nodes, `fillBeside` before: the first node's rows are summed into its slot and taken from the second's.
   */
  readonly search?: (rules: SearchRules, sum: boolean, first: SearchNode, second?: SearchNode) => readonly (Split | null)[];
  /** Scores and derivatives of a loss that the kernel knows; absent where the loss's own code is to do it. */
  readonly scorer?: (loss: string, targets: Float64Array, weights: Float64Array, base: number) => Scorer | null;
  /** Lets go of threads and memory; the kernel is not used afterwards. */
  release(): void;
}

/** Scores that live in the kernel. */
export interface Scorer {
  /** [rows]. */
  readonly scores: Float64Array;
  /** Writes the derivatives to the kernel and returns the largest size of each. */
  derive(): { readonly largest: number; readonly steepest: number };
  /** Adds each leaf's value to the scores of the rows order[from … to). */
  credit(leaves: readonly { readonly from: number; readonly to: number; readonly value: number }[]): void;
}

/** A node as a search sees it: the rows order[from … to), and sums in real units. Without limits its split isn't looked for. */
export interface SearchNode {
  readonly slot: number;
  readonly from: number;
  readonly to: number;
  readonly gradient: number;
  readonly hessian: number;
  readonly limits: SplitLimits | null;
}

export interface SearchRules {
  readonly gradientScale: number;
  readonly hessianScale: number;
  readonly l1: number;
  readonly l2: number;
}

export interface KernelShape {
  readonly rows: number;
  readonly features: number;
  /** [features + 1]: where each feature's bins begin; the last is the number of all bins. */
  readonly offsets: Uint32Array;
  readonly slots: number;
  /** [features]: 1 where a feature is a category; without it all are numeric. */
  readonly categorical?: Uint8Array;
}

export type MakeKernel = (shape: KernelShape) => Kernel;

export const plainKernel: MakeKernel = ({ rows, features, offsets, slots }) => {
  const bins = new Uint8Array(rows * features);
  const gradients = new Int32Array(rows * 2);
  const order = new Uint32Array(rows);
  const spare = new Uint32Array(rows);
  const gradient = new Float64Array(rows);
  const hessian = new Float64Array(rows);
  const width = offsets[features]! * 2;
  const histograms = Array.from({ length: slots }, () => new Float64Array(width));
  let active = Uint32Array.from({ length: features }, (_, f) => f);
  const kernel: Kernel = {
    bins,
    gradients,
    order,
    gradient,
    hessian,
    number() {
      for (let i = 0; i < rows; i++) order[i] = i;
    },
    histogram: (slot) => histograms[slot]!,
    activate(list) {
      active = Uint32Array.from(list);
    },
    fill(slot, from, to) {
      const sums = histograms[slot]!;
      sums.fill(0);
      for (let i = from; i < to; i++) {
        const row = order[i]!;
        const g = gradients[row * 2]!;
        const h = gradients[row * 2 + 1]!;
        const base = row * features;
        for (let a = 0; a < active.length; a++) {
          const f = active[a]!;
          const at = (offsets[f]! + bins[base + f]!) * 2;
          sums[at] = sums[at]! + g;
          sums[at + 1] = sums[at + 1]! + h;
        }
      }
    },
    subtract(parent, child) {
      const a = histograms[parent]!;
      const b = histograms[child]!;
      for (let i = 0; i < width; i++) a[i] = a[i]! - b[i]!;
    },
    partition(from, to, feature, goesLeft) {
      let left = from;
      let right = 0;
      for (let i = from; i < to; i++) {
        const row = order[i]!;
        if (goesLeft[bins[row * features + feature]!] === 1) order[left++] = row;
        else spare[right++] = row;
      }
      order.set(spare.subarray(0, right), left);
      return left;
    },
    fillBeside(child, parent, from, to) {
      kernel.fill(child, from, to);
      kernel.subtract(parent, child);
    },
    writeBins: (feature, of, values) => writeBins(of, values, bins, feature, features),
    fix(gradientScale, hessianScale) {
      for (let i = 0; i < rows; i++) {
        gradients[i * 2] = Math.floor(gradient[i]! * gradientScale + 0.5);
        gradients[i * 2 + 1] = Math.floor(hessian[i]! * hessianScale + 0.5);
      }
    },
    release() {},
  };
  return kernel;
};
