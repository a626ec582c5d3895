// AssemblyScript: the loops of plain kernel.ts on linear memory, two sums at a time (f64x2). Addition of exact integers in doubles, so
// the sums are those of the plain kernel bit by bit. No relaxed SIMD. Built into kernel-bytes.ts by test/learn/build-kernel.ts.

/** Adds one row's pair to a bin of the feature whose sums begin at `first`. */
// @ts-ignore: decorator
@inline
function add(sums: usize, first: usize, bin: usize, pair: v128): void {
  const cell = sums + first + (bin << 4);
  v128.store(cell, f64x2.add(v128.load(cell), pair));
}

/** sums: [bins × 2] f64; columns: [active × 2] u32, a feature and its first byte in sums. With every feature active, four bins are read at once. */
export function fill(
  sums: usize, bytes: usize, order: usize, from: u32, to: u32, bins: usize, features: u32, gradients: usize, columns: usize, active: u32,
): void {
  memory.fill(sums, 0, bytes);
  const end = columns + (<usize>active << 3);
  const quads = active == features ? columns + (<usize>(active & ~3) << 3) : columns;
  for (let at = order + (<usize>from << 2), last = order + (<usize>to << 2); at < last; at += 4) {
    const row = <usize>load<u32>(at);
    const pair = f64x2.convert_low_i32x4_s(v128.load64_zero(gradients + (row << 3)));
    const base = bins + row * <usize>features;
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

export function subtract(parent: usize, child: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 16) v128.store(parent + at, f64x2.sub(v128.load(parent + at), v128.load(child + at)));
}

export function partition(order: usize, spare: usize, from: u32, to: u32, bins: usize, features: u32, feature: u32, goesLeft: usize): u32 {
  let left = order + (<usize>from << 2);
  let right = spare;
  for (let at = left, last = order + (<usize>to << 2); at < last; at += 4) {
    const row = load<u32>(at);
    const goes = <usize>load<u8>(goesLeft + <usize>load<u8>(bins + <usize>row * <usize>features + <usize>feature));
    store<u32>(left, row);
    store<u32>(right, row);
    left += goes << 2;
    right += (1 - goes) << 2;
  }
  memory.copy(left, spare, right - spare);
  return <u32>((left - order) >> 2);
}
