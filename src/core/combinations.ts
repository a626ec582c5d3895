/** All combinations of up to so many items, each behind what it goes on from; `again` says whether an item may stand in one twice. */
export function combinations<T>(items: readonly T[], most: number, again: boolean): T[][] {
  const from = (first: number, taken: readonly T[]): T[][] =>
    taken.length === most
      ? []
      : items.slice(first).flatMap((item, k) => {
          const next = [...taken, item];
          return [next, ...from(first + k + (again ? 0 : 1), next)];
        });
  return from(0, []);
}
