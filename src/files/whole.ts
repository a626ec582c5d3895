import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fstatSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * Puts a whole file in place or nothing, durable when it returns: written beside under a hidden name that nobody else takes, synced,
 * renamed, the folder synced. `mode` holds from the first byte on. Gives the state that the file has in its place.
 * Throws the system's error; see {@link codeOf}.
 */
export function replaceFile(path: string, text: string, mode = 0o666): string {
  const beside = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    mkdirSync(dirname(path), { recursive: true });
    const handle = openSync(beside, 'wx', mode);
    let state: string;
    try {
      writeFileSync(handle, text);
      fsyncSync(handle);
      state = stateFrom(fstatSync(handle, { bigint: true }));
    } finally {
      closeSync(handle);
    }
    renameSync(beside, path);
    syncFolder(dirname(path));
    return state;
  } catch (error) {
    if (existsSync(beside)) rmSync(beside);
    throw error;
  }
}

/** Removes a file, durably; one that is not there is no error. Throws the system's error. */
export function removeFile(path: string): void {
  rmSync(path, { force: true });
  syncFolder(dirname(path));
}

/** A file's state as text: two equal ones mean that nothing was written in between. It survives a rename. */
export function stateFrom(stat: { ino: bigint; mtimeNs: bigint; size: bigint }): string {
  return `${stat.ino}:${stat.mtimeNs}:${stat.size}`;
}

/** The system's code of a failed file call (ENOSPC, EACCES, …): safe to show. A defect is thrown on. */
export function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  throw error;
}

function syncFolder(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
