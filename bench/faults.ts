/** What a machine does to a program, made to order: its disk is full, a sync fails, files turn read-only, a process stands still, a tail is torn. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, readdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tempFolder } from './program.ts';

export type FaultKind = 'full' | 'sync' | 'readonly' | 'standstill' | 'torn';

/** One fault around one kill: it begins before, and is over before the program starts again. */
export interface Fault {
  readonly kind: FaultKind;
  /** ms that it lasts before the kill. */
  readonly lasts: number;
  /** Over before the kill, and the program has some time to find its feet; else the kill comes in the middle. */
  readonly endsFirst: boolean;
}

export interface UnderFault {
  readonly front: number | null;
  readonly warehouse: number | null;
}

export interface Faults {
  /** Those that this machine lets us make, in the order in which they are drawn. */
  readonly kinds: readonly FaultKind[];
  /** For the program's environment. */
  readonly env: NodeJS.ProcessEnv;
  begin(fault: Fault, processes: UnderFault): Promise<void>;
  /** How many calls, refusals or bytes of the program it hit; none where the moment was missed. */
  end(fault: Fault): Promise<number>;
}

/** What `full` needs: a file system of its own, whose size can be changed. Root only; null where it can't be made. */
export function smallDisk(): string | null {
  const path = tempFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${ROOMY}`, 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    return null;
  }
  process.prependOnceListener('exit', () => execFileSync('umount', ['-l', path]));
  return path;
}

/** A tmpfs takes only what is in it. */
const ROOMY = '8g';

/** `refusals` says how many requests the program has refused so far for want of room. */
export function newFaults(disk: string | null, data: string, random: () => number, refusals: () => number): Faults {
  const shim = buildShim(data);
  let refusedBefore = 0;
  let torn = 0;
  let stopped: number | null = null;

  const hits = () => (shim === null ? 0 : (statSync(shim.met, { throwIfNoEntry: false })?.size ?? 0));
  const fail = (kind: 'sync' | 'readonly', on: boolean) => {
    if (on) writeFileSync(join(shim!.control, kind), '');
    else rmSync(join(shim!.control, kind), { force: true });
  };

  const kinds: readonly FaultKind[] = [
    ...(disk === null ? [] : (['full'] as const)),
    'torn',
    ...(shim === null ? [] : (['sync', 'readonly'] as const)),
    'standstill',
  ];

  return {
    kinds,
    env: shim?.env ?? {},
    async begin({ kind, lasts }, { front, warehouse }) {
      if (shim !== null) rmSync(shim.met, { force: true });
      refusedBefore = refusals();
      torn = 0;
      if (kind === 'full') fill(disk!, Math.floor(random() * 4_000_000));
      if (kind === 'sync' || kind === 'readonly') fail(kind, true);
      if (kind === 'standstill') {
        stopped = random() < 0.5 ? front : (warehouse ?? front);
        // One that has just ended by itself stands nowhere.
        if (stopped !== null && !signal(stopped, 'SIGSTOP')) stopped = null;
      }
      if (kind !== 'torn') await sleep(lasts);
    },
    async end({ kind }) {
      switch (kind) {
        case 'full':
          execFileSync('mount', ['-o', `remount,size=${ROOMY}`, disk!]);
          return refusals() - refusedBefore;
        case 'sync':
        case 'readonly':
          fail(kind, false);
          return hits();
        case 'standstill':
          if (stopped !== null) signal(stopped, 'SIGCONT');
          return stopped === null ? 0 : 1;
        case 'torn':
          for (const topic of readdirSync(join(data, 'log'))) torn += tear(join(data, 'log', topic), random);
          return torn;
      }
    },
  };
}

/** False where the process is gone. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ESRCH') throw cause;
    return false;
  }
}

/** Leaves `room` bytes; what runs goes on writing while the size is set, so it may need another try. */
function fill(disk: string, room: number): void {
  for (let attempt = 1; ; attempt++) {
    const { blocks, bfree, bsize } = statfsSync(disk);
    try {
      const size = (blocks - bfree) * bsize + room + attempt * 500_000;
      return void execFileSync('mount', ['-o', `remount,size=${size}`, disk], { stdio: 'ignore' });
    } catch (cause) {
      if (attempt === 10) throw cause;
    }
  }
}

/**
 * Puts behind the newest segment of a dead program's log what a power cut may leave there of a group that nobody was told of: half of one,
 * zeros, other bytes, or a whole old group. Returns the number of bytes.
 */
function tear(folder: string, random: () => number): number {
  const newest = readdirSync(folder)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .at(-1);
  if (newest === undefined) return 0;
  const bytes = readFileSync(join(folder, newest));
  const group = firstGroup(bytes);
  const kinds = [
    () => group.subarray(0, Math.floor(group.length * random())),
    () => Buffer.alloc(1 + Math.floor(random() * 8192)),
    () => Buffer.from(Array.from({ length: 1 + Math.floor(random() * 500) }, () => Math.floor(random() * 256))),
    // A group's checksum covers its position, so that one which belongs elsewhere is none.
    () => group,
  ];
  // Behind an empty segment, its first group would be in its place.
  const tail = group.length === 0 ? kinds[1]!() : kinds[Math.floor(random() * kinds.length)]!();
  appendFileSync(join(folder, newest), tail);
  return tail.length;
}

/** By the length in its header: `#<10 digits> …`, 30 bytes in all. */
function firstGroup(bytes: Buffer): Buffer {
  const length = /^#(\d{10}) /.exec(bytes.toString('latin1', 0, 12))?.[1];
  return length === undefined ? Buffer.alloc(0) : bytes.subarray(0, 30 + Number(length));
}

interface Shim {
  readonly control: string;
  readonly met: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * A layer around the C library's file calls, for Node's and DuckDB's alike: while the file `sync` or `readonly` stands in its control folder,
 * syncs fail with EIO, or all that writes below `data` with EROFS (a file system that was remounted after an error of the disk).
 * Null where there is no C compiler.
 */
function buildShim(data: string): Shim | null {
  const control = tempFolder();
  const source = join(control, 'faults.c');
  const library = join(control, 'faults.so');
  writeFileSync(source, SHIM);
  try {
    execFileSync('cc', ['-O1', '-shared', '-fPIC', '-o', library, source, '-ldl'], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw cause;
  }
  return {
    control,
    met: join(control, 'met'),
    env: { LD_PRELOAD: library, MILLRACE_BENCH_FAULTS: control, MILLRACE_BENCH_DATA: data },
  };
}

const SHIM = String.raw`
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int failing(const char *fault) {
  const char *control = getenv("MILLRACE_BENCH_FAULTS");
  char path[4096];
  int before = errno;
  if (control == NULL) return 0;
  snprintf(path, sizeof path, "%s/%s", control, fault);
  if (access(path, F_OK) != 0) { errno = before; return 0; }
  return 1;
}

static int hit(int code) {
  char path[4096];
  snprintf(path, sizeof path, "%s/met", getenv("MILLRACE_BENCH_FAULTS"));
  int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd >= 0) { syscall(SYS_write, fd, ".", 1); syscall(SYS_close, fd); }
  errno = code;
  return -1;
}

static int below(const char *path) {
  const char *data = getenv("MILLRACE_BENCH_DATA");
  return data != NULL && path != NULL && strncmp(path, data, strlen(data)) == 0;
}

/* Of a file below the data's folder? */
static int data_file(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return below(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define SYNC(name) int name(int fd) { \
  if (failing("sync") && data_file(fd)) return hit(EIO); \
  return REAL(name)(fd); }
SYNC(fsync)
SYNC(fdatasync)

#define WRITES(type, name, parameters, arguments) type name parameters { \
  if (failing("readonly") && data_file(fd)) return hit(EROFS); \
  return REAL(name) arguments; }
WRITES(ssize_t, write, (int fd, const void *from, size_t size), (fd, from, size))
WRITES(ssize_t, pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
WRITES(ssize_t, pwrite64, (int fd, const void *from, size_t size, off64_t at), (fd, from, size, at))
WRITES(ssize_t, writev, (int fd, const struct iovec *from, int count), (fd, from, count))
WRITES(ssize_t, pwritev, (int fd, const struct iovec *from, int count, off_t at), (fd, from, count, at))
WRITES(ssize_t, pwritev64, (int fd, const struct iovec *from, int count, off64_t at), (fd, from, count, at))
WRITES(int, ftruncate, (int fd, off_t size), (fd, size))
WRITES(int, ftruncate64, (int fd, off64_t size), (fd, size))

#define CHANGES(name, parameters, arguments) int name parameters { \
  if (failing("readonly") && below(path)) return hit(EROFS); \
  return REAL(name) arguments; }
CHANGES(unlink, (const char *path), (path))
CHANGES(rmdir, (const char *path), (path))
CHANGES(mkdir, (const char *path, mode_t mode), (path, mode))
CHANGES(rename, (const char *path, const char *to), (path, to))

#define OPENS(name, parameters, ...) int name parameters { \
  va_list rest; va_start(rest, flags); mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0; va_end(rest); \
  if ((flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) && failing("readonly") && below(path)) return hit(EROFS); \
  return REAL(name)(__VA_ARGS__, flags, mode); }
OPENS(open, (const char *path, int flags, ...), path)
OPENS(open64, (const char *path, int flags, ...), path)
OPENS(openat, (int folder, const char *path, int flags, ...), folder, path)
OPENS(openat64, (int folder, const char *path, int flags, ...), folder, path)
`;
