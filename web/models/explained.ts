/** What `explain` says of a row: of one score, or of each class's. */
export interface Explained {
  readonly of: string | null;
  readonly scale: 'score' | 'answer';
  readonly base: number;
  readonly columns: Readonly<Record<string, number>>;
}

const SHOWN = 8;

/** Of several classes the one that was predicted; the columns that moved its score most, and the others together. */
export function movedBy(explained: readonly Explained[], predicted: unknown) {
  const of = explained.find((each) => each.of === String(predicted)) ?? explained[0]!;
  const columns = Object.entries(of.columns).sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  const sum = columns.reduce((all, [, value]) => all + value, of.base);
  // A number's score is the number itself unless a link stands between.
  const isAnswer =
    of.scale === 'answer' || (typeof predicted === 'number' && Math.abs(sum - predicted) <= 1e-6 * Math.max(1, Math.abs(predicted)));
  const rest = columns.slice(SHOWN);
  return {
    of: of.of,
    base: of.base,
    isAnswer,
    most: columns.slice(0, SHOWN),
    others: rest.length,
    rest: rest.reduce((all, [, value]) => all + value, 0),
  };
}
