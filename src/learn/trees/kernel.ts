/**
 * The three loops in which training spends its time, over one memory layout. Two implementations give the same bits:
 * this file's plain JavaScript (the reference) and the WASM one. Gradients are fixed-point integers, so a histogram's sums are
 * exact in doubles and don't depend on the order in which rows are added.
 */
export interface Kernel {
  /** [rows × features], row-major: the bin of each value. Filled once by the caller. */
  readonly bins: Uint8Array;
  /** [rows × 2]: gradient and hessian of each row in fixed point. Filled by the caller before each tree. */
  readonly gradients: Int32Array;
  /** [rows]: row numbers; each node owns a range of it. The caller resets it before each tree. */
  readonly order: Uint32Array;
  /** The sums of a slot: [bins of all features × 2], gradient and hessian; feature f begins at 2·offsets[f]. */
  histogram(slot: number): Float64Array;
  /** Sums the rows order[from … to) into the slot, for the active features only. */
  fill(slot: number, from: number, to: number): void;
  /** parent := parent - child, bin by bin. */
  subtract(parent: number, child: number): void;
  /** Reorders order[from … to) stably so that rows with goesLeft[bin of feature] = 1 come first; returns where the others begin. */
  partition(from: number, to: number, feature: number, goesLeft: Uint8Array): number;
  /** Features that `fill` sums up, ascending. */
  activate(features: Uint32Array): void;
}

export interface KernelShape {
  readonly rows: number;
  readonly features: number;
  /** [features + 1]: where each feature's bins begin; the last is the number of all bins. */
  readonly offsets: Uint32Array;
  readonly slots: number;
}

export type MakeKernel = (shape: KernelShape) => Kernel;

export const plainKernel: MakeKernel = ({ rows, features, offsets, slots }) => {
  const bins = new Uint8Array(rows * features);
  const gradients = new Int32Array(rows * 2);
  const order = new Uint32Array(rows);
  const spare = new Uint32Array(rows);
  const width = offsets[features]! * 2;
  const histograms = Array.from({ length: slots }, () => new Float64Array(width));
  let active = Uint32Array.from({ length: features }, (_, f) => f);
  return {
    bins,
    gradients,
    order,
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
  };
};
