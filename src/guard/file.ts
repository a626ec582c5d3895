import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fail } from '#core';

/** The text of a file that nobody else may read, or null if there is none. Wider rights are taken back. GUARD_FILE. */
export function readSecretFile(path: string): string | null {
  try {
    chmodSync(path, 0o600);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    return fail('GUARD_FILE', { file: basename(path), problem: codeOf(error) }, error);
  }
}

/** The whole text or nothing, durable when it returns, with mode 0600 from its first byte on. GUARD_FILE. */
export function writeSecretFile(path: string, text: string): void {
  const beside = `${path}.new`;
  try {
    rmSync(beside, { force: true });
    const handle = openSync(beside, 'wx', 0o600);
    try {
      writeFileSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(beside, path);
    syncFolder(dirname(path));
  } catch (error) {
    fail('GUARD_FILE', { file: basename(path), problem: codeOf(error) }, error);
  }
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
