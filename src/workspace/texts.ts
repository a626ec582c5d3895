/** Folders of small text files that people edit side by side: nothing is overwritten unseen, and what was there before can be read again. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type Bytes, type ErrorCode, fail } from '#core';
import { codeOf, replaceFile } from '#files';
import { listFolder, readFile, removeDefinition, writeDefinition } from './file.ts';

export interface TextFolder {
  /** By name. */
  names(): readonly string[];
  /** As messages name it: dashboards/shop.yaml. */
  file(name: string): string;
  /** `name`, if it is one that is the same in a path and in a URL; the folder's `name` error otherwise. */
  checked(name: string): string;
  /** Errors: the folder's `unknown`, DEFINITION_YAML for what is no small text. */
  read(name: string): string;
  /** What tells one text from another: the version that `save` asks for. */
  versionOf(text: string): string;
  /**
   * Puts what `next` makes of the present text (null: there is none) in place, whole or not at all. `on` is the version that was edited, null
   * for a new file; another present one is the folder's error `changed`. DEFINITION_WRITE, and those of `next`.
   */
  save(save: { name: string; on: unknown; by: string; next: (held: string | null) => string }): string;
  /** Errors: the folder's `unknown`. */
  remove(name: string, by: string): void;
  /** The newest 50 that were saved here, the newest first; what someone wrote on disk too, once it was replaced. */
  versions(name: string): { version: string; at: string; by: string }[];
  /** Errors: the folder's `version`. */
  version(name: string, version: string): string;
}

interface Kept {
  readonly at: string;
  readonly version: string;
  readonly by: string;
  readonly text: string;
}

const most = 50;
/** Dashboards and statements may be longer than other definitions. */
export const mostTextBytes: Bytes = 512 * 1024;
/** The same as JSON, in which a character may take six bytes. */
const mostKeptBytes: Bytes = 8 * mostTextBytes;

/** The files `<workspace>/<folder>/<name><ending>`; earlier texts are `<kept>/<name>/<number>-<version>.json`. They are read when asked for. */
export function textFolder(of: {
  readonly workspace: string;
  readonly folder: string;
  readonly ending: string;
  readonly kept: string;
  readonly errors: Readonly<Record<'name' | 'unknown' | 'changed' | 'version', ErrorCode>>;
}): TextFolder {
  const { ending, errors } = of;
  const folder = join(of.workspace, of.folder);
  const pathOf = (name: string) => join(folder, `${name}${ending}`);
  const file = (name: string) => `${of.folder}/${name}${ending}`;
  const held = (name: string) => readFile(pathOf(name), file(name), mostTextBytes)?.text ?? null;
  const read = (name: string) => held(name) ?? fail(errors.unknown, { name });

  const keptFiles = (name: string) =>
    listFolder(join(of.kept, name))
      .filter((each) => /^\d{8}-[0-9a-f]{16}\.json$/.test(each))
      .sort();
  const open = (name: string, each: string) =>
    JSON.parse(
      readFile(join(of.kept, name, each), file(name), mostKeptBytes)?.text ?? fail(errors.version, { name, version: each }),
    ) as Kept;

  /** As the newest version, unless it is that already. */
  function keep(name: string, by: string, text: string): void {
    const version = versionOf(text);
    const before = keptFiles(name);
    const newest = before.at(-1);
    if (newest?.slice(9, 25) === version) return;
    const number = String(newest === undefined ? 1 : Number(newest.slice(0, 8)) + 1).padStart(8, '0');
    const kept: Kept = { at: new Date().toISOString(), version, by, text };
    const path = join(of.kept, name, `${number}-${version}.json`);
    try {
      replaceFile(path, `${JSON.stringify(kept)}\n`, 0o600);
    } catch (thrown) {
      fail('DEFINITION_WRITE', { file: `${file(name)}, an earlier version of it,`, problem: codeOf(thrown) }, thrown);
    }
    for (const old of before.slice(0, Math.max(0, before.length + 1 - most))) removeDefinition(join(of.kept, name, old), file(name));
  }

  return {
    file,
    read,
    versionOf,
    names: () =>
      listFolder(folder)
        .filter((each) => each.endsWith(ending) && isName(each.slice(0, -ending.length)))
        .map((each) => each.slice(0, -ending.length))
        .sort(),
    checked: (name) => (isName(name) ? name : fail(errors.name, { name: name.slice(0, 100) })),
    save({ name, on, by, next }) {
      // Nothing awaits between this look and the renaming: of two savers in this process one sees the other.
      const before = held(name);
      if ((before === null ? null : versionOf(before)) !== on) fail(errors.changed, { name });
      const text = next(before);
      if (before !== null) keep(name, 'file', before);
      writeDefinition(pathOf(name), text, file(name));
      try {
        keep(name, by, text);
      } catch {
        // It is in its place, so that it is saved; the next one to save keeps it, as it kept the one before.
      }
      return text;
    },
    remove(name, by) {
      keep(name, by, read(name));
      removeDefinition(pathOf(name), file(name));
    },
    versions: (name) =>
      keptFiles(name)
        .reverse()
        .map((each) => {
          const { version, at, by } = open(name, each);
          return { version, at, by };
        }),
    version(name, version) {
      const found = keptFiles(name).findLast((each) => each.slice(9, 25) === version);
      return found === undefined ? fail(errors.version, { name, version: version.slice(0, 50) }) : open(name, found).text;
    },
  };
}

function versionOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function isName(name: string): boolean {
  return /^[a-z][a-z0-9_-]{0,62}$/.test(name);
}
