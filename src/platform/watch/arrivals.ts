/**
 * What has come to a folder since it was told last. It is listed again and again, for a drive of the network tells of no change. A file
 * counts when nobody has written to it for as long as it has to settle, and two looks found it the same: a drive's clock may be another one.
 */
import { realpath } from 'node:fs/promises';
import { isAbsolute, relative, resolve } from 'node:path';
import type { Millis, WatchedFolder } from '#core';
import { type FoundFile, filesIn } from '#files';

export interface Arrivals {
  /** Those that have come, or are others than they were. After none at all: files are gone, or the folder can be read again. */
  readonly files: readonly string[];
  /** Why it can't be listed. */
  readonly problem: string | null;
}

/** As many as a run takes. */
const MOST_FILES = 100_000;

/** Each look gives what is to be told, or null. */
export function openArrivals(workspace: string, { path, pattern, settle }: WatchedFolder): (now: Millis) => Promise<Arrivals | null> {
  let told = new Map<string, string>();
  let before = new Map<string, string>();
  let trouble: string | null = null;
  return async (now) => {
    const found = await look(workspace, path, pattern);
    if (typeof found === 'string') {
      if (found === trouble) return null;
      trouble = found;
      return { files: [], problem: found };
    }
    const seen = new Map(found.map(({ name, size, mtimeMs, ctimeMs }) => [name, `${size} ${mtimeMs} ${ctimeMs}`]));
    const files = found.flatMap(({ name, mtimeMs }) => {
      const state = seen.get(name);
      return mtimeMs <= now - settle && before.get(name) === state && told.get(name) !== state ? [name] : [];
    });
    const left = [...told].filter(([name]) => seen.has(name));
    const isNews = files.length > 0 || left.length < told.size || trouble !== null;
    told = new Map([...left, ...files.map((name) => [name, seen.get(name)!] as const)]);
    before = seen;
    trouble = null;
    return isNews ? { files, problem: null } : null;
  };
}

/** What is there, or why it is not looked at: the run that is begun then says it with its code. */
async function look(workspace: string, path: string, pattern: string): Promise<FoundFile[] | string> {
  try {
    const folder = await realpath(resolve(workspace, path));
    const inside = relative(await realpath(workspace), folder);
    if (inside.startsWith('..') || isAbsolute(inside)) return 'it is outside of the workspace';
    const found = await filesIn(folder, pattern, MOST_FILES);
    return found.length > MOST_FILES ? 'it has too many files' : found;
  } catch (thrown) {
    return (thrown as Error).message;
  }
}
