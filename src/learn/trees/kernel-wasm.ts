import { unpackBytes } from '../base64.ts';
import { writeBins } from './bins.ts';
import { helperCount, recruit, release } from './helpers.ts';
import type { Kernel, KernelShape, MakeKernel, SearchNode } from './kernel.ts';
import { plainKernel } from './kernel.ts';
import { kernelBytes } from './kernel-bytes.ts';
import { ONE_HOT_LEVELS, type Split, strength } from './split.ts';

interface Exports {
  run(kind: number, pieces: number): void;
  dismiss(): void;
}

/** The kinds of `perform` in kernel.as. */
const FILL = 0;
const SETTLE = 1;
const DIVIDE = 2;
const PLACE = 3;
const SEARCH = 4;
const DERIVE = 5;
const FIX = 6;
const CREDIT = 7;
const BIN = 8;
const NUMBER = 9;

/** Addresses in kernel.as: word arguments, double arguments, answers and their size for each piece. */
const WORDS = 96;
const DOUBLES = 160;
const ANSWERS = 512;
const ANSWER_DOUBLES = 16;
const MOST_PIECES = 16;
/** Where arrays begin. */
const ARRAYS = ANSWERS + ANSWER_DOUBLES * 8 * MOST_PIECES;
const MOST_THREADS = 6;
/** What a search is to do, as in kernel.as. */
const SUM = 1;
const TAKE = 2;
const FIND = 4;
const FIND_SIBLING = 8;
/** Bytes that each piece of a search answers, and of one node's answer. */
const FOUND = 4096;
const FOUND_NODE = 320;
const FOUND_TABLE = 64;
/** Leaves that are credited in one job. */
const LEAVES = 1024;

/** The host's WebAssembly, of which TypeScript knows only with the browser's library. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { initial: number; maximum: number; shared: true }) => { readonly buffer: SharedArrayBuffer };
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

const PAGE = 65_536;
/** Linear memory ends here; larger tables take the plain kernel. */
const MOST_BYTES = 65_536 * PAGE - PAGE;
/** Additions below which a job isn't worth the helpers' attention. */
const WORTH_SHARING = 6000;
/** Additions of a piece, at least. */
const LEAST_PIECE = 3000;
/** Rows from which a histogram is summed by shares of rows instead of columns, for each bin of the table's mean column. */
const ROWS_WORTH_SHARING = 16;
/** Columns of a piece that sums, at least: what is read of each row should pay. */
const LEAST_COLUMNS = 8;

let compiled: object | null = null;
/**
 * The kernel in WebAssembly SIMD: the plain kernel's results bit by bit, two to three times as fast on one thread.
 * Memory: rows × (features + 56) bytes, the histograms, and one more histogram for each helper.
 */
export const wasmKernel: MakeKernel = (shape) => {
  const threads = Math.min(MOST_THREADS, 1 + helperCount());
  const layout = layOut(shape, threads);
  return layout.bytes > MOST_BYTES ? plainKernel(shape) : kernelAt(shape, layout, threads);
};

/** Where each array begins in linear memory, in bytes; every one at a multiple of 16. */
interface Layout {
  readonly histograms: number;
  readonly partials: number;
  readonly slotBytes: number;
  readonly gradients: number;
  readonly gradient: number;
  readonly hessian: number;
  readonly scores: number;
  readonly targets: number;
  readonly weights: number;
  readonly order: number;
  readonly spare: number;
  readonly leftSpare: number;
  readonly entries: number;
  readonly found: number;
  readonly leaves: number;
  readonly goesLeft: number;
  readonly bins: number;
  readonly bytes: number;
}

function layOut({ rows, features, offsets, slots }: KernelShape, threads: number): Layout {
  let end = ARRAYS;
  const take = (bytes: number): number => {
    const begin = end;
    end += Math.ceil(bytes / 16) * 16;
    return begin;
  };
  const slotBytes = offsets[features]! * 16;
  // `writeBins` puts values into `gradient` and at most 256 bounds into `hessian` before there are derivatives.
  const doubles = Math.max(rows, 256) * 8;
  return {
    histograms: take(slotBytes * slots),
    partials: take(slotBytes * (threads - 1)),
    slotBytes,
    gradients: take(rows * 8),
    gradient: take(doubles),
    hessian: take(doubles),
    scores: take(rows * 8),
    targets: take(rows * 8),
    weights: take(rows * 8),
    order: take(rows * 4),
    spare: take(rows * 4 + 4),
    leftSpare: take(threads > 1 ? rows * 4 + 4 : 0),
    entries: take(features * 16),
    found: take(FOUND * MOST_PIECES),
    leaves: take(LEAVES * 16),
    goesLeft: take(256),
    bins: take(rows * features),
    bytes: end,
  };
}

function kernelAt({ rows, features, offsets, slots, categorical }: KernelShape, at: Layout, threads: number): Kernel {
  compiled ??= new WebAssembly.Module(unpackBytes(kernelBytes));
  const pages = Math.ceil(at.bytes / PAGE);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const wasm = new WebAssembly.Instance(compiled, { env: { memory } }).exports as Exports;
  if (threads > 1) recruit(compiled, memory, wasm.dismiss);
  const { buffer } = memory;
  const words = new Uint32Array(buffer, WORDS, 16);
  const doubles = new Float64Array(buffer, DOUBLES, 16);
  const answers = new Float64Array(buffer, ANSWERS, ANSWER_DOUBLES * MOST_PIECES);
  const counts = new Uint32Array(buffer, ANSWERS, ANSWER_DOUBLES * 2 * MOST_PIECES);
  const entries = new Uint32Array(buffer, at.entries, features * 4);
  const found = new Float64Array(buffer, at.found, (FOUND / 8) * MOST_PIECES);
  const foundWords = new Int32Array(buffer, at.found, (FOUND / 4) * MOST_PIECES);
  const leafRanges = new Uint32Array(buffer, at.leaves, LEAVES * 4);
  const leafValues = new Float64Array(buffer, at.leaves, LEAVES * 2);
  const table = new Uint8Array(buffer, at.goesLeft, 256);
  const gradient = new Float64Array(buffer, at.gradient, rows);
  const hessian = new Float64Array(buffer, at.hessian, rows);
  const histograms = Array.from(
    { length: slots },
    (_, slot) => new Float64Array(buffer, at.histograms + slot * at.slotBytes, at.slotBytes / 8),
  );
  const place = (slot: number): number => at.histograms + slot * at.slotBytes;
  // Numbers before categories: a search goes over the columns in this order, in which the first of equal splits is kept.
  const isCategory = (f: number): number => categorical?.[f] ?? 0;
  const featureAt = Uint32Array.from({ length: features }, (_, f) => f).sort((a, b) => isCategory(a) - isCategory(b) || a - b);
  const columnOf = new Uint32Array(features);
  featureAt.forEach((f, column) => {
    columnOf[f] = column;
  });
  const bins = new Uint8Array(buffer, at.bins, rows * features);
  let active = 0;
  /** Bins of the active features. */
  let width = 0;
  const call = (kind: number, pieces: number, ...given: number[]): void => {
    for (let i = 0; i < given.length; i++) words[i] = given[i]!;
    wasm.run(kind, pieces);
  };
  const piecesFor = (work: number, most = threads): number =>
    threads === 1 || work < WORTH_SHARING ? 1 : Math.min(most, Math.floor(work / LEAST_PIECE));

  /** Sums by shares of rows; all but the first are partials. */
  const sumRows = (slot: number, from: number, to: number, pieces: number): void =>
    call(FILL, pieces, place(slot), at.slotBytes, at.order, from, to, at.bins, features, at.gradients, at.entries, active, at.partials);
  const piecesOfRows = (from: number, to: number): number =>
    (to - from) * active > ROWS_WORTH_SHARING * width ? piecesFor((to - from) * active) : 1;
  const settle = (slot: number, pieces: number, parent: number): void =>
    call(SETTLE, piecesFor((pieces + 1) * (at.slotBytes / 32)), place(slot), at.slotBytes, at.partials, pieces - 1, parent);

  /** The best of what the pieces found for one node. */
  const bestOf = (pieces: number, first: number, gain: number): Split | null => {
    let best = -1;
    for (let piece = 0, least = gain; piece < pieces; piece++) {
      const begin = (piece * FOUND + first) / 8;
      if (foundWords[begin * 2 + 6]! < 0 || found[begin]! <= least) continue;
      best = begin;
      least = found[begin]!;
    }
    if (best < 0) return null;
    const threshold = foundWords[best * 2 + 7]!;
    const goesLeft = new Uint8Array(256);
    if (threshold === 0) goesLeft.set(new Uint8Array(buffer, at.found + best * 8 + FOUND_TABLE, 256));
    else {
      goesLeft.fill(1, 1, threshold + 1);
      goesLeft[0] = foundWords[best * 2 + 8]!;
    }
    const feature = featureAt[foundWords[best * 2 + 6]!]!;
    return { feature, gain: found[best]!, threshold, goesLeft, left: { gradient: found[best + 1]!, hessian: found[best + 2]! } };
  };
  const describe = (node: SearchNode, first: number, l1: number, l2: number): void => {
    doubles[first] = node.gradient;
    doubles[first + 1] = node.hessian;
    doubles[first + 2] = node.limits?.leastHessian ?? 0;
    doubles[first + 3] = node.limits?.rowsPerHessian ?? 0;
    doubles[first + 4] = strength(node.gradient, node.hessian, l1, l2);
  };

  return {
    bins,
    gradients: new Int32Array(buffer, at.gradients, rows * 2),
    order: new Uint32Array(buffer, at.order, rows),
    gradient,
    hessian,
    number: () => call(NUMBER, 1, rows, at.order),
    histogram: (slot) => histograms[slot]!,
    activate(list) {
      active = list.length;
      width = 0;
      Uint32Array.from(list, (f) => columnOf[f]!)
        .sort()
        .forEach((column, i) => {
          const f = featureAt[column]!;
          const count = offsets[f + 1]! - offsets[f]!;
          const kind = isCategory(f) === 0 ? 0 : count - 1 <= ONE_HOT_LEVELS ? 1 : 2;
          entries.set([column, offsets[f]! * 16, count, kind], i * 4);
          width += count;
        });
    },
    fill(slot, from, to) {
      const pieces = piecesOfRows(from, to);
      sumRows(slot, from, to, pieces);
      if (pieces > 1) settle(slot, pieces, 0);
    },
    subtract: (parent, child) => settle(child, 1, place(parent)),
    fillBeside(child, parent, from, to) {
      const pieces = piecesOfRows(from, to);
      sumRows(child, from, to, pieces);
      settle(child, pieces, place(parent));
    },
    search({ gradientScale, hessianScale, l1, l2 }, sum, first, second) {
      const byRows = sum ? piecesOfRows(first.from, first.to) : 1;
      if (byRows > 1) sumRows(first.slot, first.from, first.to, byRows);
      const byColumns = sum && byRows === 1;
      const tasks = (byColumns ? SUM : 0) | (sum && second ? TAKE : 0) | (first.limits ? FIND : 0) | (second?.limits ? FIND_SIBLING : 0);
      doubles[0] = gradientScale;
      doubles[1] = hessianScale;
      doubles[2] = l1;
      doubles[3] = l2;
      const gain = (first.limits ?? second?.limits)!.gain;
      doubles[4] = gain;
      describe(first, 5, l1, l2);
      if (second) describe(second, 10, l1, l2);
      const summed = byColumns ? (first.to - first.from) * active : 0;
      const most = Math.min(
        active,
        byColumns ? Math.max(threads, Math.floor(active / LEAST_COLUMNS)) : MOST_PIECES,
        threads * 4,
        MOST_PIECES,
      );
      const pieces = piecesFor(summed + width * 6, most);
      const sibling = second ? place(second.slot) : 0;
      const { from, to } = first;
      call(
        SEARCH,
        pieces,
        ...[place(first.slot), sibling, tasks, at.order, from, to, at.bins, features, at.gradients],
        ...[at.entries, active, at.partials, byRows - 1, at.slotBytes, at.found],
      );
      return [first.limits && bestOf(pieces, 0, gain), second?.limits ? bestOf(pieces, FOUND_NODE, gain) : null];
    },
    partition(from, to, feature, goesLeft) {
      table.set(goesLeft);
      const pieces = piecesFor((to - from) * 2);
      call(DIVIDE, pieces, at.order, at.spare, from, to, at.bins, features, columnOf[feature]!, at.goesLeft, at.leftSpare);
      if (pieces > 1) wasm.run(PLACE, pieces);
      let middle = from;
      for (let p = 0; p < pieces; p++) middle += counts[p * ANSWER_DOUBLES * 2]!;
      return middle;
    },
    writeBins(feature, of, values) {
      if (of.kind === 'category') return writeBins(of, values, bins, columnOf[feature]!, features);
      gradient.set(values);
      new Float64Array(buffer, at.hessian, 256).set(of.upper);
      call(BIN, piecesFor(rows * 8), rows, at.gradient, at.hessian, of.upper.length, at.bins, features, columnOf[feature]!);
    },
    fix(gradientScale, hessianScale) {
      doubles[0] = gradientScale;
      doubles[1] = hessianScale;
      call(FIX, piecesFor(rows), rows, at.gradient, at.hessian, at.gradients);
    },
    scorer(loss, targets, weights, base) {
      if (loss !== 'squared' && loss !== 'logistic') return null;
      new Float64Array(buffer, at.targets, rows).set(targets);
      new Float64Array(buffer, at.weights, rows).set(weights);
      const scores = new Float64Array(buffer, at.scores, rows).fill(base);
      return {
        scores,
        derive() {
          const pieces = piecesFor(rows * 4);
          call(DERIVE, pieces, rows, at.targets, at.weights, at.scores, at.gradient, at.hessian, loss === 'logistic' ? 1 : 0);
          let largest = 0;
          let steepest = 0;
          for (let p = 0; p < pieces * ANSWER_DOUBLES; p += ANSWER_DOUBLES) {
            largest = Math.max(largest, answers[p]!);
            steepest = Math.max(steepest, answers[p + 1]!);
          }
          return { largest, steepest };
        },
        credit(leaves) {
          for (let begin = 0; begin < leaves.length; begin += LEAVES) {
            const some = leaves.slice(begin, begin + LEAVES);
            some.forEach(({ from, to, value }, i) => {
              leafRanges[i * 4] = from;
              leafRanges[i * 4 + 1] = to;
              leafValues[i * 2 + 1] = value;
            });
            call(CREDIT, piecesFor(rows * 2, some.length) > 1 ? some.length : 1, at.order, at.scores, at.leaves, some.length);
          }
        },
      };
    },
    release: () => release(wasm.dismiss),
  };
}
