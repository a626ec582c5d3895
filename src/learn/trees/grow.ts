import { mix, random, shuffled } from '../random.ts';
import type { FeatureBins } from './bins.ts';
import { addLeaf, type ForestBuilder } from './forest.ts';
import type { Kernel, ScanNode } from './kernel.ts';
import { type Bounds, bestSplit, boundedWeight, type Split, type SplitRules, unbounded } from './split.ts';

export interface GrowRules extends SplitRules {
  /** `leaf`: split the leaf that gains most (LightGBM); `depth`: level by level (XGBoost's default). */
  readonly growth: 'leaf' | 'depth';
  readonly maxLeaves: number;
  readonly maxDepth: number;
  /** Share of the tree's features that each split looks at (a random forest's way); 1: all. */
  readonly splitColumnSample: number;
  /** Try one random cut for each numeric feature (extra trees). */
  readonly randomCuts: boolean;
}

/** Constraints in terms of feature numbers. */
export interface Constraints {
  /** [features]: +1, -1 or 0; null: none. */
  readonly monotone: Int8Array | null;
  /** Features on one path stand together in one of these groups; null: any may. */
  readonly groups: readonly ReadonlySet<number>[] | null;
}

/** What a tree grows on: the kernel holds bins and gradients; scales turn fixed point into real units. */
export interface Ground {
  readonly kernel: Kernel;
  readonly bins: readonly FeatureBins[];
  readonly offsets: Uint32Array;
  readonly slots: number;
  readonly gradientScale: number;
  readonly hessianScale: number;
  readonly constraints?: Constraints;
  /** For what is drawn at random within this tree. */
  readonly seed?: number;
}

/** A finished leaf: its node in the forest and its rows, order[from … to). */
export interface Leaf {
  readonly node: number;
  readonly from: number;
  readonly to: number;
}

interface Open extends Leaf {
  readonly depth: number;
  readonly gradient: number;
  readonly hessian: number;
  readonly bounds: Bounds;
  /** Features that were split on above. */
  readonly used: readonly number[];
  slot: number;
  split: Split | null;
}

/**
 * Grows one tree into the forest and returns its leaves. `features` (ascending) may be split on; `rate` shrinks leaf values.
 * The smaller child's histogram is summed, its sibling's is what remains of the parent's (Ke et al. 2017). Histograms live in a
 * fixed number of slots: when they run out, the open leaf that promises least gives its slot up and its children are summed anew.
 */
export function growTree(
  ground: Ground,
  rows: number,
  features: Uint32Array,
  rules: GrowRules,
  rate: number,
  forest: ForestBuilder,
): Leaf[] {
  const growth = new Growth(ground, features, rules, rate, forest);
  return growth.run(rows);
}

class Growth {
  private readonly open: Open[] = [];
  private readonly free: number[] = [];
  private readonly ground: Ground;
  private readonly features: Uint32Array;
  private readonly rules: GrowRules;
  private readonly rate: number;
  private readonly forest: ForestBuilder;

  constructor(ground: Ground, features: Uint32Array, rules: GrowRules, rate: number, forest: ForestBuilder) {
    this.ground = ground;
    this.features = features;
    this.rules = rules;
    this.rate = rate;
    this.forest = forest;
    for (let s = ground.slots - 1; s >= 0; s--) this.free.push(s);
  }

  run(rows: number): Leaf[] {
    const { kernel } = this.ground;
    for (let i = 0; i < rows; i++) kernel.order[i] = i;
    const slot = this.takeSlot();
    kernel.fill(slot, 0, rows);
    const { gradient, hessian } = this.totals(slot);
    this.forest.roots.push(this.forest.feature.length);
    this.admit(0, rows, 0, gradient, hessian, slot, this.leaf(gradient, hessian, unbounded), unbounded, []);
    for (let leaves = 1; leaves < this.rules.maxLeaves; leaves++) {
      const next = this.next();
      if (next === null) break;
      this.divide(next, next.split!);
    }
    return this.open;
  }

  /** The sums of the node, read from its first active feature: every row stands in exactly one of its bins. */
  private totals(slot: number): { gradient: number; hessian: number } {
    const { kernel, offsets, gradientScale, hessianScale } = this.ground;
    const sums = kernel.histogram(slot);
    const f = this.features[0]!;
    let gradient = 0;
    let hessian = 0;
    for (let bin = offsets[f]!; bin < offsets[f + 1]!; bin++) {
      gradient += sums[bin * 2]!;
      hessian += sums[bin * 2 + 1]!;
    }
    return { gradient: gradient * gradientScale, hessian: hessian * hessianScale };
  }

  private leaf(gradient: number, hessian: number, bounds: Bounds): number {
    return addLeaf(this.forest, boundedWeight(gradient, hessian, this.rules, bounds) * this.rate, hessian);
  }

  /** Makes a node known and looks for its split; a node that can't be split gives its slot back at once. */
  private admit(
    from: number,
    to: number,
    depth: number,
    gradient: number,
    hessian: number,
    slot: number,
    node: number,
    bounds: Bounds,
    used: readonly number[],
  ): void {
    const { kernel, offsets, bins, gradientScale, hessianScale, constraints } = this.ground;
    const features = this.featuresFor(node, used);
    const scan = features === this.features ? kernel.scan : undefined;
    const histogram = {
      sums: kernel.histogram(slot),
      offsets,
      gradientScale,
      hessianScale,
      scan: scan && ((of: ScanNode) => scan(slot, of)),
    };
    const draw = this.rules.randomCuts ? random(mix((this.ground.seed ?? 0) ^ mix(node + 1))) : null;
    const sums = { gradient, hessian, rows: to - from, ...bounds, monotone: constraints?.monotone ?? null, draw };
    const split = depth < this.rules.maxDepth ? bestSplit(histogram, features, bins, sums, this.rules) : null;
    if (split === null) this.free.push(slot);
    this.open.push({ node, from, to, depth, gradient, hessian, bounds, used, split, slot: split === null ? -1 : slot });
  }

  /** The features that may be split on in this node. */
  private featuresFor(node: number, used: readonly number[]): Uint32Array {
    const groups = this.ground.constraints?.groups ?? null;
    let allowed = this.features;
    if (groups !== null && used.length > 0) {
      const open = groups.filter((group) => used.every((f) => group.has(f)));
      allowed = allowed.filter((f) => (used.length === 1 && used[0] === f) || open.some((group) => group.has(f)));
    }
    if (this.rules.splitColumnSample === 1) return allowed;
    const kept = Math.max(1, Math.round(allowed.length * this.rules.splitColumnSample));
    const order = shuffled(allowed.length, random(mix((this.ground.seed ?? 0) + mix(node + 1))));
    return order
      .slice(0, kept)
      .map((at) => allowed[at]!)
      .sort();
  }

  /** The bounds of both sides: where the feature has a direction they meet in the middle of the two values. */
  private boundsBelow(parent: Open, split: Split, left: number, right: number): [Bounds, Bounds] {
    const direction = this.ground.constraints?.monotone?.[split.feature] ?? 0;
    if (direction === 0) return [parent.bounds, parent.bounds];
    const middle = (left + right) / 2;
    const lower = { low: parent.bounds.low, high: middle };
    const upper = { low: middle, high: parent.bounds.high };
    return direction > 0 ? [lower, upper] : [upper, lower];
  }

  private next(): Open | null {
    let best = -1;
    for (let i = 0; i < this.open.length; i++) {
      const leaf = this.open[i]!;
      if (leaf.split === null) continue;
      if (best < 0 || this.before(leaf, this.open[best]!)) best = i;
    }
    return best < 0 ? null : this.open.splice(best, 1)[0]!;
  }

  private before(a: Open, b: Open): boolean {
    if (this.rules.growth === 'depth' && a.depth !== b.depth) return a.depth < b.depth;
    return a.split!.gain > b.split!.gain;
  }

  private divide(parent: Open, split: Split): void {
    const { kernel } = this.ground;
    const middle = kernel.partition(parent.from, parent.to, split.feature, split.goesLeft);
    const left = split.left;
    const right = { gradient: parent.gradient - left.gradient, hessian: parent.hessian - left.hessian };
    const values = [left, right].map((side) => boundedWeight(side.gradient, side.hessian, this.rules, parent.bounds)) as [number, number];
    const [leftBounds, rightBounds] = this.boundsBelow(parent, split, ...values);
    const used = parent.used.includes(split.feature) ? parent.used : [...parent.used, split.feature];
    const leftNode = this.leaf(left.gradient, left.hessian, leftBounds);
    const rightNode = this.leaf(right.gradient, right.hessian, rightBounds);
    this.becomeInner(parent.node, split, leftNode);
    const leftIsSmall = middle - parent.from <= parent.to - middle;
    const summed = this.takeSlot();
    const other = parent.slot >= 0 ? parent.slot : this.takeSlot();
    const [from, to] = leftIsSmall ? [parent.from, middle] : [middle, parent.to];
    if (parent.slot >= 0) kernel.fillBeside(summed, other, from, to);
    else {
      kernel.fill(summed, from, to);
      if (leftIsSmall) kernel.fill(other, middle, parent.to);
      else kernel.fill(other, parent.from, middle);
    }
    const depth = parent.depth + 1;
    this.admit(parent.from, middle, depth, left.gradient, left.hessian, leftIsSmall ? summed : other, leftNode, leftBounds, used);
    this.admit(middle, parent.to, depth, right.gradient, right.hessian, leftIsSmall ? other : summed, rightNode, rightBounds, used);
  }

  private takeSlot(): number {
    const free = this.free.pop();
    if (free !== undefined) return free;
    let poorest: Open | null = null;
    for (const leaf of this.open) if (leaf.slot >= 0 && (poorest === null || leaf.split!.gain < poorest.split!.gain)) poorest = leaf;
    const slot = poorest!.slot;
    poorest!.slot = -1;
    return slot;
  }

  private becomeInner(node: number, split: Split, leftNode: number): void {
    const { forest } = this;
    const bins = this.ground.bins[split.feature]!;
    forest.feature[node] = split.feature;
    forest.left[node] = leftNode;
    forest.gain[node] = split.gain;
    forest.missingLeft[node] = split.goesLeft[0]!;
    if (bins.kind === 'numeric') forest.threshold[node] = bins.upper[split.threshold - 1] ?? Number.POSITIVE_INFINITY;
    else forest.threshold[node] = addSet(forest.sets, split.goesLeft);
  }
}

/** Appends the set of category codes that go left (bin = code + 1) and returns where it begins. */
function addSet(sets: number[], goesLeft: Uint8Array): number {
  const begin = sets.length;
  for (let word = 0; word < 8; word++) sets.push(0);
  for (let code = 0; code < 255; code++) {
    if (goesLeft[code + 1] === 1) sets[begin + (code >>> 5)] = (sets[begin + (code >>> 5)]! | (1 << (code & 31))) >>> 0;
  }
  return begin;
}
