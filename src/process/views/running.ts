/**
 * What a refresh may take. One that runs for longer than its view allows, or while memory is short, is ended and its view paused. One
 * during which the process was killed again and again (memory that the engine's own limit did not hold back) is told by a file that
 * only a long refresh leaves; after the third time its view is paused, so that the others go on.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, type Millis } from '#core';
import type { Store, Transaction } from '#store';

const LONG: Millis = 500;
const DEATHS = 3;

type Ended = 'time' | 'memory' | 'stop';

export interface Running {
  /** Does the work within the limit. Errors: VIEW_TIME, VIEW_MEMORY, VIEW_DEATHS, those of the work. */
  within<T>(view: { readonly full: string; readonly timeLimit: Millis }, tx: Transaction, work: () => Promise<T>): Promise<T>;
  /** Ends the refresh that has been running for long, because memory is short; its view, or null. */
  relieve(): string | null;
  /** Ends the refresh that is running, because the program stops: it fails with the engine's error. */
  stop(): void;
  /** Its deaths count no more. */
  pardon(view: string): void;
}

export function openRunning(store: Store): Running {
  const file = join(store.folders.slices, '..', 'refreshing.json');
  const died = readMark(file);
  let current: { view: string; since: number; end(why: Ended): void } | null = null;

  return {
    async within({ full, timeLimit }, tx, work) {
      const before = died?.view === full ? died.deaths : 0;
      if (before >= DEATHS) fail('VIEW_DEATHS', { view: full, deaths: before });
      let ended: Ended | null = null;
      const end = (why: Ended) => {
        ended ??= why;
        tx.interrupt();
      };
      current = { view: full, since: performance.now(), end };
      const mark = setTimeout(() => leaveMark(file, { view: full, deaths: before + 1 }), LONG);
      const limit = setTimeout(() => end('time'), timeLimit);
      try {
        const result = await work();
        if (died?.view === full) died.deaths = 0;
        return result;
      } catch (thrown) {
        if (ended === 'time') return fail('VIEW_TIME', { view: full, limit: timeLimit }, thrown);
        if (ended === 'memory') return fail('VIEW_MEMORY', { view: full, detail: 'memory is short' }, thrown);
        throw thrown;
      } finally {
        current = null;
        clearTimeout(mark);
        clearTimeout(limit);
        rmSync(file, { force: true });
      }
    },
    relieve() {
      if (current === null || performance.now() - current.since < LONG) return null;
      current.end('memory');
      return current.view;
    },
    stop() {
      current?.end('stop');
    },
    pardon(view) {
      if (died?.view === view) died.deaths = 0;
    },
  };
}

function leaveMark(file: string, mark: { readonly view: string; readonly deaths: number }): void {
  try {
    writeFileSync(file, JSON.stringify(mark));
  } catch {
    // On a full disk a death in this refresh is not counted; the refresh itself says what it meets there.
  }
}

function readMark(file: string): { view: string; deaths: number } | null {
  try {
    const mark = JSON.parse(readFileSync(file, 'utf8')) as { view: unknown; deaths: unknown };
    return { view: String(mark.view), deaths: Number(mark.deaths) || 0 };
  } catch {
    // None was left, or its writing was cut off by the death itself: then this one is not counted.
    return null;
  }
}
