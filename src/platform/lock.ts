import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail } from '#core';
import { codeOf } from '#files';

/**
 * One front per workspace. The file names the process; one that is gone (or whose number another has now) holds nothing.
 * The file appears whole (written beside, then linked), and a stale one is moved aside before it is believed to be the stale one.
 */
export function takeLock(dataPath: string): () => void {
  const file = join(dataPath, 'front.lock');
  const own = join(dataPath, `front.lock.${process.pid}`);
  rmSync(own, { force: true });
  try {
    writeFileSync(own, JSON.stringify({ pid: process.pid, born: bornOf(process.pid) }), { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    rmSync(own, { force: true });
    fail('DEFINITION_WRITE', { file: '.millrace/front.lock', problem: codeOf(cause) }, cause);
  }
  try {
    while (!linked(own, file)) {
      const holder = readHolder(file);
      if (holder !== null && lives(holder)) fail('WORKSPACE_BUSY', { pid: holder.pid });
      putAside(file, `${own}.stale`);
    }
  } finally {
    rmSync(own, { force: true });
  }
  return () => rmSync(file, { force: true });
}

function linked(own: string, file: string): boolean {
  try {
    linkSync(own, file);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw cause;
  }
}

/** Two that find the same stale lock must not remove each other's new one: what was moved aside is looked at again, and put back if it lives. */
function putAside(file: string, aside: string): void {
  try {
    renameSync(file, aside);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw cause;
  }
  const moved = readHolder(aside);
  if (moved !== null && lives(moved)) linked(aside, file);
  rmSync(aside, { force: true });
}

interface Holder {
  readonly pid: number;
  readonly born: string | null;
}

function readHolder(file: string): Holder | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder;
  } catch {
    // Just removed, or damaged: nobody holds it.
    return null;
  }
}

function lives(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return holder.pid !== process.pid && bornOf(holder.pid) === holder.born;
}

/** When the process started, in the kernel's ticks: field 22 of /proc/<pid>/stat. Null where there is no /proc. */
function bornOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
