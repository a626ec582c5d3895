/** Seeded draws. The same key gives the same draws on every machine; keys that differ give unrelated ones. Not for secrets. */
export interface Random {
  /** Uniform in [0, 1). */
  unit(): number;
  /** Uniform integer, both ends included. */
  integer(from: number, to: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** One of the list, with probability proportional to its `weight`. */
  weighted<T extends { readonly weight: number }>(list: readonly T[]): T;
  /** Exponentially distributed with that mean. */
  exponential(mean: number): number;
}

/** The finaliser of MurmurHash3 (32 bit), chained over the key. */
function hash(key: readonly number[]): number {
  let h = 0x9e3779b9;
  for (const part of key) {
    h = Math.imul(h ^ part, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h = (h ^ (h >>> 16)) + 0x9e3779b9;
  }
  return h | 0;
}

/** Draws keyed by whole numbers (seed, person, visit …). The generator is mulberry32. */
export function random(...key: number[]): Random {
  let state = hash(key);
  const unit = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const integer = (from: number, to: number) => from + Math.floor(unit() * (to - from + 1));
  return {
    unit,
    integer,
    chance: (probability) => unit() < probability,
    pick: (list) => list[integer(0, list.length - 1)]!,
    weighted: (list) => {
      let left = unit() * list.reduce((sum, entry) => sum + entry.weight, 0);
      return list.find((entry) => (left -= entry.weight) < 0) ?? list[list.length - 1]!;
    },
    exponential: (mean) => -mean * Math.log(1 - unit()),
  };
}
