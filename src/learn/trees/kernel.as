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
/** Arguments: words, then doubles, then what each piece answers (128 bytes a piece, at most 16 pieces). */
const WORDS: usize = 96;
const DOUBLES: usize = 160;
const ANSWERS: usize = 512;
/** About 40 µs: longer than the caller is mostly away between two jobs of a tree. With a third of it a second thread gains half as much. */
const SPINS: u32 = 40000;

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
  else if (kind == 4) search(piece, pieces);
  else if (kind == 5) derive(piece, pieces);
  else if (kind == 6) fix(piece, pieces);
  else if (kind == 7) credit(piece, pieces);
  else if (kind == 8) bin(piece, pieces);
  else number();
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

/** Entries whose cells (4 KB a number's) stay in the processor's second cache while rows are summed into them; fewer tear a row's bytes. */
const BLOCK: usize = 256 << 4;

/**
 * Sums rows, the numbers from `from` up to `to` in memory, into the cells of the entries. With neighbouring columns four bins are read at once.
 * An entry is four words: column in `bins`, first byte in sums, bins, how it is searched.
 */
// @ts-ignore: decorator
@inline
function sum(sums: usize, first: usize, last: usize, from: usize, to: usize, bins: usize, features: usize, gradients: usize): void {
  for (let entry = first; entry < last; entry += 16) memory.fill(sums + <usize>load<u32>(entry, 4), 0, <usize>load<u32>(entry, 8) << 4);
  const left = <usize>load<u32>(first);
  const neighbours = <usize>load<u32>(last - 16) - left == (last - first - 16) >> 4;
  const quads = neighbours ? first + ((last - first) & ~63) : first;
  for (let at = from; at < to; at += 4) {
    const row = <usize>load<u32>(at);
    const pair = f64x2.convert_low_i32x4_s(v128.load64_zero(gradients + (row << 3)));
    const base = bins + row * features;
    let entry = first;
    for (let next = base + left; entry < quads; entry += 64, next += 4) {
      const four = <usize>load<u32>(next);
      add(sums, <usize>load<u32>(entry, 4), four & 255, pair);
      add(sums, <usize>load<u32>(entry, 20), (four >> 8) & 255, pair);
      add(sums, <usize>load<u32>(entry, 36), (four >> 16) & 255, pair);
      add(sums, <usize>load<u32>(entry, 52), four >> 24, pair);
    }
    for (; entry < last; entry += 16) add(sums, <usize>load<u32>(entry, 4), <usize>load<u8>(base + <usize>load<u32>(entry)), pair);
  }
}

/**
 * words: sums, bytes of a slot, order, from, to, bins, features, gradients, entries, how many, partials.
 * Each piece sums its share of the rows: the first into the slot, the others into partials, which `settle` or `search` adds up.
 */
function fill(piece: u32, pieces: u32): void {
  const sums = piece == 0 ? word(0) : word(10) + <usize>(piece - 1) * word(1);
  const from = word(2) + (<usize>share(<u32>word(3), <u32>word(4), piece, pieces) << 2);
  const to = word(2) + (<usize>share(<u32>word(3), <u32>word(4), piece + 1, pieces) << 2);
  const last = word(8) + (word(9) << 4);
  for (let block = word(8); block < last; block += BLOCK) sum(sums, block, min(block + BLOCK, last), from, to, word(5), word(6), word(7));
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

/** `strength` of split.ts of two sides, added up. Without l1 nothing is softened. */
// @ts-ignore: decorator
@inline
function strengths(gradients: v128, hessians: v128, l1: v128, l2: v128, softens: bool): f64 {
  let g = gradients;
  if (softens) g = v128.bitselect(f64x2.sub(g, l1), v128.and(f64x2.add(g, l1), f64x2.lt(g, f64x2.neg(l1))), f64x2.gt(g, l1));
  const divisor = f64x2.add(hessians, l2);
  const both = v128.and(f64x2.div(f64x2.mul(g, g), divisor), f64x2.gt(divisor, f64x2.splat(0)));
  return f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
}

/** Of two sides, each a gradient and a hessian. */
// @ts-ignore: decorator
@inline
function gradientsOf(left: v128, right: v128): v128 {
  return v128.shuffle<f64>(left, right, 0, 2);
}

// @ts-ignore: decorator
@inline
function hessiansOf(left: v128, right: v128): v128 {
  return v128.shuffle<f64>(left, right, 1, 3);
}

// @ts-ignore: decorator
@inline
function hessianOf(side: v128): f64 {
  return f64x2.extract_lane(side, 1);
}

/** Bit 0 where the left side is too light, bit 1 where the right one is. */
// @ts-ignore: decorator
@inline
function tooLight(hessians: v128, least: v128): i32 {
  return i64x2.bitmask(f64x2.lt(hessians, least));
}

// @ts-ignore: decorator
@inline
function isEmpty(cell: usize): bool {
  return (load<u64>(cell) | load<u64>(cell, 8)) == 0;
}

/** What nodes' doubles begin with, and an answer of `search` for a node: gain, gradient and hessian of the left side, column (-1: none), last bin that goes left or 0, whether missing goes left, table. */
const NODE: usize = DOUBLES + 40;
const TABLE: usize = 64;
const ANSWER: usize = TABLE + 256;
/** In the piece's answers: hessian and gradient ratios of a feature's categories, in order, and their bins. */
const RANKS: usize = 1024;
const ORDER: usize = 3072;
const CATEGORY_SMOOTH: f64 = 10;
const CATEGORY_L2: f64 = 10;
const CATEGORY_SIDE: u32 = 32;

function keep(answer: usize, entry: usize, gain: f64, left: v128, bin: u32, missingLeft: bool): void {
  store<f64>(answer, gain);
  v128.store(answer + 8, left);
  store<u32>(answer, load<u32>(entry), 24);
  store<u32>(answer, bin, 28);
  store<u32>(answer, missingLeft ? 1 : 0, 32);
}

/**
 * `Search.numeric` of split.ts with its results bit by bit. An empty bin is left out: its cut is the one before. Hessians are never negative,
 * so a right side that is too light stays so.
 */
function searchNumeric(entry: usize, sums: usize, node: usize, answer: usize): void {
  const scales = v128.load(DOUBLES);
  const l1 = f64x2.splat(double(2));
  const l2 = f64x2.splat(double(3));
  const none = f64x2.splat(0);
  const total = v128.load(node);
  const least = f64x2.splat(load<f64>(node, 16));
  const parent = load<f64>(node, 32);
  const softens = double(2) != 0;
  let best = load<f64>(answer);
  const missing = f64x2.mul(v128.load(sums), scales);
  const end = sums + (<usize>load<u32>(entry, 8) << 4);
  let left = none;
  let bin: u32 = 1;
  if (v128.any_true(f64x2.ne(missing, none))) {
    for (let at = sums + 16; at < end; at += 16, bin++) {
      if (bin > 1 && isEmpty(at)) continue;
      left = f64x2.add(left, f64x2.mul(v128.load(at), scales));
      const right = f64x2.sub(total, left);
      const sides = hessiansOf(left, right);
      const light = tooLight(sides, least);
      if (light & 2) return;
      if (light == 0) {
        const gain = strengths(gradientsOf(left, right), sides, l1, l2, softens) - parent;
        if (gain > best) keep(answer, entry, (best = gain), left, bin, false);
      }
      const more = f64x2.add(left, missing);
      const fewer = f64x2.sub(total, more);
      const others = hessiansOf(more, fewer);
      if (tooLight(others, least)) continue;
      const gain = strengths(gradientsOf(more, fewer), others, l1, l2, softens) - parent;
      if (gain > best) keep(answer, entry, (best = gain), more, bin, true);
    }
    return;
  }
  for (let at = sums + 16; at < end - 16; at += 16, bin++) {
    if (isEmpty(at)) continue;
    left = f64x2.add(left, f64x2.mul(v128.load(at), scales));
    const right = f64x2.sub(total, left);
    const sides = hessiansOf(left, right);
    const light = tooLight(sides, least);
    if (light & 2) return;
    if (light) continue;
    const gain = strengths(gradientsOf(left, right), sides, l1, l2, softens) - parent;
    if (gain > best) keep(answer, entry, (best = gain), left, bin, hessianOf(left) * 2 > hessianOf(total));
  }
}

/** `Search.oneAgainstRest` of split.ts. */
function searchLevels(entry: usize, sums: usize, node: usize, answer: usize): void {
  const total = v128.load(node);
  const least = f64x2.splat(load<f64>(node, 16));
  const l1 = f64x2.splat(double(2));
  const l2 = f64x2.splat(double(3));
  const bins = load<u32>(entry, 8);
  for (let bin: u32 = 0; bin < bins; bin++) {
    const left = f64x2.mul(v128.load(sums + (<usize>bin << 4)), v128.load(DOUBLES));
    const right = f64x2.sub(total, left);
    const sides = hessiansOf(left, right);
    if (tooLight(sides, least)) continue;
    const gain = strengths(gradientsOf(left, right), sides, l1, l2, true) - load<f64>(node, 32);
    if (gain <= load<f64>(answer)) continue;
    keep(answer, entry, gain, left, 0, false);
    memory.fill(answer + TABLE, 0, 256);
    store<u8>(answer + TABLE + bin, 1);
  }
}

/** `Search.manyAgainstMany` of split.ts. */
function searchOrdered(entry: usize, sums: usize, node: usize, answer: usize, scratch: usize): void {
  const scales = v128.load(DOUBLES);
  const rowsPerHessian = load<f64>(node, 24);
  const ranks = scratch + RANKS;
  const order = scratch + ORDER;
  const bins = load<u32>(entry, 8);
  let used: u32 = 0;
  for (let bin: u32 = 0; bin < bins; bin++) {
    const cell = f64x2.mul(v128.load(sums + (<usize>bin << 4)), scales);
    if (!(hessianOf(cell) * rowsPerHessian + 0.5 >= CATEGORY_SMOOTH)) continue;
    const rank = f64x2.extract_lane(cell, 0) / (hessianOf(cell) + CATEGORY_SMOOTH);
    let at = used++;
    for (; at > 0 && load<f64>(ranks + (<usize>(at - 1) << 3)) > rank; at--) {
      store<f64>(ranks + (<usize>at << 3), load<f64>(ranks + (<usize>(at - 1) << 3)));
      store<u32>(order + (<usize>at << 2), load<u32>(order + (<usize>(at - 1) << 2)));
    }
    store<f64>(ranks + (<usize>at << 3), rank);
    store<u32>(order + (<usize>at << 2), bin);
  }
  const total = v128.load(node);
  const least = f64x2.splat(load<f64>(node, 16));
  const parent = load<f64>(node, 32);
  const l1 = f64x2.splat(double(2));
  const l2 = f64x2.splat(double(3) + CATEGORY_L2);
  const softens = double(2) != 0;
  const most = min<u32>(used, CATEGORY_SIDE);
  let best = load<f64>(answer);
  let count: u32 = 0;
  let backwards = false;
  for (let turn = 0; turn < 2; turn++) {
    let left = f64x2.splat(0);
    for (let k: u32 = 0; k < most; k++) {
      const bin = load<u32>(order + (<usize>(turn == 0 ? k : used - 1 - k) << 2));
      left = f64x2.add(left, f64x2.mul(v128.load(sums + (<usize>bin << 4)), scales));
      const right = f64x2.sub(total, left);
      const sides = hessiansOf(left, right);
      const light = tooLight(sides, least);
      if (light & 2) break;
      if (light) continue;
      const gain = strengths(gradientsOf(left, right), sides, l1, l2, softens) - parent;
      if (gain <= best) continue;
      keep(answer, entry, (best = gain), left, 0, false);
      count = k + 1;
      backwards = turn == 1;
    }
  }
  if (count == 0) return;
  memory.fill(answer + TABLE, 0, 256);
  for (let k: u32 = 0; k < count; k++) store<u8>(answer + TABLE + load<u32>(order + (<usize>(backwards ? used - 1 - k : k) << 2)), 1);
}

function searchEntry(entry: usize, sums: usize, node: usize, answer: usize, scratch: usize): void {
  const kind = load<u32>(entry, 12);
  if (kind == 0) searchNumeric(entry, sums, node, answer);
  else if (kind == 1) searchLevels(entry, sums, node, answer);
  else searchOrdered(entry, sums, node, answer, scratch);
}

/**
 * The best splits of one node or of two siblings, a share of the entries a piece.
 * words: sums, sibling's sums, what to do (1: sum the rows, 2: take them from the sibling, 4: search, 8: search the sibling), order, from, to,
 * bins, features, gradients, entries, how many, partials to add, how many, their bytes, answers.
 * doubles: gradient scale, hessian scale, l1, l2, gain to exceed; of each node gradient, hessian, least hessian, rows per hessian, own strength.
 */
function search(piece: u32, pieces: u32): void {
  const tasks = word(2);
  const count = <u32>word(10);
  const first = word(9) + (<usize>share(0, count, piece, pieces) << 4);
  const last = word(9) + (<usize>share(0, count, piece + 1, pieces) << 4);
  const answer = word(14) + (<usize>piece << 12);
  const order = word(3);
  for (let node: usize = 0; node < 2; node++) {
    store<f64>(answer + node * ANSWER, double(4));
    store<i32>(answer + node * ANSWER, -1, 24);
  }
  for (let entry = first; entry < last; entry += 16) {
    if (tasks & 1 && ((entry - first) & (BLOCK - 1)) == 0) {
      sum(word(0), entry, min(entry + BLOCK, last), order + (word(4) << 2), order + (word(5) << 2), word(6), word(7), word(8));
    }
    const offset = <usize>load<u32>(entry, 4);
    const bytes = <usize>load<u32>(entry, 8) << 4;
    const sums = word(0) + offset;
    const sibling = word(1) + offset;
    for (let k: usize = 0; k < word(12); k++) {
      const partial = word(11) + k * word(13) + offset;
      for (let at: usize = 0; at < bytes; at += 16) v128.store(sums + at, f64x2.add(v128.load(sums + at), v128.load(partial + at)));
    }
    if (tasks & 2) for (let at: usize = 0; at < bytes; at += 16) v128.store(sibling + at, f64x2.sub(v128.load(sibling + at), v128.load(sums + at)));
    if (tasks & 4) searchEntry(entry, sums, NODE, answer, answer);
    if (tasks & 8) searchEntry(entry, sibling, NODE + 40, answer + ANSWER, answer);
  }
}

/** exp and sigmoid of exact.ts, operation by operation, for two numbers. */
// @ts-ignore: decorator
@inline
function exp(x: v128): v128 {
  const clamped = f64x2.pmax(f64x2.pmin(x, f64x2.splat(700)), f64x2.splat(-700));
  const k = f64x2.floor(f64x2.add(f64x2.mul(clamped, f64x2.splat(1.4426950408889634)), f64x2.splat(0.5)));
  const high = f64x2.sub(clamped, f64x2.mul(k, f64x2.splat(0.6931471803691238)));
  const low = f64x2.mul(k, f64x2.splat(1.9082149292705877e-10));
  const r = f64x2.sub(high, low);
  const t = f64x2.mul(r, r);
  let sum = f64x2.add(f64x2.splat(-1.6533902205465252e-6), f64x2.mul(t, f64x2.splat(4.1381367970572385e-8)));
  sum = f64x2.add(f64x2.splat(6.613756321437934e-5), f64x2.mul(t, sum));
  sum = f64x2.add(f64x2.splat(-0.0027777777777015593), f64x2.mul(t, sum));
  sum = f64x2.add(f64x2.splat(0.16666666666666602), f64x2.mul(t, sum));
  const c = f64x2.sub(r, f64x2.mul(t, sum));
  const quotient = f64x2.div(f64x2.mul(r, c), f64x2.sub(f64x2.splat(2), c));
  const power = i64x2.shl(i64x2.add(i64x2.extend_low_i32x4_s(i32x4.trunc_sat_f64x2_s_zero(k)), i64x2.splat(1023)), 52);
  return f64x2.mul(f64x2.sub(f64x2.splat(1), f64x2.sub(f64x2.sub(low, quotient), high)), power);
}

// @ts-ignore: decorator
@inline
function sigmoid(x: v128): v128 {
  const one = f64x2.splat(1);
  const share = f64x2.div(one, f64x2.add(one, exp(f64x2.neg(f64x2.abs(x)))));
  return v128.bitselect(share, f64x2.sub(one, share), f64x2.ge(x, f64x2.splat(0)));
}

/**
 * words: rows, targets, weights, scores, gradient, hessian, loss (0 squared, 1 logistic). Answers: the largest |gradient| and hessian.
 * Rows by two; what stands behind an odd last one weighs nothing.
 */
function derive(piece: u32, pieces: u32): void {
  const pairs = (<u32>word(0) + 1) >> 1;
  const logistic = word(6) == 1;
  const one = f64x2.splat(1);
  let largest = f64x2.splat(0);
  let steepest = f64x2.splat(0);
  const end = <usize>share(0, pairs, piece + 1, pieces) << 4;
  for (let at = <usize>share(0, pairs, piece, pieces) << 4; at < end; at += 16) {
    const s = v128.load(word(3) + at);
    const weight = v128.load(word(2) + at);
    const p = logistic ? sigmoid(s) : s;
    const g = f64x2.mul(f64x2.sub(p, v128.load(word(1) + at)), weight);
    const h = logistic ? f64x2.mul(f64x2.pmax(f64x2.mul(p, f64x2.sub(one, p)), f64x2.splat(1e-16)), weight) : weight;
    v128.store(word(4) + at, g);
    v128.store(word(5) + at, h);
    largest = f64x2.pmax(largest, f64x2.abs(g));
    steepest = f64x2.pmax(steepest, h);
  }
  store<f64>(ANSWERS + (<usize>piece << 7), max<f64>(f64x2.extract_lane(largest, 0), f64x2.extract_lane(largest, 1)));
  store<f64>(ANSWERS + (<usize>piece << 7), max<f64>(f64x2.extract_lane(steepest, 0), f64x2.extract_lane(steepest, 1)), 8);
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

/** words: order, scores, leaves, how many. A leaf: from, to, then the value that is added to the scores of its rows. */
function credit(piece: u32, pieces: u32): void {
  const count = <u32>word(3);
  for (let n = share(0, count, piece, pieces); n < share(0, count, piece + 1, pieces); n++) {
    const leaf = word(2) + (<usize>n << 4);
    const value = load<f64>(leaf, 8);
    const last = word(0) + (<usize>load<u32>(leaf, 4) << 2);
    for (let at = word(0) + (<usize>load<u32>(leaf) << 2); at < last; at += 4) {
      const score = word(1) + (<usize>load<u32>(at) << 3);
      store<f64>(score, load<f64>(score) + value);
    }
  }
}

/** words: rows, order. */
function number(): void {
  for (let row: usize = 0; row < word(0); row++) store<u32>(word(1) + (row << 2), <u32>row);
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
