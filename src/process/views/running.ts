/**
 * What a refresh, or the run of a scheduled query, may take. One that runs for longer than its definition allows, or while memory is
 * short, is ended. One during which the process was killed again and again (memory that the engine's own limit did not hold back) is told
 * by a file that only a long one leaves; after the third time it does not begin again, so that the others go on.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Millis } from '#core';
import type { Store } from '#store';

const LONG: Millis = 500;
const DEATHS = 3;

type Ended = 'time' | 'memory' | 'stop';

export interface Running {
  /** Does the work within the limit; `interrupt` ends what it runs, and `isEnded` tells what begins later. Errors: those of `Failures` and of the work. */
  within<T>(
    own: { readonly full: string; readonly timeLimit: Millis },
    interrupt: () => void,
    work: (isEnded: () => boolean) => Promise<T>,
  ): Promise<T>;
  /** Ends what has been running for long, because memory is short; its name, or null. */
  relieve(): string | null;
  /** Ends what is running, because the program stops: it fails with the engine's error. */
  stop(): void;
  /** Its deaths count no more. */
  pardon(full: string): void;
}

/** What is thrown when one is ended, or may not begin. */
export interface Failures {
  time(full: string, limit: Millis, cause: unknown): never;
  memory(full: string, cause: unknown): never;
  deaths(full: string, deaths: number): never;
}

/** One at a time runs within it. `mark` is the name of its file. */
export function openRunning(store: Store, mark: string, failures: Failures): Running {
  const file = join(store.folders.slices, '..', mark);
  const died = readMark(file);
  let current: { full: string; since: number; end(why: Ended): void } | null = null;

  return {
    async within({ full, timeLimit }, interrupt, work) {
      const before = died?.full === full ? died.deaths : 0;
      if (before >= DEATHS) failures.deaths(full, before);
      let ended: Ended | null = null;
      const end = (why: Ended) => {
        ended ??= why;
        interrupt();
      };
      current = { full, since: performance.now(), end };
      const marking = setTimeout(() => leaveMark(file, { full, deaths: before + 1 }), LONG);
      const limit = setTimeout(() => end('time'), timeLimit);
      try {
        const result = await work(() => ended !== null);
        if (died?.full === full) died.deaths = 0;
        return result;
      } catch (thrown) {
        if (ended === 'time') return failures.time(full, timeLimit, thrown);
        if (ended === 'memory') return failures.memory(full, thrown);
        throw thrown;
      } finally {
        current = null;
        clearTimeout(marking);
        clearTimeout(limit);
        rmSync(file, { force: true });
      }
    },
    relieve() {
      if (current === null || performance.now() - current.since < LONG) return null;
      current.end('memory');
      return current.full;
    },
    stop() {
      current?.end('stop');
    },
    pardon(full) {
      if (died?.full === full) died.deaths = 0;
    },
  };
}

function leaveMark(file: string, mark: { readonly full: string; readonly deaths: number }): void {
  try {
    writeFileSync(file, JSON.stringify(mark));
  } catch {
    // On a full disk a death in this one is not counted; it says itself what it meets there.
  }
}

function readMark(file: string): { full: string; deaths: number } | null {
  try {
    const mark = JSON.parse(readFileSync(file, 'utf8')) as { full: unknown; deaths: unknown };
    return { full: String(mark.full), deaths: Number(mark.deaths) || 0 };
  } catch {
    // None was left, or its writing was cut off by the death itself: then this one is not counted.
    return null;
  }
}
