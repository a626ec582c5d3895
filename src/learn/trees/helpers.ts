/**
 * Threads that help. They are lent from outside (worker threads in src/run/pool.ts), since learn starts none. Each helper that joins
 * instantiates the module with `{ env: { memory } }` and calls its export `serve`, which returns when the kernel is done with it.
 * A helper that comes late or never costs time, not the result: whatever nobody claims, the caller does.
 */
export interface Helpers {
  readonly count: number;
  join(module: object, memory: object): void;
}

let lent: Helpers | null = null;
let dismissLast: (() => void) | null = null;

/** Lends the helpers to every kernel that is made from now on; the newest has them. The result does not depend on them. */
export function lendHelpers(helpers: Helpers | null): void {
  dismissLast?.();
  dismissLast = null;
  lent = helpers;
}

export const helperCount = (): number => lent?.count ?? 0;

/** Sends the helpers to a kernel; those that still serve the one before (a generator that was dropped) leave it. */
export function recruit(module: object, memory: object, dismiss: () => void): void {
  dismissLast?.();
  dismissLast = dismiss;
  lent!.join(module, memory);
}

/** The kernel is done with them. */
export function release(dismiss: () => void): void {
  if (dismissLast === dismiss) dismissLast = null;
  dismiss();
}
