import { glob, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { codeOf } from './whole.ts';

/** A file of a folder, as a look at it found it. */
export interface FoundFile {
  /** From the folder, links as they are spelled. */
  readonly name: string;
  readonly size: number;
  /** ms, with a fraction where the disk keeps one. */
  readonly mtimeMs: number;
  /** When anything about it changed last; unlike the other, no program can set it. */
  readonly ctimeMs: number;
}

/** What programs write before they rename it. */
const UNFINISHED = /^[.~]|\.(part|partial|tmp|temp|crdownload|filepart|swp)$/i;
/** One after the other takes twice the time; all at once would wait for memory. */
const AT_ONCE = 64;

/**
 * The files of a folder that match (`*`, `**`), without those that programs mean to rename. It stops soon after it has found more than
 * `most`. One that goes away meanwhile is left out. Throws the system's error where the folder is not there; see {@link codeOf}.
 */
export async function filesIn(folder: string, pattern: string, most: number): Promise<FoundFile[]> {
  // To glob, a folder that is not there is one in which nothing matches.
  await stat(folder);
  const found: FoundFile[] = [];
  let names: string[] = [];
  const look = async () => {
    for (const file of await Promise.all(names.map((name) => foundFile(folder, name)))) if (file !== null) found.push(file);
    names = [];
  };
  for await (const name of glob(pattern, { cwd: folder })) {
    if (UNFINISHED.test(basename(name))) continue;
    names.push(name);
    if (names.length === AT_ONCE) await look();
    if (found.length > most) break;
  }
  await look();
  return found;
}

async function foundFile(folder: string, name: string): Promise<FoundFile | null> {
  try {
    const state = await stat(join(folder, name));
    return state.isFile() ? { name, size: state.size, mtimeMs: state.mtimeMs, ctimeMs: state.ctimeMs } : null;
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return null;
    throw thrown;
  }
}
