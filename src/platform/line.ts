import { fail, type Principal, type Role } from '#core';

/**
 * Requests of one token, beyond the places of its role, that the warehouse has not begun to answer: the 32 that it lets wait
 * (src/analyze/query.ts), and some that wait for something else, as a training's turn. To open a connection for each of a thousand, for it
 * to refuse them, would keep records waiting.
 */
const MOST_UNANSWERED = 48;

/** Requests on their way to the warehouse. */
export interface Line {
  /** Runs `work` until the answer begins. QUERY_BUSY. */
  through<T>(who: Principal, work: () => Promise<T>): Promise<T>;
  /** How often QUERY_BUSY was said. */
  readonly refused: number;
}

export function newLine(roles: Readonly<Record<Role, { readonly concurrency: number }>>): Line {
  const unanswered = new Map<string, number>();
  let refused = 0;
  return {
    async through({ name, role }, work) {
      const { concurrency } = roles[role];
      const before = unanswered.get(name) ?? 0;
      if (before >= concurrency + MOST_UNANSWERED) {
        refused++;
        fail('QUERY_BUSY', { running: concurrency, waiting: before - concurrency });
      }
      unanswered.set(name, before + 1);
      try {
        return await work();
      } finally {
        const left = unanswered.get(name)! - 1;
        if (left > 0) unanswered.set(name, left);
        else unanswered.delete(name);
      }
    },
    get refused() {
      return refused;
    },
  };
}
