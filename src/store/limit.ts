/**
 * The engine's memory limit, its only setting that is not locked. What DuckDB (1.5) has read or written of the file it keeps up to the
 * limit, and nothing but a lower one makes it let go. And what it holds beside its own count has to come off it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Bytes, Millis } from '#core';
import { rowsOf } from './lane.ts';
import { isOutOfMemory } from './open.ts';
import type { Readings } from './readings.ts';

export interface EngineLimit {
  /** So much is held that the engine does not count. */
  uncounted(bytes: Bytes): Promise<void>;
  /** Lets go of what is kept of the file beyond `spare`, unless somebody reads just now: it is theirs. */
  letGo(spare: Bytes): Promise<void>;
  /** The same again and again while work goes on that reads much once. */
  during<T>(work: () => Promise<T>): Promise<T>;
}

const AGAIN: Millis = 50;
/** For a moment there is no more room than what is in use, and this: what a statement under way takes in some milliseconds. */
const SPARE: Bytes = 32_000_000;
/** Below it not even a limit can be set. */
const FLOOR: Bytes = 16_000_000;
/** Smaller changes are not worth it. */
const STEP: Bytes = 16_000_000;
const LEAST = 1 / 2;
/** A higher limit needs no room but the statement's own; looks for it. */
const PATIENCE = 100;

export function newEngineLimit(
  connection: DuckDBConnection,
  { memory, readings, onError }: { readonly memory: Bytes; readonly readings: Pick<Readings, 'over'>; onError(cause: unknown): void },
): EngineLimit {
  let limit = memory;
  const set = (bytes: Bytes) => `SET memory_limit = '${Math.ceil(bytes / 1_000_000)}MB'`;

  /** What is in use may be more than a lower limit: then the one that was stays, and the next time may be better. */
  async function tried(bytes: Bytes): Promise<boolean> {
    try {
      await connection.run(set(bytes));
      return true;
    } catch (cause) {
      if (!isOutOfMemory(cause)) onError(cause);
      return false;
    }
  }

  async function letGo(spare: Bytes): Promise<void> {
    if (!(await readings.over(0))) return;
    const [row] = await rowsOf(
      connection,
      `SELECT sum(memory_usage_bytes)::BIGINT AS held, sum(memory_usage_bytes) FILTER (tag = 'BASE_TABLE')::BIGINT AS kept FROM duckdb_memory()`,
    );
    const [held, kept] = [Number(row!['held']), Number(row!['kept'])];
    if (kept <= spare || !(await tried(Math.max(FLOOR, held - kept + spare)))) return;
    for (let k = 0; k < PATIENCE && !(await tried(limit)); k++) await sleep(AGAIN);
  }

  return {
    async uncounted(bytes) {
      const next = Math.max(LEAST * memory, memory - bytes);
      if (Math.abs(next - limit) >= STEP && (await tried(next))) limit = next;
    },
    letGo,
    async during(work) {
      let under = true;
      const watched = (async () => {
        while (under) {
          await letGo(SPARE);
          await sleep(AGAIN);
        }
      })();
      try {
        return await work();
      } finally {
        under = false;
        await watched;
      }
    },
  };
}
