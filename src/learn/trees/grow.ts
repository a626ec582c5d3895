import { mix, random, shuffled } from '../random.ts';
import type { FeatureBins } from './bins.ts';
import { addLeaf, type ForestBuilder } from './forest.ts';
import type { Kernel, SearchNode } from './kernel.ts';
import { type Bounds, bestSplit, boundedWeight, type Split, type SplitLimits, type SplitRules, splitLimits, unbounded } from './split.ts';

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

/** A node and what its split must keep to; null: it is known to have none. */
interface Sought {
  readonly node: Open;
  readonly limits: SplitLimits | null;
}

function asSearched({ node: { slot, from, to, gradient, hessian }, limits }: Sought): SearchNode {
  return { slot, from, to, gradient, hessian, limits };
}

class Growth {
  private readonly open: Open[] = [];
  private readonly free: number[] = [];
  private readonly ground: Ground;
  private readonly features: Uint32Array;
  private readonly rules: GrowRules;
  private readonly rate: number;
  private readonly forest: ForestBuilder;
  /** No constraints, and every split may take every feature and cut. */
  private readonly plain: boolean;

  constructor(ground: Ground, features: Uint32Array, rules: GrowRules, rate: number, forest: ForestBuilder) {
    this.ground = ground;
    this.features = features;
    this.rules = rules;
    this.rate = rate;
    this.forest = forest;
    const { monotone, groups } = ground.constraints ?? { monotone: null, groups: null };
    this.plain = monotone === null && groups === null && !rules.randomCuts && rules.splitColumnSample === 1;
    for (let s = ground.slots - 1; s >= 0; s--) this.free.push(s);
  }

  run(rows: number): Leaf[] {
    const { kernel } = this.ground;
    kernel.number();
    const slot = this.takeSlot();
    kernel.fill(slot, 0, rows);
    const sums = this.totals(slot);
    this.forest.roots.push(this.forest.feature.length);
    const node = this.leaf(sums.gradient, sums.hessian, unbounded);
    const root: Open = { ...sums, node, from: 0, to: rows, depth: 0, bounds: unbounded, used: [], split: null, slot };
    const limits = this.limits(root);
    if (this.rules.maxLeaves > 1 && limits !== null) this.search(false, { node: root, limits });
    this.open.push(root);
    for (let leaves = 1; leaves < this.rules.maxLeaves; leaves++) {
      const next = this.next();
      if (next === null) break;
      const [small, large] = this.divide(next, next.split!);
      if (leaves + 1 < this.rules.maxLeaves) this.seek(next.slot, small, large);
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

  /** What a split of the node must keep to; null where it is known that there is none. */
  private limits(node: Open): SplitLimits | null {
    if (node.depth >= this.rules.maxDepth) return null;
    const limits = splitLimits({ hessian: node.hessian, rows: node.to - node.from }, this.rules);
    // Both sides need the least hessian; a hair less is left to the search, which rounds.
    return node.hessian * (1 + 1e-9) < limits.leastHessian * 2 ? null : limits;
  }

  /** Sums the histograms of two siblings, where they may be split, in their parent's slot (-1: given up) and another, and looks for their splits. */
  private seek(slot: number, small: Open, large: Open): void {
    const [first, second] = [small, large].map((node) => ({ node, limits: this.limits(node) })) as [Sought, Sought];
    if (slot < 0 || (second.limits === null && first.limits !== null)) {
      for (const sought of [first, second]) {
        if (sought.limits === null) continue;
        sought.node.slot = slot < 0 ? this.takeSlot() : slot;
        this.search(true, sought);
      }
    } else if (second.limits !== null) {
      small.slot = this.takeSlot();
      large.slot = slot;
      this.search(true, first, second);
    } else this.free.push(slot);
  }

  /** Looks for the splits of one node or of two siblings, after their histograms are summed where they aren't yet; who has none gives its slot back. */
  private search(sum: boolean, first: Sought, second?: Sought): void {
    const { kernel, gradientScale, hessianScale } = this.ground;
    const both = second === undefined ? [first] : [first, second];
    const { l1, l2 } = this.rules;
    if (kernel.search !== undefined && this.plain) {
      const [a, b] = both.map(asSearched);
      const found = kernel.search({ gradientScale, hessianScale, l1, l2 }, sum, a!, b);
      both.forEach(({ node }, i) => {
        node.split = found[i]!;
      });
    } else {
      const { slot, from, to } = first.node;
      if (sum && second !== undefined) kernel.fillBeside(slot, second.node.slot, from, to);
      else if (sum) kernel.fill(slot, from, to);
      for (const { node, limits } of both) if (limits !== null) node.split = this.splitOf(node);
    }
    for (const { node } of both) {
      if (node.split !== null) continue;
      this.free.push(node.slot);
      node.slot = -1;
    }
  }

  private splitOf({ node, slot, from, to, gradient, hessian, bounds, used }: Open): Split | null {
    const { kernel, offsets, bins, gradientScale, hessianScale, constraints, seed } = this.ground;
    const histogram = { sums: kernel.histogram(slot), offsets, gradientScale, hessianScale };
    const draw = this.rules.randomCuts ? random(mix((seed ?? 0) ^ mix(node + 1))) : null;
    const sums = { gradient, hessian, rows: to - from, ...bounds, monotone: constraints?.monotone ?? null, draw };
    return bestSplit(histogram, this.featuresFor(node, used), bins, sums, this.rules);
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

  /** Makes the leaf an inner node; its children, the one with fewer rows first, are open then. */
  private divide(parent: Open, split: Split): [Open, Open] {
    const middle = this.ground.kernel.partition(parent.from, parent.to, split.feature, split.goesLeft);
    const left = split.left;
    const right = { gradient: parent.gradient - left.gradient, hessian: parent.hessian - left.hessian };
    const values = [left, right].map((side) => boundedWeight(side.gradient, side.hessian, this.rules, parent.bounds)) as [number, number];
    const [leftBounds, rightBounds] = this.boundsBelow(parent, split, ...values);
    const used = parent.used.includes(split.feature) ? parent.used : [...parent.used, split.feature];
    const leftNode = this.leaf(left.gradient, left.hessian, leftBounds);
    const rightNode = this.leaf(right.gradient, right.hessian, rightBounds);
    this.becomeInner(parent.node, split, leftNode);
    const shared = { depth: parent.depth + 1, used, split: null, slot: -1 };
    const leftLeaf: Open = { ...shared, ...left, node: leftNode, from: parent.from, to: middle, bounds: leftBounds };
    const rightLeaf: Open = { ...shared, ...right, node: rightNode, from: middle, to: parent.to, bounds: rightBounds };
    this.open.push(leftLeaf, rightLeaf);
    return middle - parent.from <= parent.to - middle ? [leftLeaf, rightLeaf] : [rightLeaf, leftLeaf];
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
