import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Millis } from '#core';

/** Long enough for what a start still does. */
const SETTLED: Millis = 2_000;

/**
 * Gives back, once, what starting leaves in this process's heap: V8 collects by itself only when something allocates, and a process that
 * waits keeps it (4–5 MB each). Costs one pause of some 30 ms.
 */
export function tidyAfterStart(): void {
  setTimeout(() => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as (options: object) => void;
    setFlagsFromString('--no-expose-gc');
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  }, SETTLED).unref();
}
