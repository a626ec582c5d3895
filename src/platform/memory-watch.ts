import { readFileSync } from 'node:fs';
import type { Bytes, Millis } from '#core';
import { residentBytes } from '#run';
import type { ToChild } from './messages.ts';

/** How often it is looked: seldom while there is room, often when a query that takes gigabytes a second would pass the limit between two looks. */
const CALM: Millis = 50;
const WARY: Millis = 10;
const WARY_FROM = 0.6;
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

/** What one process holds. A job is a child that trains, transfers or looks at a file; a warehouse is `opening` until it says that it is ready. */
export interface Resident {
  readonly pid: number;
  readonly kind: 'front' | 'warehouse' | 'opening' | 'job';
  readonly bytes: Bytes;
}

/** `relieve`: stop the query that runs longest. `restart`: end the warehouse child. `end`: end this job. */
export type Relief = { readonly kind: 'relieve' | 'restart' } | { readonly kind: 'end'; readonly pid: number };

/**
 * What to do about memory, asked again and again with what all processes hold and the time (ms, monotonic); null: nothing.
 * Near the limit queries are stopped one by one; at the limit, where the next look would be beyond it, or when memory is not given
 * back, the largest process goes: never the front, nor a warehouse that is still opening. What that one replays, the next would
 * have to replay again, and so on for ever.
 */
export function newMemoryRule(memory: Bytes): (residents: readonly Resident[], now: Millis) => Relief | null {
  let relieved = Number.NEGATIVE_INFINITY;
  let highSince: number | null = null;
  let before = { sum: 0, at: 0 };
  return (residents, now) => {
    const sum = residents.reduce((all, { bytes }) => all + bytes, 0);
    const growth = now - before.at <= 2 * CALM ? Math.max(0, sum - before.sum) : 0;
    before = { sum, at: now };
    if (sum <= memory * SOFT) {
      highSince = null;
      return null;
    }
    highSince ??= now;
    if (sum + growth > memory || now - highSince > HELD) {
      highSince = null;
      const [largest] = residents.filter(({ kind }) => kind === 'warehouse' || kind === 'job').sort((a, b) => b.bytes - a.bytes);
      if (largest === undefined) return null;
      return largest.kind === 'job' ? { kind: 'end', pid: largest.pid } : { kind: 'restart' };
    }
    if (now - relieved <= PAUSE) return null;
    relieved = now;
    return { kind: 'relieve' };
  };
}

interface Child {
  readonly pid: number | null;
  send(message: object): boolean;
  restart(): void;
}

/**
 * Memory is a contract over all processes, and DuckDB's own limit is a hint (19 GB were seen under a limit of 400 MB), so the tree
 * is watched from outside, trainers and transfers with it. Records are acknowledged whatever is ended, and delivery catches up.
 */
export function watchMemory(input: {
  child: Child;
  /** Whether the warehouse is ready. */
  ready: () => boolean;
  /** Processes that the front has started beside the warehouse. */
  jobs: () => readonly number[];
  memory: Bytes;
  say: (level: 'warn', event: string, facts: Record<string, unknown>) => void;
}): { stop(): void } {
  const { child, ready, jobs, memory, say } = input;
  const rule = newMemoryRule(memory);
  /** Ended already: it may take a moment to be gone, and is not the largest any more. */
  const ended = new Set<number>();
  let timer = setTimeout(look, CALM);

  function look(): void {
    const residents = residentsOf(child.pid, jobs(), ready()).filter(({ pid }) => !ended.has(pid));
    const sum = residents.reduce((all, { bytes }) => all + bytes, 0);
    timer = setTimeout(look, sum > memory * WARY_FROM ? WARY : CALM);
    const relief = rule(residents, performance.now());
    if (relief === null) return;
    if (relief.kind === 'relieve') {
      child.send({ kind: 'relieve' } satisfies ToChild);
      return;
    }
    const each = residents.map(({ kind, pid, bytes }) => `${kind} ${pid}: ${bytes}`).join(', ');
    say('warn', relief.kind === 'restart' ? 'memory.restart' : 'memory.job_ended', { resident: sum, memory, processes: each });
    const pid = relief.kind === 'end' ? relief.pid : child.pid!;
    ended.add(pid);
    setTimeout(() => ended.delete(pid), HELD).unref();
    if (relief.kind === 'restart') child.restart();
    else kill(pid);
  }

  function kill(pid: number): void {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (thrown) {
      // It ended by itself between the look and now.
      if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown;
    }
  }

  return { stop: () => clearTimeout(timer) };
}

/**
 * This process, the warehouse and what it has started, and the jobs. Other children of this process are none of Millrace's: a program
 * that runs the front within itself may have started anything.
 */
export function residentsOf(warehouse: number | null, jobs: readonly number[], ready: boolean): Resident[] {
  const pids = new Set([process.pid, ...(warehouse === null ? [] : [warehouse, ...childrenOf(warehouse)]), ...jobs]);
  return [...pids].flatMap((pid) => {
    const bytes = residentBytes(pid);
    const kind = pid === process.pid ? 'front' : pid !== warehouse ? 'job' : ready ? 'warehouse' : 'opening';
    return bytes === null ? [] : [{ pid, bytes, kind }];
  });
}

/** Children are forked by a process's main thread, so this one file names them all; reading every process's parent would cost milliseconds. */
function childrenOf(pid: number): number[] {
  try {
    return (readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').match(/\d+/g) ?? []).map(Number);
  } catch {
    // The process is gone, or the kernel has no such list: then the sum is that of the processes that are known.
    return [];
  }
}
