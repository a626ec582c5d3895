/**
 * The candidate that a mistyped word may have meant: at most a third of the candidate's letters differ, and never more than three.
 * Capital letters don't count.
 */
export function nearest(word: string, candidates: readonly string[]): string | null {
  const lower = word.toLowerCase().slice(0, 64);
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const most = Math.min(3, Math.max(1, Math.floor(candidate.length / 3)));
    const distance = editDistance(lower, candidate.toLowerCase());
    if (distance <= most && distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Letters to insert, drop, replace or swap with a neighbour (optimal string alignment): a swap is the commonest slip of the hand. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      row.push(cost);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
