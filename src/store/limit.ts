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

export function newEngineLimit(
  connection: DuckDBConnection,
  { memory, readings, onError }: { readonly memory: Bytes; readonly readings: Pick<Readings, 'over'>; onError(cause: unknown): void },
): EngineLimit {
  let limit = memory;
  const set = (bytes: Bytes) => `SET memory_limit = '${Math.ceil(bytes / 1_000_000)}MB'`;

  /** What is in use may be more than a lower limit: then the one that was stays, and the next time may be better. */
  async function tried(sql: string): Promise<'done' | 'no room' | 'failed'> {
    try {
      await connection.run(sql);
      return 'done';
    } catch (cause) {
      if (isOutOfMemory(cause)) return 'no room';
      onError(cause);
      return 'failed';
    }
  }

  async function inUse(): Promise<{ held: Bytes; kept: Bytes }> {
    const [row] = await rowsOf(
      connection,
      `SELECT sum(memory_usage_bytes)::BIGINT AS held, sum(memory_usage_bytes) FILTER (tag = 'BASE_TABLE')::BIGINT AS kept FROM duckdb_memory()`,
    );
    return { held: Number(row!['held']), kept: Number(row!['kept']) };
  }

  async function letGo(spare: Bytes): Promise<void> {
    if (!(await readings.over(0))) return;
    const { held, kept } = await inUse().catch((cause: unknown) => {
      onError(cause);
      return { held: 0, kept: 0 };
    });
    if (kept <= spare) return;
    // In one call, so that nothing which waits for a thread comes between.
    const lowered = await tried(`${set(Math.max(FLOOR, held - kept + spare))}; ${set(limit)}`);
    if (lowered !== 'no room') return;
    // Whichever of the two it was: a higher limit needs no room but the statement's own.
    while ((await tried(set(limit))) === 'no room') await sleep(AGAIN);
  }

  return {
    async uncounted(bytes) {
      const next = Math.max(LEAST * memory, memory - bytes);
      if (Math.abs(next - limit) >= STEP && (await tried(set(next))) === 'done') limit = next;
    },
    letGo,
    async during(work) {
      let under: Promise<void> | null = null;
      const timer = setInterval(() => {
        under ??= letGo(SPARE).finally(() => {
          under = null;
        });
      }, AGAIN);
      try {
        return await work();
      } finally {
        clearInterval(timer);
        await under;
        await letGo(SPARE);
      }
    },
  };
}
