import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fail } from '#core';

/** Where a running Millrace can be reached from this machine, and with which token; kept in <workspace>/.millrace/running.json (0600). */
export interface Running {
  readonly pid: number;
  readonly address: string;
  /** The SHA-256 fingerprint of its certificate; null where it speaks without TLS. */
  readonly certificate: string | null;
  /** An administrator's, valid while that process lives. */
  readonly token: string;
}

/** The running instance of a workspace. Errors: NOT_RUNNING where there is none or its process is gone. */
export function findRunning(workspace: string): Running {
  const running = readRunning(workspace);
  if (!running || !isAlive(running.pid)) fail('NOT_RUNNING', { path: resolve(workspace) });
  return running;
}

function readRunning(workspace: string): Running | null {
  try {
    return JSON.parse(readFileSync(fileOf(workspace), 'utf8')) as Running;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Written aside and renamed, so that no reader sees half of it, and never readable by others. */
export function writeRunning(workspace: string, running: Running): void {
  const file = fileOf(workspace);
  const aside = `${file}.${running.pid}`;
  writeFileSync(aside, `${JSON.stringify(running)}\n`, { mode: 0o600 });
  renameSync(aside, file);
}

export function removeRunning(workspace: string): void {
  rmSync(fileOf(workspace), { force: true });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, under another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function fileOf(workspace: string): string {
  return join(workspace, '.millrace', 'running.json');
}
