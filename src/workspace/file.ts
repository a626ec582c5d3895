import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { type Bytes, fail } from '#core';
import { maxFileBytes } from '#definition';
import { codeOf, removeFile, replaceFile, stateFrom } from '#files';

/**
 * A file's state as text: two equal ones mean that nothing was written in between. It survives a rename, so the state of a file that
 * was written beside and moved into place is known beforehand. '' is a file that is not there.
 */
export type State = string;

export interface Definition {
  readonly text: string;
  readonly state: State;
}

/** Reads a definition file that anybody may have put there: a regular file, small, UTF-8. DEFINITION_YAML; null if it is not there. */
export function readFile(path: string, file: string, most: Bytes = maxFileBytes): Definition | null {
  let handle: number;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer.
    handle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    return fail('DEFINITION_YAML', { file, problem: `it can't be read (${codeOf(error)})` }, error);
  }
  try {
    const stat = fstatSync(handle, { bigint: true });
    if (!stat.isFile()) fail('DEFINITION_YAML', { file, problem: 'it is not a regular file' });
    if (stat.size > most) fail('DEFINITION_YAML', { file, problem: `it has more than ${most} bytes` });
    return { text: decode(readFileSync(handle), file), state: stateFrom(stat) };
  } finally {
    closeSync(handle);
  }
}

export function stateOf(path: string): State {
  try {
    return stateFrom(statSync(path, { bigint: true }));
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? '' : codeOf(error);
  }
}

/** Puts a whole definition in place or nothing, durable when it returns. DEFINITION_WRITE. */
export function writeDefinition(path: string, text: string, file: string): State {
  try {
    return replaceFile(path, text);
  } catch (error) {
    return fail('DEFINITION_WRITE', { file, problem: codeOf(error) }, error);
  }
}

/** DEFINITION_WRITE. */
export function removeDefinition(path: string, file: string): void {
  try {
    removeFile(path);
  } catch (error) {
    fail('DEFINITION_WRITE', { file, problem: codeOf(error) }, error);
  }
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    return fail('DEFINITION_YAML', { file, problem: 'it is not UTF-8 text' }, error);
  }
}

export function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    // The folder may be missing (git keeps no empty ones) or away for a moment.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}
