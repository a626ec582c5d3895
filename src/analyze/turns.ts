/**
 * Who computes when. Each question that runs has threads of its own in the engine, and beside six of them a delivery, or a question of a
 * millisecond, gets an eighth of the cores. So every question begins at once, and one that is not done after a moment is long: of those
 * only so many go on, and the others wait in line. One that has given no row yet begins anew when its turn comes (what it did in that
 * moment is lost, and remembered: asked again, it stands in line from the start); one that gives rows goes on where it was.
 */
import { createHash } from 'node:crypto';
import type { Millis } from '#core';

export interface Turns {
  /** `onWait` hears when it stands in line with nothing done, and when that is over. */
  begin(question: { readonly sql: string; readonly signal: AbortSignal; onWait(waits: boolean): void }): Turn;
}

/** Errors of `take` and `pause`: the signal's reason. */
export interface Turn {
  /** Runs `attempt`, or runs it twice: `interrupt` ends the first, whatever comes of it, and changes nothing that is seen. */
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
  /** Each is called with a place that is its own from then on. */
  const line: (() => void)[] = [];
  /** Hashes, since a statement may be long in that sense too. */
  const long = new Set<string>();

  function remember(key: string, isLong: boolean): void {
    long.delete(key);
    if (!isLong) return;
    long.add(key);
    if (long.size > REMEMBERED) long.delete(long.values().next().value!);
  }

  /** Resolves with a place taken. */
  async function place(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (taken < places) {
      taken++;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = () => {
      const at = line.indexOf(resolve);
      // A place that came first is given back by whoever has it.
      if (at < 0) return;
      line.splice(at, 1);
      reject(signal.reason);
    };
    line.push(resolve);
    signal.addEventListener('abort', leave);
    await promise.finally(() => signal.removeEventListener('abort', leave));
  }

  /** To the first in line, in whose order nobody comes between. */
  function passOn(): void {
    const next = line.shift();
    if (next === undefined) taken--;
    else next();
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
        stood = true;
        lent = setTimeout(giveBack, term).unref();
      }

      function giveBack(): void {
        if (lent === null) return;
        clearTimeout(lent);
        lent = null;
        passOn();
      }

      async function stand(): Promise<void> {
        await place(signal);
        hold();
        signal.throwIfAborted();
      }

      /** With nothing done, so that what it runs is counted from here. */
      async function standAnew(): Promise<void> {
        const waits = taken >= places;
        if (waits) onWait(true);
        await stand();
        if (waits) onWait(false);
        began = performance.now();
      }

      return {
        async take(attempt, interrupt) {
          if (long.has(key)) {
            await standAnew();
            return attempt();
          }
          let gaveWay = false;
          const timer = setTimeout(() => {
            if (taken < places) {
              taken++;
              hold();
            } else {
              gaveWay = true;
              interrupt();
            }
          }, moment);
          try {
            const result = await attempt();
            // One that was done as it was interrupted has a result whose next piece may fail.
            if (!gaveWay) return result;
          } catch (thrown) {
            if (!gaveWay || signal.aborted) throw thrown;
          } finally {
            clearTimeout(timer);
          }
          await standAnew();
          return attempt();
        },
        async pause() {
          if (stood || performance.now() - began < moment) return;
          const from = performance.now();
          await stand();
          began += performance.now() - from;
        },
        end() {
          remember(key, performance.now() - began > moment);
          giveBack();
        },
      };
    },
  };
}
