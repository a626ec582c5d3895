import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fail } from '#core';

/** One front per workspace. The file names the process; one that is gone (or whose number another has now) holds nothing. */
export function takeLock(dataPath: string): () => void {
  const file = join(dataPath, 'front.lock');
  for (;;) {
    try {
      const fd = openSync(file, 'wx', 0o600);
      writeSync(fd, JSON.stringify({ pid: process.pid, born: bornOf(process.pid) }));
      closeSync(fd);
      return () => rmSync(file, { force: true });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    }
    const holder = readHolder(file);
    if (holder !== null && lives(holder)) fail('WORKSPACE_BUSY', { pid: holder.pid });
    rmSync(file, { force: true });
  }
}

interface Holder {
  readonly pid: number;
  readonly born: string | null;
}

function readHolder(file: string): Holder | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder;
  } catch {
    // Torn by a crash, or just removed: nobody holds it.
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
