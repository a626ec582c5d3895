import { basename, dirname } from 'node:path';
import type { Files } from '#collect';

/** Random numbers as fast-check gives them: below `n`. */
export type Choose = (n: number) => number;

interface Inode {
  /** What a process reads: the kernel's memory. */
  bytes: Buffer;
  /** What is on the platter. */
  synced: Buffer;
}

interface Folder {
  now: Map<string, Inode | Folder>;
  synced: Map<string, Inode | Folder>;
}

type Call = 'open' | 'write' | 'fdatasync' | 'fsync' | 'ftruncate';

/** What a call does instead of its work; `short` writes that many bytes and says so, `torn` writes them and fails. */
export type Fault = { readonly code: 'ENOSPC' | 'EIO' } | { readonly short: number } | { readonly torn: number };

const PAGE = 64;

/**
 * A disk that keeps nothing but what was synced: files by fdatasync or fsync, names by the fsync of their folder. A power cut lets
 * any of the other pages through or not, in any order, and any of the names. Pages are small so that groups have many.
 */
export class Disk implements Files {
  #root: Folder = newFolder();
  readonly #open = new Map<number, { node: Inode | Folder; path: string }>();
  #next = 3;
  /** Asked before each call that changes something. */
  fault: (call: Call, path: string) => Fault | null = () => null;

  constructor(dataPath: string) {
    this.mkdirSync(dataPath);
    for (let path = dataPath; path !== dirname(path); path = dirname(path)) this.#sync(this.#find(dirname(path)) as Folder);
  }

  /** The process dies; the kernel keeps what it was given. */
  kill(): void {
    this.#open.clear();
  }

  /** The machine loses power. */
  powerCut(choose: Choose): void {
    this.#open.clear();
    this.#root = afterCut(this.#root, choose);
  }

  readonly #find = (path: string): Inode | Folder | undefined => {
    let node: Inode | Folder | undefined = this.#root;
    for (const part of path.split('/').filter((name) => name !== '')) {
      if (node === undefined || !('now' in node)) return undefined;
      node = node.now.get(part);
    }
    return node;
  };

  mkdirSync(path: string): void {
    let node = this.#root;
    for (const part of path.split('/').filter((name) => name !== '')) {
      let next = node.now.get(part);
      if (next === undefined) node.now.set(part, (next = newFolder()));
      node = next as Folder;
    }
  }

  readdirSync(path: string): string[] {
    return [...(this.#find(path) as Folder).now.keys()];
  }

  existsSync(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  openSync(path: string, flags: string): number {
    let node = this.#find(path);
    if (flags === 'w') {
      this.#check('open', path);
      if (node === undefined) {
        node = { bytes: Buffer.alloc(0), synced: Buffer.alloc(0) };
        (this.#find(dirname(path)) as Folder).now.set(basename(path), node);
      }
      (node as Inode).bytes = Buffer.alloc(0);
    }
    if (node === undefined) throw errno('ENOENT');
    this.#open.set(this.#next, { node, path });
    return this.#next++;
  }

  closeSync(fd: number): void {
    if (!this.#open.delete(fd)) throw errno('EBADF');
  }

  fstatSync(fd: number): { size: number } {
    return { size: this.#file(fd).bytes.length };
  }

  readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    // Half of what was asked for: a read may give less.
    const some = this.#file(fd).bytes.subarray(position, position + Math.max(1, Math.ceil(length / 2)));
    buffer.set(some, offset);
    return some.length;
  }

  /** In a later turn, or never when the process or the machine dies before. */
  write(
    fd: number,
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
    done: (cause: Error | null, written: number) => void,
  ): void {
    this.#later(fd, done, (file, path) => {
      const fault = this.#check('write', path);
      const size =
        fault === null ? length : Math.max(1, Math.min(length, 'short' in fault ? fault.short : (fault as { torn: number }).torn));
      const bytes = Buffer.alloc(Math.max(file.bytes.length, position + size));
      file.bytes.copy(bytes);
      bytes.set(buffer.subarray(offset, offset + size), position);
      file.bytes = bytes;
      if (fault !== null && 'torn' in fault) throw errno('ENOSPC');
      return size;
    });
  }

  ftruncateSync(fd: number, length: number): void {
    this.#check('ftruncate', this.#open.get(fd)!.path);
    const file = this.#file(fd);
    file.bytes = Buffer.concat([file.bytes.subarray(0, length), Buffer.alloc(Math.max(0, length - file.bytes.length))]);
  }

  fdatasync(fd: number, done: (cause: Error | null) => void): void {
    this.#later(fd, done, (file, path) => {
      this.#check('fdatasync', path);
      this.#sync(file);
      return 0;
    });
  }

  fsyncSync(fd: number): void {
    this.#check('fsync', this.#open.get(fd)!.path);
    this.#sync(this.#open.get(fd)!.node);
  }

  /** The bytes of a file, to be changed by a test. */
  file(path: string): Buffer {
    return (this.#find(path) as Inode).bytes;
  }

  setFile(path: string, bytes: Buffer): void {
    const file = this.#find(path) as Inode;
    file.bytes = bytes;
    file.synced = bytes;
  }

  #sync(node: Inode | Folder): void {
    if ('now' in node) node.synced = new Map(node.now);
    else node.synced = Buffer.from(node.bytes);
  }

  #later(fd: number, done: (cause: Error | null, result: number) => void, work: (file: Inode, path: string) => number): void {
    setImmediate(() => {
      const open = this.#open.get(fd);
      if (open === undefined) return;
      let result = 0;
      try {
        result = work(open.node as Inode, open.path);
      } catch (cause) {
        done(cause as Error, 0);
        return;
      }
      done(null, result);
    });
  }

  #file(fd: number): Inode {
    const open = this.#open.get(fd);
    if (open === undefined) throw errno('EBADF');
    return open.node as Inode;
  }

  #check(call: Call, path: string): Fault | null {
    const fault = this.fault(call, path);
    if (fault !== null && 'code' in fault) throw errno(fault.code);
    return fault;
  }
}

function newFolder(): Folder {
  return { now: new Map(), synced: new Map() };
}

function afterCut(folder: Folder, choose: Choose): Folder {
  const names = new Map(folder.synced);
  for (const [name, node] of folder.now) if (choose(2) === 0) names.set(name, node);
  const left = new Map(
    [...names].map(([name, node]) => [name, 'now' in node ? afterCut(node, choose) : fileAfterCut(node, choose)] as const),
  );
  return { now: left, synced: new Map(left) };
}

function fileAfterCut({ bytes, synced }: Inode, choose: Choose): Inode {
  const size =
    choose(2) === 0
      ? bytes.length
      : choose(2) === 0
        ? synced.length
        : Math.min(bytes.length, synced.length) + choose(Math.abs(bytes.length - synced.length) + 1);
  const left = Buffer.alloc(size);
  synced.copy(left, 0, 0, size);
  for (let at = 0; at < size; at += PAGE) {
    if (choose(2) === 0) bytes.copy(left, at, at, Math.min(at + PAGE, size));
  }
  return { bytes: left, synced: Buffer.from(left) };
}

function errno(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code });
}
