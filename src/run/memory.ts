import { readdirSync, readFileSync } from 'node:fs';
import { type Bytes, fail } from '#core';

// Linux keeps statm in pages. Node can't ask for the page size; 4096 holds on x86-64 and on the usual arm64 kernels,
// and `VmRSS` in /proc/<pid>/status (kB) costs ten times as much to read, so it only serves to learn the size once.
let pageSize: number | undefined;

/** Resident bytes of one process; null where there is no such process or no /proc. Costs one read of a kernel file (~10 µs). */
export function residentBytes(pid: number, proc = '/proc'): Bytes | null {
  const statm = readKernelFile(`${proc}/${pid}/statm`);
  if (statm === null) return null;
  pageSize ??= learnPageSize(proc);
  return Number(statm.split(' ')[1]) * pageSize;
}

/** Resident bytes of a process and all its descendants; null where there is no such process or no /proc. Pages shared among them count for each. */
export function residentTreeBytes(pid: number, proc = '/proc'): Bytes | null {
  const own = residentBytes(pid, proc);
  if (own === null) return null;
  const children = childrenOf(proc);
  const waiting = [...(children.get(pid) ?? [])];
  let sum = own;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    sum += residentBytes(next, proc) ?? 0;
    waiting.push(...(children.get(next) ?? []));
  }
  return sum;
}

function childrenOf(proc: string): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const name of readdirSync(proc)) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readKernelFile(`${proc}/${name}/stat`);
    if (stat === null) continue;
    // proc_pid_stat(5): "pid (comm) state ppid …", and comm may itself have spaces and parentheses.
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  return children;
}

function learnPageSize(proc: string): number {
  const pages = Number(readKernelFile(`${proc}/self/statm`)?.split(' ')[1]);
  const kilobytes = Number(/^VmRSS:\s+(\d+)/m.exec(readKernelFile(`${proc}/self/status`) ?? '')?.[1]);
  const ratio = (kilobytes * 1024) / pages;
  const sizes = [4096, 16_384, 65_536];
  return sizes.find((size) => ratio > size * 0.7 && ratio < size * 1.4) ?? 4096;
}

/** A process can end between any two reads: then its file is gone (ENOENT) or empty of its owner (ESRCH). */
function readKernelFile(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'ENOTDIR') return null;
    throw error;
  }
}

const units: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  K: 1e3,
  KB: 1e3,
  KIB: 1024,
  M: 1e6,
  MB: 1e6,
  MIB: 2 ** 20,
  G: 1e9,
  GB: 1e9,
  GIB: 2 ** 30,
};

/** "1GB", "512 MB", "1.5GiB", "1000000" → bytes. Errors: OPTION_VALUE, naming `option`. */
export function parseBytes(text: string, option = '--memory'): Bytes {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  const unit = units[match?.[2]?.toUpperCase() ?? ''];
  if (!match || unit === undefined) fail('OPTION_VALUE', { option, value: text, problem: 'write a size like 512MB or 1.5GB' });
  return Math.floor(Number(match[1]) * unit);
}
