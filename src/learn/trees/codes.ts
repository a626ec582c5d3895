import type { FeatureBins } from './bins.ts';
import type { Forest } from './forest.ts';

/**
 * By feature, what a forest can tell its values apart by. A value's code is 0 where it is missing, a number's interval between the forest's
 * thresholds + 1, a category + 1, or `levels` + 1 for a category that no set of the forest sends left.
 */
export function codesOf(forest: Forest): FeatureBins[] {
  const thresholds = Array.from(forest.categorical, () => new Set<number>());
  const levels = new Uint16Array(forest.categorical.length);
  forest.feature.forEach((f, n) => {
    if (f < 0) return;
    if (forest.categorical[f] === 0) thresholds[f]!.add(forest.threshold[n]!);
    else levels[f] = Math.max(levels[f]!, levelsOf(forest, forest.threshold[n]!));
  });
  return thresholds.map(
    (of, f): FeatureBins =>
      forest.categorical[f] === 1 ? { kind: 'category', levels: levels[f]! } : { kind: 'numeric', upper: Float64Array.from(of).sort() },
  );
}

/** One more than the highest category in the set that begins at `at`. */
function levelsOf({ sets }: Forest, at: number): number {
  for (let word = 7; word >= 0; word--) if (sets[at + word] !== 0) return word * 32 + 32 - Math.clz32(sets[at + word]!);
  return 0;
}

export function codeCount(codes: FeatureBins): number {
  return (codes.kind === 'numeric' ? codes.upper.length : codes.levels) + 2;
}

/** A value that has the code. */
export function exampleOf(codes: FeatureBins, code: number): number {
  if (code === 0) return Number.NaN;
  return codes.kind === 'category' ? code - 1 : (codes.upper[code - 1] ?? Number.POSITIVE_INFINITY);
}
