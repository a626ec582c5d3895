import { chmodSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fail } from '#core';
import { codeOf, replaceFile } from '#files';

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
  try {
    replaceFile(path, text, 0o600);
  } catch (error) {
    fail('GUARD_FILE', { file: basename(path), problem: codeOf(error) }, error);
  }
}
