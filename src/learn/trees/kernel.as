// AssemblyScript: the loops of plain kernel.ts on shared linear memory, two sums at a time (f64x2). Addition of exact integers in doubles,
// so the sums are those of the plain kernel bit by bit, however many threads add them up. No relaxed SIMD. Built into kernel-bytes.ts by
// test/assembly.ts.
//
// A job is a kind, its arguments and a number of pieces. The caller posts it and claims pieces; helpers (other threads in `serve`) claim
// what is left, or nothing, when they come late. The claim word is generation << 32 | pieces << 16 | next: a claim is one compare-and-swap,
// so nobody takes a piece of a job that is over, and while a claimed piece is unfinished the caller can't post another job.

const CLAIM: usize = 64;
const DONE: usize = 72;
const STOP: usize = 76;
const KIND: usize = 80;
/** Arguments: words, then doubles, then what each piece answers (128 bytes a piece, at most 7 pieces). */
const WORDS: usize = 96;
const DOUBLES: usize = 160;
const ANSWERS: usize = 256;
/** About 20 µs: the time that the caller is away between two jobs of a level. */
const SPINS: u32 = 4000;

// @ts-ignore: decorator
@inline
function word(n: usize): usize {
  return <usize>load<u32>(WORDS + (n << 2));
}

// @ts-ignore: decorator
@inline
function double(n: usize): f64 {
  return load<f64>(DOUBLES + (n << 3));
}

// @ts-ignore: decorator
@inline
function share(from: u32, to: u32, piece: u32, pieces: u32): u32 {
  return from + <u32>((<u64>(to - from) * piece) / pieces);
}

function perform(kind: u32, piece: u32, pieces: u32): void {
  if (kind == 0) fill(piece, pieces);
  else if (kind == 1) settle(piece, pieces);
  else if (kind == 2) divide(piece, pieces);
  else if (kind == 3) place(piece, pieces);
  else if (kind == 4) scan(piece, pieces);
  else if (kind == 5) derive(piece, pieces);
  else if (kind == 6) fix(piece, pieces);
  else if (kind == 7) credit();
  else bin(piece, pieces);
}

function claimPieces(): void {
  while (true) {
    const claim = atomic.load<u64>(CLAIM);
    const next = <u32>(claim & 0xffff);
    const pieces = <u32>((claim >> 16) & 0xffff);
    if (next >= pieces) return;
    if (atomic.cmpxchg<u64>(CLAIM, claim, claim + 1) != claim) continue;
    perform(load<u32>(KIND), next, pieces);
    if (atomic.add<u32>(DONE, 1) + 1 == pieces) atomic.notify(DONE, 1);
  }
}

function pending(): bool {
  const claim = atomic.load<u64>(CLAIM);
  return (claim & 0xffff) < ((claim >> 16) & 0xffff) || atomic.load<u32>(STOP) != 0;
}

/** Does the job and returns when all its pieces are done. One piece is done at once, without the helpers. */
export function run(kind: u32, pieces: u32): void {
  if (pieces == 1) return perform(kind, 0, 1);
  store<u32>(KIND, kind);
  atomic.store<u32>(DONE, 0);
  const generation = (atomic.load<u64>(CLAIM) >> 32) + 1;
  atomic.store<u64>(CLAIM, (generation << 32) | (<u64>pieces << 16));
  atomic.notify(CLAIM + 4, -1);
  claimPieces();
  for (let i: u32 = 0; i < SPINS && atomic.load<u32>(DONE) != pieces; i++) {}
  for (let done = atomic.load<u32>(DONE); done != pieces; done = atomic.load<u32>(DONE)) atomic.wait<i32>(DONE, done, -1);
}

/** A helper's life: claims pieces until `dismiss`. */
export function serve(): void {
  while (true) {
    claimPieces();
    if (atomic.load<u32>(STOP) != 0) return;
    for (let i: u32 = 0; i < SPINS && !pending(); i++) {}
    const generation = atomic.load<i32>(CLAIM + 4);
    if (!pending()) atomic.wait<i32>(CLAIM + 4, generation, -1);
  }
}

export function dismiss(): void {
  atomic.store<u32>(STOP, 1);
  atomic.add<u32>(CLAIM + 4, 1);
  atomic.notify(CLAIM + 4, -1);
}

/** Adds one row's pair to a bin of the feature whose sums begin at `first`. */
// @ts-ignore: decorator
@inline
function add(sums: usize, first: usize, bin: usize, pair: v128): void {
  const cell = sums + first + (bin << 4);
  v128.store(cell, f64x2.add(v128.load(cell), pair));
}

/**
 * words: sums, bytes of a slot, order, from, to, bins, features, gradients, columns, active, partials.
 * columns: [active × 2] u32, a feature and its first byte in sums. With every feature active, four bins are read at once.
 * Each piece sums its share of the rows: the first into the slot, the others into partials, which `settle` adds up.
 */
function fill(piece: u32, pieces: u32): void {
  const bytes = word(1);
  const order = word(2);
  const bins = word(5);
  const features = word(6);
  const gradients = word(7);
  const columns = word(8);
  const active = word(9);
  const sums = piece == 0 ? word(0) : word(10) + <usize>(piece - 1) * bytes;
  memory.fill(sums, 0, bytes);
  const end = columns + (active << 3);
  const quads = active == features ? columns + ((active & ~3) << 3) : columns;
  const first = order + (<usize>share(<u32>word(3), <u32>word(4), piece, pieces) << 2);
  const last = order + (<usize>share(<u32>word(3), <u32>word(4), piece + 1, pieces) << 2);
  for (let at = first; at < last; at += 4) {
    const row = <usize>load<u32>(at);
    const pair = f64x2.convert_low_i32x4_s(v128.load64_zero(gradients + (row << 3)));
    const base = bins + row * features;
    let column = columns;
    for (let next = base; column < quads; column += 32, next += 4) {
      const four = <usize>load<u32>(next);
      add(sums, <usize>load<u32>(column, 4), four & 255, pair);
      add(sums, <usize>load<u32>(column, 12), (four >> 8) & 255, pair);
      add(sums, <usize>load<u32>(column, 20), (four >> 16) & 255, pair);
      add(sums, <usize>load<u32>(column, 28), four >> 24, pair);
    }
    for (; column < end; column += 8) add(sums, <usize>load<u32>(column, 4), <usize>load<u8>(base + <usize>load<u32>(column)), pair);
  }
}

/** words: sums, bytes, partials, how many, parent (0: none). Adds the partials to the sums and takes these from the parent, a share of the bins a piece. */
function settle(piece: u32, pieces: u32): void {
  const sums = word(0);
  const cells = <u32>(word(1) >> 4);
  const begin = <usize>share(0, cells, piece, pieces) << 4;
  const end = <usize>share(0, cells, piece + 1, pieces) << 4;
  for (let k: usize = 0; k < word(3); k++) {
    const partial = word(2) + k * word(1);
    for (let at = begin; at < end; at += 16) v128.store(sums + at, f64x2.add(v128.load(sums + at), v128.load(partial + at)));
  }
  const parent = word(4);
  if (parent == 0) return;
  for (let at = begin; at < end; at += 16) v128.store(parent + at, f64x2.sub(v128.load(parent + at), v128.load(sums + at)));
}

/** words: order, spare, from, to, bins, features, feature, goesLeft, left spare. One piece moves rows at once; several set them aside for `place`. */
function divide(piece: u32, pieces: u32): void {
  const order = word(0);
  const bins = word(4) + word(6);
  const features = word(5);
  const goesLeft = word(7);
  const begin = <usize>share(<u32>word(2), <u32>word(3), piece, pieces) << 2;
  const end = <usize>share(<u32>word(2), <u32>word(3), piece + 1, pieces) << 2;
  const leftBegin = pieces == 1 ? order + begin : word(8) + begin;
  const rightBegin = word(1) + begin;
  let left = leftBegin;
  let right = rightBegin;
  for (let at = order + begin; at < order + end; at += 4) {
    const row = load<u32>(at);
    const goes = <usize>load<u8>(goesLeft + <usize>load<u8>(bins + <usize>row * features));
    store<u32>(left, row);
    store<u32>(right, row);
    left += goes << 2;
    right += (1 - goes) << 2;
  }
  if (pieces == 1) memory.copy(left, rightBegin, right - rightBegin);
  store<u32>(ANSWERS + (<usize>piece << 7), <u32>((left - leftBegin) >> 2));
}

/** The arguments and answers of `divide`: moves the rows that were set aside to their places. */
function place(piece: u32, pieces: u32): void {
  const order = word(0);
  let lefts: usize = 0;
  let before: usize = 0;
  for (let p: u32 = 0; p < pieces; p++) {
    const count = <usize>load<u32>(ANSWERS + (<usize>p << 7));
    lefts += count;
    if (p < piece) before += count;
  }
  const from = word(2);
  const begin = <usize>share(<u32>from, <u32>word(3), piece, pieces);
  const own = <usize>load<u32>(ANSWERS + (<usize>piece << 7));
  const rows = <usize>share(<u32>from, <u32>word(3), piece + 1, pieces) - begin;
  memory.copy(order + ((from + before) << 2), word(8) + (begin << 2), own << 2);
  memory.copy(order + ((from + lefts + (begin - from - before)) << 2), word(1) + (begin << 2), (rows - own) << 2);
}

// @ts-ignore: decorator
@inline
function strength(gradient: f64, hessian: f64, l1: f64, l2: f64): f64 {
  const g = gradient > l1 ? gradient - l1 : gradient < -l1 ? gradient + l1 : 0;
  const divisor = hessian + l2;
  return divisor > 0 ? (g * g) / divisor : 0;
}

/**
 * `Search.numeric` of split.ts, operation by operation. words: sums, table, numeric features; table: [features × 4] u32, feature, first
 * byte in sums, bins. doubles: gradient, hessian, gradient scale, hessian scale, l1, l2, least hessian, gain to exceed.
 * Answers: gain, gradient and hessian of the left side, feature (-1: none), bin, whether missing goes left.
 */
function scan(piece: u32, pieces: u32): void {
  const gradient = double(0);
  const hessian = double(1);
  const gradientScale = double(2);
  const hessianScale = double(3);
  const l1 = double(4);
  const l2 = double(5);
  const least = double(6);
  const parent = strength(gradient, hessian, l1, l2);
  let best = double(7);
  let bestGradient: f64 = 0;
  let bestHessian: f64 = 0;
  let bestFeature: i32 = -1;
  let bestBin: i32 = 0;
  let bestMissing: i32 = 0;
  const count = <u32>word(2);
  const last = word(1) + (<usize>share(0, count, piece + 1, pieces) << 4);
  for (let entry = word(1) + (<usize>share(0, count, piece, pieces) << 4); entry < last; entry += 16) {
    const begin = word(0) + <usize>load<u32>(entry, 4);
    const end = begin + (<usize>load<u32>(entry, 8) << 4);
    const missingGradient = load<f64>(begin) * gradientScale;
    const missingHessian = load<f64>(begin, 8) * hessianScale;
    const someMissing = missingHessian != 0 || missingGradient != 0;
    const stop = someMissing ? end : end - 16;
    let g: f64 = 0;
    let h: f64 = 0;
    let bin = 1;
    for (let at = begin + 16; at < stop; at += 16, bin++) {
      g += load<f64>(at) * gradientScale;
      h += load<f64>(at, 8) * hessianScale;
      if (h >= least && hessian - h >= least) {
        const gain = strength(g, h, l1, l2) + strength(gradient - g, hessian - h, l1, l2) - parent;
        if (gain > best) {
          best = gain;
          bestFeature = load<i32>(entry);
          bestBin = bin;
          bestMissing = !someMissing && h * 2 > hessian ? 1 : 0;
          bestGradient = g;
          bestHessian = h;
        }
      }
      if (!someMissing) continue;
      const withGradient = g + missingGradient;
      const withHessian = h + missingHessian;
      if (withHessian >= least && hessian - withHessian >= least) {
        const gain = strength(withGradient, withHessian, l1, l2) + strength(gradient - withGradient, hessian - withHessian, l1, l2) - parent;
        if (gain > best) {
          best = gain;
          bestFeature = load<i32>(entry);
          bestBin = bin;
          bestMissing = 1;
          bestGradient = withGradient;
          bestHessian = withHessian;
        }
      }
    }
  }
  const answer = ANSWERS + (<usize>piece << 7);
  store<f64>(answer, best);
  store<f64>(answer, bestGradient, 8);
  store<f64>(answer, bestHessian, 16);
  store<f64>(answer, <f64>bestFeature, 24);
  store<f64>(answer, <f64>bestBin, 32);
  store<f64>(answer, <f64>bestMissing, 40);
}

/** exp and sigmoid of exact.ts, operation by operation. */
function exp(x: f64): f64 {
  const clamped = max<f64>(-700, min<f64>(700, x));
  const k = floor<f64>(clamped * 1.4426950408889634 + 0.5);
  const high = clamped - k * 0.6931471803691238;
  const low = k * 1.9082149292705877e-10;
  const r = high - low;
  const t = r * r;
  const c =
    r -
    t *
      (0.16666666666666602 +
        t * (-0.0027777777777015593 + t * (6.613756321437934e-5 + t * (-1.6533902205465252e-6 + t * 4.1381367970572385e-8))));
  return (1 - (low - (r * c) / (2 - c) - high)) * reinterpret<f64>((<i64>k + 1023) << 52);
}

function sigmoid(x: f64): f64 {
  return x >= 0 ? 1 / (1 + exp(-x)) : 1 - 1 / (1 + exp(x));
}

/** words: rows, targets, weights, scores, gradient, hessian, loss (0 squared, 1 logistic). Answers: the largest |gradient| and hessian. */
function derive(piece: u32, pieces: u32): void {
  const rows = <u32>word(0);
  const logistic = word(6) == 1;
  let largest: f64 = 0;
  let steepest: f64 = 0;
  const end = <usize>share(0, rows, piece + 1, pieces) << 3;
  for (let at = <usize>share(0, rows, piece, pieces) << 3; at < end; at += 8) {
    const y = load<f64>(word(1) + at);
    const s = load<f64>(word(3) + at);
    const weight = load<f64>(word(2) + at);
    const p = logistic ? sigmoid(s) : s;
    const g = (p - y) * weight;
    const h = (logistic ? max<f64>(p * (1 - p), 1e-16) : 1) * weight;
    store<f64>(word(4) + at, g);
    store<f64>(word(5) + at, h);
    largest = max<f64>(largest, abs<f64>(g));
    steepest = max<f64>(steepest, h);
  }
  store<f64>(ANSWERS + (<usize>piece << 7), largest);
  store<f64>(ANSWERS + (<usize>piece << 7), steepest, 8);
}

/** words: rows, gradient, hessian, fixed gradients. doubles: the scales. */
function fix(piece: u32, pieces: u32): void {
  const rows = <u32>word(0);
  const scales = f64x2.replace_lane(f64x2.splat(double(0)), 1, double(1));
  const half = f64x2.splat(0.5);
  const end = <usize>share(0, rows, piece + 1, pieces) << 3;
  for (let at = <usize>share(0, rows, piece, pieces) << 3; at < end; at += 8) {
    const pair = f64x2.replace_lane(f64x2.splat(load<f64>(word(1) + at)), 1, load<f64>(word(2) + at));
    const whole = f64x2.floor(f64x2.add(f64x2.mul(pair, scales), half));
    v128.store64_lane(word(3) + at, i32x4.trunc_sat_f64x2_s_zero(whole), 0);
  }
}

/** words: order, from, to, scores. doubles: a leaf's value, which is added to the scores of its rows. */
function credit(): void {
  const last = word(0) + (word(2) << 2);
  for (let at = word(0) + (word(1) << 2); at < last; at += 4) {
    const score = word(3) + (<usize>load<u32>(at) << 3);
    store<f64>(score, load<f64>(score) + double(0));
  }
}

/** words: rows, values, bounds, number of bounds, bins, features, feature. Bin 0 is missing; else 1 + the number of bounds below the value. */
function bin(piece: u32, pieces: u32): void {
  const rows = <u32>word(0);
  const features = word(5);
  const bounds = word(2);
  const count = word(3);
  for (let row = <usize>share(0, rows, piece, pieces), end = <usize>share(0, rows, piece + 1, pieces); row < end; row++) {
    const value = load<f64>(word(1) + (row << 3));
    let base: usize = 0;
    let left = count;
    while (left > 1) {
      const half = left >> 1;
      base = value > load<f64>(bounds + ((base + half - 1) << 3)) ? base + half : base;
      left -= half;
    }
    if (left == 1 && value > load<f64>(bounds + (base << 3))) base++;
    store<u8>(word(4) + row * features + word(6), value == value ? base + 1 : 0);
  }
}
