import { fail } from '#core';
import { fixedPointScale } from '../exact.ts';
import { mix, random, shuffled } from '../random.ts';
import { binCount, type Feature, featureBins } from './bins.ts';
import { type Forest, type ForestBuilder, finishForest, goesLeft, joinForests, newForest } from './forest.ts';
import { type Constraints, type Ground, growTree, type Leaf } from './grow.ts';
import type { Kernel, MakeKernel, Scorer } from './kernel.ts';
import { type Loss, lossNamed, lossOfMeans, weightedQuantile } from './losses.ts';
import type { BoostOptions } from './settings.ts';

/** Rows to learn from: features [features][rows], targets as the loss wants them, a weight for each row. */
export interface Rows {
  readonly features: readonly Feature[];
  readonly targets: Float64Array;
  readonly weights: Float64Array;
}

/** What a caller may do after each round. `validation` is null without validation rows. */
export interface Round {
  readonly round: number;
  readonly training: number | null;
  readonly validation: number | null;
}

export interface Boosted {
  readonly forest: Forest;
  /** Rounds that were kept. */
  readonly rounds: number;
  readonly validation: number | null;
}

/** Memory for histograms; a wide table gets fewer slots, not more memory. */
const HISTOGRAM_BYTES = 64 * 2 ** 20;

/**
 * Gradient boosted trees on histograms (Friedman 2001; Chen, Guestrin 2016; Ke et al. 2017). A generator: it yields after each round, so
 * that the caller reports, pauses or ends it; ending it early (`return`) loses the result, sending `true` to `next` keeps what there is.
 * The result depends on data, options and seed only, bit by bit: sums are integers and exp is our own.
 * With validation rows the rounds after the best one are dropped. Cost of a round: rows × features for the root, less below.
 */
export function* boost(
  rows: Rows,
  validation: Rows | null,
  given: BoostOptions,
  classes: number,
  makeKernel: MakeKernel,
): Generator<Round, Boosted, boolean | undefined> {
  const options = given.forest ? { ...given, loss: lossOfMeans(given.loss, classes) } : given;
  const loss = lossNamed(options.loss, { classes, alpha: options.alpha, delta: options.delta, power: options.power });
  const booster = new Booster(rows, loss, options, makeKernel);
  try {
    return yield* growRounds(booster, validation, loss, options);
  } finally {
    booster.release();
  }
}

function* growRounds(
  booster: Booster,
  validation: Rows | null,
  loss: Loss,
  options: BoostOptions,
): Generator<Round, Boosted, boolean | undefined> {
  const watch = validation === null ? null : new Watch(validation, loss, booster.base);
  let best = { rounds: 0, value: watch?.value() ?? null };
  for (let round = 1; round <= options.rounds; round++) {
    const trees = booster.round(round);
    if (watch !== null) {
      watch.add(trees);
      const value = watch.value();
      if (options.forest || value < best.value!) best = { rounds: round, value };
    } else best = { rounds: round, value: null };
    const stop = yield { round, training: null, validation: watch === null ? null : watch.latest };
    if (stop === true || (options.patience > 0 && !options.forest && watch !== null && round - best.rounds >= options.patience)) break;
  }
  return { forest: booster.finish(best.rounds), rounds: best.rounds, validation: best.value };
}

class Booster {
  private readonly grown: Forest[] = [];
  readonly base: Float64Array;
  private readonly rows: Rows;
  private readonly loss: Loss;
  private readonly options: BoostOptions;
  private readonly kernel: Kernel;
  private readonly ground: Omit<Ground, 'gradientScale' | 'hessianScale'>;
  /** Where the kernel keeps scores and takes derivatives; null for the losses that it does not know. */
  private readonly scorer: Scorer | null;
  private readonly scores: Float64Array;
  /** [rows × outputs]; the kernel's own where there is one output. */
  private readonly gradient: Float64Array;
  private readonly hessian: Float64Array;
  private readonly categorical: Uint8Array;

  constructor(rows: Rows, loss: Loss, options: BoostOptions, makeKernel: MakeKernel) {
    const { features, targets, weights } = rows;
    const count = targets.length;
    this.rows = rows;
    this.loss = loss;
    this.options = options;
    this.base = loss.base(targets, weights);
    this.categorical = Uint8Array.from(features, (f) => (f.kind === 'category' ? 1 : 0));
    const bins = features.map((f) => featureBins(f, options.maxBins));
    const offsets = new Uint32Array(features.length + 1);
    bins.forEach((b, f) => {
      offsets[f + 1] = offsets[f]! + binCount(b);
    });
    const affordable = Math.floor(HISTOGRAM_BYTES / (offsets[features.length]! * 16));
    const slots = Math.max(3, Math.min(options.maxLeaves + 1, affordable));
    this.kernel = makeKernel({ rows: count, features: features.length, offsets, slots, categorical: this.categorical });
    features.forEach((f, at) => {
      this.kernel.writeBins(at, bins[at]!, f.values);
    });
    this.ground = { kernel: this.kernel, bins, offsets, slots, constraints: constraintsOf(features, options) };
    this.scorer = this.kernel.scorer?.(options.loss, targets, weights, this.base[0]!) ?? null;
    this.scores = this.scorer?.scores ?? Float64Array.from({ length: count * loss.outputs }, (_, i) => this.base[i % loss.outputs]!);
    const single = loss.outputs === 1;
    this.gradient = single ? this.kernel.gradient : new Float64Array(count * loss.outputs);
    this.hessian = single ? this.kernel.hessian : new Float64Array(count * loss.outputs);
  }

  /** What a leaf's value counts. */
  private get rate(): number {
    return this.options.forest ? 1 / this.options.rounds : this.options.learningRate;
  }

  release(): void {
    this.kernel.release();
  }

  /** Grows the round's trees, one for each output, and returns them alone. */
  round(round: number): Forest {
    const forest = newForest();
    const { loss, rows, options } = this;
    const sizes = this.derive();
    if (options.rowSample < 1) this.sampleRows(round);
    const features = this.sampleFeatures(round);
    this.kernel.activate(features);
    for (let output = 0; output < loss.outputs; output++) {
      const seed = mix(options.seed * 0x27d4eb2f + round * loss.outputs + output);
      const ground = { ...this.ground, ...this.fixGradients(output, sizes[output]!), seed };
      const leaves = growTree(ground, rows.targets.length, features, options, this.rate, forest);
      if (loss.leafQuantile !== null) this.refitLeaves(forest, leaves, loss.leafQuantile);
      if (!options.forest) this.addToScores(forest, leaves, output);
    }
    const trees = finishForest(forest, this.base, this.categorical);
    this.grown.push(trees);
    return trees;
  }

  /** Rows outside the sample weigh nothing in this round; which they are depends on seed, round and row only. */
  private sampleRows(round: number): void {
    const limit = this.options.rowSample * 4294967296;
    const salt = mix(this.options.seed * 0x9e3779b1 + round);
    const { outputs } = this.loss;
    for (let i = 0; i < this.rows.targets.length; i++) {
      if (mix(i ^ salt) < limit) continue;
      this.gradient.fill(0, i * outputs, (i + 1) * outputs);
      this.hessian.fill(0, i * outputs, (i + 1) * outputs);
    }
  }

  private sampleFeatures(round: number): Uint32Array {
    const count = this.rows.features.length;
    const kept = Math.max(1, Math.round(count * this.options.columnSample));
    const order =
      kept === count ? shuffledIdentity(count) : shuffled(count, random(mix(this.options.seed + round * 0x85ebca6b))).slice(0, kept);
    return order.sort();
  }

  /** Derivatives of every row and output, and the largest sizes by output. */
  private derive(): { largest: number; steepest: number }[] {
    if (this.scorer !== null) return [this.scorer.derive()];
    const { gradient, hessian, loss } = this;
    loss.derivatives(this.rows.targets, this.rows.weights, this.scores, gradient, hessian);
    return Array.from({ length: loss.outputs }, (_, output) => {
      let largest = 0;
      let steepest = 0;
      for (let at = output; at < gradient.length; at += loss.outputs) {
        const g = Math.abs(gradient[at]!);
        if (g > largest) largest = g;
        if (hessian[at]! > steepest) steepest = hessian[at]!;
      }
      return { largest, steepest };
    });
  }

  /** Moves one output's derivatives into the kernel as integers; the scales are powers of two, so nothing but rounding is lost. */
  private fixGradients(
    output: number,
    { largest, steepest }: { largest: number; steepest: number },
  ): { gradientScale: number; hessianScale: number } {
    const { outputs } = this.loss;
    const { gradient, hessian, kernel } = this;
    const count = this.rows.targets.length;
    for (let i = 0, at = output; outputs > 1 && i < count; i++, at += outputs) {
      kernel.gradient[i] = gradient[at]!;
      kernel.hessian[i] = hessian[at]!;
    }
    const gradientScale = fixedPointScale(largest, count);
    const hessianScale = fixedPointScale(steepest, count);
    kernel.fix(gradientScale, hessianScale);
    return { gradientScale: 1 / gradientScale, hessianScale: 1 / hessianScale };
  }

  private refitLeaves(forest: ForestBuilder, leaves: readonly Leaf[], share: number): void {
    const { targets, weights } = this.rows;
    for (const { node, from, to } of leaves) {
      const inside = this.kernel.order.subarray(from, to);
      const residuals = Float64Array.from(inside, (row) => targets[row]! - this.scores[row]!);
      const heavy = Float64Array.from(inside, (row) => weights[row]!);
      forest.threshold[node] = weightedQuantile(residuals, heavy, share) * this.rate;
    }
  }

  private addToScores(forest: ForestBuilder, leaves: readonly Leaf[], output: number): void {
    const { outputs } = this.loss;
    const { order } = this.kernel;
    if (this.scorer !== null) {
      this.scorer.credit(leaves.map(({ node, from, to }) => ({ from, to, value: forest.threshold[node]! })));
      return;
    }
    for (const { node, from, to } of leaves) {
      const value = forest.threshold[node]!;
      for (let i = from; i < to; i++) {
        const at = order[i]! * outputs + output;
        this.scores[at] = this.scores[at]! + value;
      }
    }
  }

  finish(rounds: number): Forest {
    const { forest, rounds: planned } = this.options;
    const joined = joinForests(this.grown.slice(0, rounds), this.base, this.categorical);
    if (!forest || rounds === planned || rounds === 0) return joined;
    // Stopped early: the mean is that of fewer trees.
    return { ...joined, threshold: joined.threshold.map((v, n) => (joined.feature[n]! < 0 ? (v * planned) / rounds : v)) };
  }
}

function shuffledIdentity(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

/** Names → feature numbers. LEARN_PLAN where a name is no feature, or a direction is asked of a category. */
function constraintsOf(features: readonly Feature[], { monotone, interactions }: BoostOptions): Constraints {
  const numberOf = (option: string, name: string, kinds: readonly Feature['kind'][]): number => {
    const at = features.findIndex((f) => f.name === name);
    if (at < 0 || !kinds.includes(features[at]!.kind))
      fail('LEARN_PLAN', { option, value: name, expected: `a ${kinds.join(' or ')} column that is learned from` });
    return at;
  };
  const directions = new Int8Array(features.length);
  for (const [name, direction] of Object.entries(monotone)) directions[numberOf('trees.monotone', name, ['numeric'])] = direction;
  const groups = interactions.map((group) => new Set(group.map((name) => numberOf('trees.interactions', name, ['numeric', 'category']))));
  return { monotone: directions.some((d) => d !== 0) ? directions : null, groups: groups.length > 0 ? groups : null };
}

/** Keeps the scores of validation rows while the forest grows. */
class Watch {
  latest: number | null = null;
  private readonly rows: Rows;
  private readonly loss: Loss;
  private readonly scores: Float64Array;

  constructor(rows: Rows, loss: Loss, base: Float64Array) {
    this.rows = rows;
    this.loss = loss;
    this.scores = new Float64Array(rows.targets.length * loss.outputs);
    for (let i = 0; i < this.scores.length; i++) this.scores[i] = base[i % loss.outputs]!;
  }

  value(): number {
    this.latest = this.loss.mean(this.rows.targets, this.rows.weights, this.scores);
    return this.latest;
  }

  /** Adds the trees of one round. */
  add(trees: Forest): void {
    trees.roots.forEach((root, output) => {
      this.addTree(trees, root, output);
    });
  }

  private addTree(forest: Forest, root: number, output: number): void {
    const { outputs } = this.loss;
    const { features, targets } = this.rows;
    for (let i = 0; i < targets.length; i++) {
      let node = root;
      for (let f = forest.feature[node]!; f >= 0; f = forest.feature[node]!) {
        node = forest.left[node]! + (goesLeft(forest, node, features[f]!.values[i]!) ? 0 : 1);
      }
      const at = i * outputs + output;
      this.scores[at] = this.scores[at]! + forest.threshold[node]!;
    }
  }
}
