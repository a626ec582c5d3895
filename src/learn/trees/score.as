// AssemblyScript: the loops of masks.ts, four words at a time (SIMD, no relaxed instructions). Built into score-bytes.ts by test/assembly.ts.

/** Where `add` keeps one row's lanes. */
const LANES: usize = 64;

/** into[i] (u16) = 0 for a missing value, else 1 + the number of bounds (ascending) below values[i]. */
export function codeNumbers(values: usize, rows: u32, bounds: usize, count: u32, into: usize): void {
  for (let i: usize = 0; i < rows; i++) {
    const value = load<f64>(values + (i << 3));
    let base: usize = 0;
    let left: usize = count;
    while (left > 1) {
      const half = left >> 1;
      base = value > load<f64>(bounds + ((base + half - 1) << 3)) ? base + half : base;
      left -= half;
    }
    if (left == 1 && value > load<f64>(bounds + (base << 3))) base++;
    store<u16>(into + (i << 1), value == value ? base + 1 : 0);
  }
}

/** into[i] (u16) = 0 for a missing value, else category + 1; levels + 1 for categories of levels and more. */
export function codeCategories(values: usize, rows: u32, levels: u32, into: usize): void {
  for (let i: usize = 0; i < rows; i++) {
    const value = load<f64>(values + (i << 3));
    store<u16>(into + (i << 1), value == value ? <u32>min<f64>(value, levels) + 1 : 0);
  }
}

/**
 * Adds a group's trees to the scores of the rows. features: [count × 2] u32, where the feature's codes and where its masks begin, 64 bytes
 * a code. A tree owns `words` lanes of 32 leaves and as many doubles of `leaves`. The first tree adds to `output`, the next to the next.
 */
export function add(
  features: usize,
  count: u32,
  leaves: usize,
  trees: u32,
  words: u32,
  scores: usize,
  outputs: u32,
  output: u32,
  rows: u32,
): void {
  const end = features + (<usize>count << 3);
  const lanes = <usize>words << 2;
  const each = <usize>words << 8;
  for (let row: usize = 0; row < rows; row++) {
    let a = i32x4.splat(-1);
    let b = a;
    let c = a;
    let d = a;
    for (let at = features; at < end; at += 8) {
      const code = <usize>load<u16>(<usize>load<u32>(at) + (row << 1));
      const masks = <usize>load<u32>(at, 4) + (code << 6);
      a = v128.and(a, v128.load(masks));
      b = v128.and(b, v128.load(masks, 16));
      c = v128.and(c, v128.load(masks, 32));
      d = v128.and(d, v128.load(masks, 48));
    }
    v128.store(LANES, a);
    v128.store(LANES, b, 16);
    v128.store(LANES, c, 32);
    v128.store(LANES, d, 48);
    const first = scores + row * (<usize>outputs << 3);
    if (outputs == 1 && words == 1) {
      let sum = load<f64>(first);
      let values = leaves;
      for (let lane = LANES, last = LANES + (<usize>trees << 2); lane < last; lane += 4, values += 256)
        sum += load<f64>(values + (<usize>ctz<u32>(load<u32>(lane)) << 3));
      store<f64>(first, sum);
      continue;
    }
    let to = output;
    let values = leaves;
    for (let lane = LANES, last = LANES + trees * lanes; lane < last; lane += lanes, values += each) {
      let word: usize = 0;
      while (word + 4 < lanes && load<u32>(lane + word) == 0) word += 4;
      const leaf = (word << 3) + <usize>ctz<u32>(load<u32>(lane + word));
      const score = first + (<usize>to << 3);
      store<f64>(score, load<f64>(score) + load<f64>(values + (leaf << 3)));
      to = to + 1 == outputs ? 0 : to + 1;
    }
  }
}
