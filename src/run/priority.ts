import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/**
 * Sets how a process of ours stands back (nice, 0–19) where cores are short: `loop` its event loop, `pool` the threads that do its long work
 * (libuv's, and those that a library started from them). On Linux each thread has its own; elsewhere `loop` holds for the whole process.
 * Without it a loop waits its turn behind each query that computes, and every step between two statements costs as long as they are many.
 */
export function standBack(pid: number, { loop, pool }: { loop: number; pool: number }, proc = '/proc'): void {
  lower(pid, loop);
  for (const thread of poolThreads(pid, proc)) lower(thread, pool);
}

/** One that ended meanwhile is the business of whoever watches it. */
function lower(id: number, nice: number): void {
  try {
    setPriority(id, nice);
  } catch (cause) {
    if ((cause as { info?: { code?: string } }).info?.code !== 'ESRCH') throw cause;
  }
}

/** Threads inherit the name of the one that started them. Empty where there is no /proc. */
function poolThreads(pid: number, proc: string): number[] {
  try {
    const threads = readdirSync(`${proc}/${pid}/task`);
    return threads.filter((id) => readFileSync(`${proc}/${pid}/task/${id}/comm`, 'utf8').trim() === 'libuv-worker').map(Number);
  } catch (cause) {
    if (['ENOENT', 'ESRCH'].includes((cause as NodeJS.ErrnoException).code ?? '')) return [];
    throw cause;
  }
}
