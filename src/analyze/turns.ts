/**
 * Who computes when. Each question that runs has threads of its own in the engine, and beside six of them a delivery, or a question of a
 * millisecond, gets an eighth of the cores. So every question begins at once, and one that is not done after a moment is long: of those
 * only so many go on, and the others wait in line. One that has given no row yet begins anew when its turn comes (what it did in that
 * moment is lost, and remembered: asked again, it stands in line from the start); one that gives rows goes on where it was.
 */
import { createHash } from 'node:crypto';
import type { Millis } from '#core';

export interface Turns {
  begin(question: { readonly sql: string; readonly signal: AbortSignal; onWait(waits: boolean): void }): Turn;
}

export interface Turn {
  /** Runs `attempt`, or runs it twice: `interrupt` ends the first, which must then reject, and changes nothing that is seen. */
  take<T>(attempt: () => Promise<T>, interrupt: () => void): Promise<T>;
  /** Between two pieces of a result. */
  pause(): Promise<void>;
  end(): void;
}

export interface TurnRules {
  /** Long questions that compute at once. */
  readonly places: number;
  /** After this a question is long. */
  readonly moment: Millis;
  /** After this it goes on without its place, so that the next in line waits no longer for one that takes minutes. */
  readonly term: Millis;
}

/** Statements of which it is known that they are long. */
const REMEMBERED = 1000;

export function newTurns({ places, moment, term }: TurnRules): Turns {
  let taken = 0;
  const line: (() => void)[] = [];
  const long = new Set<string>();

  function remember(key: string, isLong: boolean): void {
    long.delete(key);
    if (!isLong) return;
    long.add(key);
    if (long.size > REMEMBERED) long.delete(long.values().next().value!);
  }

  /** Resolves when a place is free. Rejects with the signal's reason. */
  async function free(signal: AbortSignal): Promise<void> {
    while (taken >= places && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      line.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
      await promise;
      const at = line.indexOf(resolve);
      if (at >= 0) line.splice(at, 1);
    }
    if (signal.aborted) line.shift()?.();
    signal.throwIfAborted();
  }

  return {
    begin({ sql, signal, onWait }) {
      const key = createHash('sha1').update(sql).digest('base64');
      /** Of what it ran, not of what it waited. */
      let began = performance.now();
      /** Once is enough: after its term it goes on without a place. */
      let stood = false;
      let lent: NodeJS.Timeout | null = null;

      function hold(): void {
        taken++;
        stood = true;
        lent = setTimeout(giveBack, term).unref();
      }

      function giveBack(): void {
        if (lent === null) return;
        clearTimeout(lent);
        lent = null;
        taken--;
        line.shift()?.();
      }

      async function stand(): Promise<void> {
        if (taken >= places) {
          const from = performance.now();
          onWait(true);
          await free(signal);
          onWait(false);
          began += performance.now() - from;
        }
        hold();
      }

      return {
        async take(attempt, interrupt) {
          if (long.has(key)) {
            await stand();
            return attempt();
          }
          let gaveWay = false;
          const timer = setTimeout(() => {
            if (taken < places) hold();
            else {
              gaveWay = true;
              interrupt();
            }
          }, moment);
          try {
            return await attempt();
          } catch (thrown) {
            if (!gaveWay || signal.aborted) throw thrown;
          } finally {
            clearTimeout(timer);
          }
          await stand();
          return attempt();
        },
        async pause() {
          if (stood || performance.now() - began < moment) return;
          await stand();
        },
        end() {
          remember(key, performance.now() - began > moment);
          giveBack();
        },
      };
    },
  };
}
