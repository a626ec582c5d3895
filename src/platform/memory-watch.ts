import type { Bytes, Millis } from '#core';
import { residentBytes } from '#run';
import type { ToChild } from './messages.ts';

const EVERY: Millis = 50;
/** Between two stopped queries: freed memory takes a moment to be seen. */
const PAUSE: Millis = 200;
const SOFT = 0.92;
/** Memory that stays high this long after queries were stopped is not given back by itself. */
const HELD: Millis = 3000;

/** What the two processes take before any data: code, heaps, DuckDB's own. */
const BASE: Bytes = 300_000_000;

/** DuckDB's share: it keeps what it once had up to its limit, and goes beyond it by a part. */
export function warehouseShare(memory: Bytes): Bytes {
  return Math.max(128_000_000, Math.floor((memory - BASE) * 0.5));
}

interface Child {
  readonly pid: number | null;
  send(message: object): boolean;
  restart(): void;
}

/**
 * Memory is a contract over all processes, and DuckDB's own limit is a hint (19 GB were seen under a limit of 400 MB), so the tree
 * is watched from outside: near the limit the longest query is stopped; at the limit, or when memory is not given back, the
 * warehouse child is ended and started again. Records are acknowledged meanwhile, and delivery catches up.
 */
export function watchMemory(input: {
  child: Child;
  memory: Bytes;
  say: (level: 'warn', event: string, facts: Record<string, unknown>) => void;
}): { stop(): void } {
  const { child, memory, say } = input;
  let last = 0;
  let highSince: number | null = null;
  const timer = setInterval(() => {
    if (child.pid === null) return;
    const warehouse = residentBytes(child.pid);
    if (warehouse === null) return;
    const resident = warehouse + process.memoryUsage.rss();
    const now = performance.now();
    if (resident <= memory * SOFT) {
      highSince = null;
      return;
    }
    highSince ??= now;
    if (resident > memory || now - highSince > HELD) {
      highSince = null;
      say('warn', 'memory.restart', { resident, warehouse, memory });
      child.restart();
    } else if (now - last > PAUSE) {
      last = now;
      child.send({ kind: 'relieve' } satisfies ToChild);
    }
  }, EVERY);
  return { stop: () => clearInterval(timer) };
}
