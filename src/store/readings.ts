import type { Millis } from '#core';

/** Who reads a state of the warehouse just now: DuckDB joins rows only where nobody reads an older one. */
export interface Readings {
  /** Until the end that it gives is called. */
  begin(): () => void;
  /** Resolves when those who read now are done, to true; to false where they need longer. */
  over(patience: Millis): Promise<boolean>;
}

export function newReadings(): Readings {
  const under = new Set<Promise<void>>();
  return {
    begin() {
      const { promise, resolve } = Promise.withResolvers<void>();
      under.add(promise);
      return () => {
        under.delete(promise);
        resolve();
      };
    },
    async over(patience) {
      if (under.size === 0 || patience <= 0) return under.size === 0;
      const { promise: late, resolve } = Promise.withResolvers<boolean>();
      const timer = setTimeout(resolve, patience, false);
      const over = await Promise.race([Promise.all(under).then(() => true), late]);
      clearTimeout(timer);
      return over;
    },
  };
}
