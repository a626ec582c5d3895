import type { Progress } from './auto/search.ts';
import type { ColumnData } from './columns.ts';
import type { Model } from './model.ts';
import type { Plan } from './plan.ts';

/** What training needs of the outside: a clock in milliseconds, and a way to let others run. */
export interface World {
  readonly now: () => number;
  readonly pause: () => Promise<void>;
}

const hostWorld: World = {
  now: () => performance.now(),
  pause: () => new Promise((resolve) => setTimeout(resolve, 0)),
};

/** Longest time between two pauses, so that an abort or a request is seen. One round of a large table can take longer. */
const SLICE_MILLIS = 50;

/**
 * Trains the model that the plan asks for. `columns` is the whole table, the target among them. The signal stops the search and keeps the
 * best model so far; LEARN_STOPPED if there is none yet. With a budget in trials the result depends on plan and data only (bit by bit);
 * a budget in milliseconds makes the number of trials depend on the machine. Errors: LEARN_*.
 */
export async function train(
  plan: Plan,
  columns: readonly ColumnData[],
  onProgress?: (progress: Progress) => void,
  signal?: AbortSignal,
  world: World = hostWorld,
): Promise<Model> {
  // Read where models are trained: those who serve them need none of it, and keep what they read.
  const { search } = await import('./auto/search.ts');
  const searching = search(plan, columns, world.now);
  let rested = world.now();
  for (let step = searching.next(); ; step = searching.next(signal?.aborted === true)) {
    if (step.done) return step.value;
    onProgress?.(step.value);
    if (world.now() - rested < SLICE_MILLIS) continue;
    await world.pause();
    rested = world.now();
  }
}
