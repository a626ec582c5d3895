import { unpackBytes } from '../base64.ts';
import { writeBins } from './bins.ts';
import type { Kernel, KernelShape, MakeKernel } from './kernel.ts';
import { plainKernel } from './kernel.ts';
import { kernelBytes } from './kernel-bytes.ts';

interface Exports {
  run(kind: number, pieces: number): void;
  dismiss(): void;
}

/** The kinds of `perform` in kernel.as. */
const FILL = 0;
const SETTLE = 1;
const DIVIDE = 2;
const PLACE = 3;
const SCAN = 4;
const DERIVE = 5;
const FIX = 6;
const CREDIT = 7;
const BIN = 8;

/** Addresses in kernel.as: word arguments, double arguments, answers and their size for each piece. */
const WORDS = 96;
const DOUBLES = 160;
const ANSWERS = 256;
const ANSWER_DOUBLES = 16;
/** As many answers as have room before the arrays. */
const MOST_THREADS = 6;

/** The host's WebAssembly, of which TypeScript knows only with the browser's library. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { initial: number; maximum: number; shared: true }) => { readonly buffer: SharedArrayBuffer };
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

/**
 * Threads that help. They are lent from outside (worker threads in src/run/pool.ts), since learn starts none. Each helper that joins
 * instantiates the module with `{ env: { memory } }` and calls its export `serve`, which returns when the kernel is done with it.
 * A helper that comes late or never costs time, not the result: whatever nobody claims, the caller does.
 */
export interface Helpers {
  readonly count: number;
  join(module: object, memory: object): void;
}

const PAGE = 65_536;
/** Linear memory ends here; larger tables take the plain kernel. */
const MOST_BYTES = 65_536 * PAGE - PAGE;
/** Additions below which a job isn't worth the helpers' attention. */
const WORTH_SHARING = 24_000;
/** Additions of a piece, at least. */
const LEAST_PIECE = 12_000;

let compiled: object | null = null;
let lent: Helpers | null = null;
let dismissLast: (() => void) | null = null;

/** Lends the helpers to every kernel that is made from now on; the newest has them. The result does not depend on them. */
export function lendHelpers(helpers: Helpers | null): void {
  dismissLast?.();
  dismissLast = null;
  lent = helpers;
}

/**
 * The kernel in WebAssembly SIMD: the plain kernel's results bit by bit, two to three times as fast on one thread.
 * Memory: rows × (features + 56) bytes, the histograms, and one more histogram for each helper.
 */
export const wasmKernel: MakeKernel = (shape) => {
  const threads = Math.min(MOST_THREADS, 1 + (lent?.count ?? 0));
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
  readonly columns: number;
  readonly numeric: number;
  readonly goesLeft: number;
  readonly bins: number;
  readonly bytes: number;
}

function layOut({ rows, features, offsets, slots }: KernelShape, threads: number): Layout {
  let end = 1024;
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
    columns: take(features * 8),
    numeric: take(features * 16),
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
  if (threads > 1) recruit(compiled, memory, wasm);
  const { buffer } = memory;
  const words = new Uint32Array(buffer, WORDS, 16);
  const doubles = new Float64Array(buffer, DOUBLES, 12);
  const answers = new Float64Array(buffer, ANSWERS, ANSWER_DOUBLES * MOST_THREADS);
  const counts = new Uint32Array(buffer, ANSWERS, ANSWER_DOUBLES * 2 * MOST_THREADS);
  const columns = new Uint32Array(buffer, at.columns, features * 2);
  const numeric = new Uint32Array(buffer, at.numeric, features * 4);
  const table = new Uint8Array(buffer, at.goesLeft, 256);
  const gradient = new Float64Array(buffer, at.gradient, rows);
  const hessian = new Float64Array(buffer, at.hessian, rows);
  const histograms = Array.from(
    { length: slots },
    (_, slot) => new Float64Array(buffer, at.histograms + slot * at.slotBytes, at.slotBytes / 8),
  );
  const place = (slot: number): number => at.histograms + slot * at.slotBytes;
  let active = 0;
  let numbers = 0;
  const call = (kind: number, pieces: number, ...given: number[]): void => {
    for (let i = 0; i < given.length; i++) words[i] = given[i]!;
    wasm.run(kind, pieces);
  };
  const piecesFor = (work: number): number =>
    threads === 1 || work < WORTH_SHARING ? 1 : Math.min(threads, Math.floor(work / LEAST_PIECE));

  const sumInto = (slot: number, from: number, to: number): number => {
    const work = (to - from) * active;
    const pieces = work > at.slotBytes / 4 ? piecesFor(work) : 1;
    call(
      FILL,
      pieces,
      ...[place(slot), at.slotBytes, at.order, from, to, at.bins, features, at.gradients, at.columns, active, at.partials],
    );
    return pieces;
  };
  const settle = (slot: number, pieces: number, parent: number): void =>
    call(SETTLE, piecesFor((pieces + 1) * (at.slotBytes / 32)), place(slot), at.slotBytes, at.partials, pieces - 1, parent);

  return {
    bins: new Uint8Array(buffer, at.bins, rows * features),
    gradients: new Int32Array(buffer, at.gradients, rows * 2),
    order: new Uint32Array(buffer, at.order, rows),
    gradient,
    hessian,
    histogram: (slot) => histograms[slot]!,
    activate(list) {
      active = list.length;
      numbers = 0;
      list.forEach((f, i) => {
        const first = offsets[f]! * 16;
        columns.set([f, first], i * 2);
        if (categorical?.[f] !== 1) numeric.set([f, first, offsets[f + 1]! - offsets[f]!, 0], numbers++ * 4);
      });
    },
    fill(slot, from, to) {
      const pieces = sumInto(slot, from, to);
      if (pieces > 1) settle(slot, pieces, 0);
    },
    subtract: (parent, child) => settle(child, 1, place(parent)),
    fillBeside: (child, parent, from, to) => settle(child, sumInto(child, from, to), place(parent)),
    partition(from, to, feature, goesLeft) {
      table.set(goesLeft);
      const pieces = piecesFor((to - from) * 2);
      call(DIVIDE, pieces, at.order, at.spare, from, to, at.bins, features, feature, at.goesLeft, at.leftSpare);
      if (pieces > 1) wasm.run(PLACE, pieces);
      let middle = from;
      for (let p = 0; p < pieces; p++) middle += counts[p * ANSWER_DOUBLES * 2]!;
      return middle;
    },
    writeBins(feature, of, values) {
      if (of.kind === 'category') return writeBins(of, values, this.bins, feature, features);
      gradient.set(values);
      new Float64Array(buffer, at.hessian, 256).set(of.upper);
      call(BIN, piecesFor(rows * 8), rows, at.gradient, at.hessian, of.upper.length, at.bins, features, feature);
    },
    fix(gradientScale, hessianScale) {
      doubles[0] = gradientScale;
      doubles[1] = hessianScale;
      call(FIX, piecesFor(rows), rows, at.gradient, at.hessian, at.gradients);
    },
    scan(slot, node) {
      const { gradientScale, hessianScale, l1, l2, leastHessian, gain } = node;
      doubles.set([node.gradient, node.hessian, gradientScale, hessianScale, l1, l2, leastHessian, gain]);
      const pieces = piecesFor(((at.slotBytes / 16) * numbers * 3) / features);
      call(SCAN, pieces, place(slot), at.numeric, numbers);
      let best = -1;
      for (let p = 0, least = gain; p < pieces * ANSWER_DOUBLES; p += ANSWER_DOUBLES) {
        if (answers[p + 3]! < 0 || answers[p]! <= least) continue;
        best = p;
        least = answers[p]!;
      }
      if (best < 0) return null;
      const [found, g, h, feature, threshold, missingLeft] = answers.subarray(best, best + 6);
      return { gain: found!, gradient: g!, hessian: h!, feature: feature!, threshold: threshold!, missingLeft: missingLeft === 1 };
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
        credit(from, to, value) {
          doubles[0] = value;
          call(CREDIT, 1, at.order, from, to, at.scores);
        },
      };
    },
    release() {
      if (dismissLast === wasm.dismiss) dismissLast = null;
      wasm.dismiss();
    },
  };
}

/** Sends the helpers to this kernel; those that still serve the one before (a generator that was dropped) leave it. */
function recruit(module: object, memory: object, wasm: Exports): void {
  dismissLast?.();
  dismissLast = wasm.dismiss;
  lent!.join(module, memory);
}
