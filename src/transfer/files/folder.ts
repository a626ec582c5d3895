/**
 * A folder whose files come by themselves. Each file is a part of a table with a state of its own, under the hash of its content: one that
 * was loaded is never loaded again, one that was cut off is undone and read again, whatever it is called by then.
 */
import { createHash } from 'node:crypto';
import { createReadStream, globSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fail, type Millis, type TransferTable } from '#core';
import type { Connection, Opened, Place, SourceTable } from '../source.ts';
import { type DataFile, dataFiles, within } from './bytes.ts';
import { type FileKind, kindOf } from './kind.ts';
import { openDataFile } from './open.ts';
import type { Constant } from './tables.ts';

export interface Watching {
  readonly path: string;
  readonly pattern: string;
  /** A file that was written to so lately may be half-written. */
  readonly settle: Millis;
  readonly kind: FileKind | null;
  readonly options: Connection;
  /** Which table a file belongs to and what its name says of all its rows; null for none. */
  readonly belongs: (name: string) => { readonly table: string; readonly constants: readonly Constant[] } | null;
}

interface Part {
  /** `hash name`: the table's name at the source, in the transfer's state. */
  readonly part: string;
  /** How earlier versions spelled it: a space in a zip's member could be taken for the end of the hash. */
  readonly former: string;
  readonly table: string;
  readonly file: DataFile;
  readonly constants: readonly Constant[];
}

/** What programs write before they rename it. */
const UNFINISHED = /^[.~]|\.(part|partial|tmp|temp|crdownload|filepart|swp)$/i;
const MOST_FILES = 100_000;

/** Errors: TRANSFER_FILE, TRANSFER_PATH. */
export async function openFolder(watching: Watching, place: Place): Promise<Opened> {
  const parts = await partsOf(watching, place);
  const opened = new Map<string, Promise<Opened>>();
  const openPart = (part: Part): Promise<Opened> => {
    const known = opened.get(part.part);
    if (known !== undefined) return known;
    const opening = open(watching, part);
    opened.set(part.part, opening);
    return opening;
  };
  const names = [...new Set(parts.map(({ table }) => table))];
  /** A part, or the newest of a table. */
  const find = (name: string): Part =>
    parts.find(({ part }) => part === name) ??
    parts.findLast(({ table }) => table === name) ??
    fail('TRANSFER_TABLE', { table: name, near: names[0] });
  const inner = async (table: SourceTable) => {
    const source = await openPart(find(table.name));
    const [own] = await source.describe();
    return { source, table: { ...table, name: own!.name } };
  };
  return {
    async describe(wanted) {
      const found: SourceTable[] = [];
      for (const name of wanted ?? names) {
        const [own] = await (await openPart(find(name))).describe();
        found.push({ ...own!, name });
      }
      return found;
    },
    parts: (tables) => tables.flatMap((definition) => partsFor(definition, parts, place.done ?? new Set())),
    async snapshot(given, cursor, after) {
      const { source, table } = await inner(given);
      return source.snapshot(table, cursor, after);
    },
    async *read(given, columns, span, reading, limit) {
      const { source, table } = await inner(given);
      yield* source.read(table, columns, span, reading, limit);
    },
    async checksum(given, columns, span, buckets) {
      const { source, table } = await inner(given);
      return source.checksum(table, columns, span, buckets);
    },
    async hashes(given, columns, span, key, bucket) {
      const { source, table } = await inner(given);
      return source.hashes(table, columns, span, key, bucket);
    },
    async close() {
      for (const each of opened.values()) await (await each).close();
    },
  };
}

/** The files of a table that were not loaded yet, each as a table of the run. */
function partsFor(definition: TransferTable, parts: readonly Part[], done: ReadonlySet<string>): TransferTable[] {
  if (definition.mode === 'full')
    fail('TRANSFER_OPTION', { source: 'folder', option: 'mode', problem: 'each file adds rows: use append, or merge with a key' });
  const loaded = new Set([...done].map(hashOf));
  const taken = new Set<string>();
  return parts
    .filter(({ table, part, former }) => {
      const hash = hashOf(part);
      if (table !== definition.source || loaded.has(hash) || done.has(former) || taken.has(hash)) return false;
      taken.add(hash);
      return true;
    })
    .map(({ part }) => ({ ...definition, source: part }));
}

/** A file that has another name now is the same one. */
export const isSamePart = (a: string, b: string): boolean => a === b || (/^[0-9a-f]{32}(\/.*)? /.test(a) && hashOf(a) === hashOf(b));

const hashOf = (part: string): string => part.slice(0, part.indexOf(' '));

async function open({ kind, options }: Watching, { file, constants }: Part): Promise<Opened> {
  return openDataFile(file, kind ?? (file.member === null ? await kindOf(file.path) : 'csv'), options, { constants });
}

/** The oldest first, so that of two rows with one key the newer file's stays. */
async function partsOf({ path, pattern, settle, belongs }: Watching, place: Place): Promise<Part[]> {
  const folder = within(path, place, 'folder');
  const before = Date.now() - settle;
  const files = globSync(pattern, { cwd: folder })
    .filter((name) => !UNFINISHED.test(basename(name)))
    .flatMap((name) => {
      const real = within(join(folder, name), { folder, anywhere: false }, 'folder');
      const { mtimeMs } = statSync(real);
      return statSync(real).isFile() && mtimeMs <= before ? [{ name, real, mtimeMs }] : [];
    })
    .sort((a, b) => a.mtimeMs - b.mtimeMs || (a.name < b.name ? -1 : 1));
  if (files.length > MOST_FILES) fail('TRANSFER_FILE', { file: path, format: 'folder', problem: `it has more than ${MOST_FILES} files` });
  const parts: Part[] = [];
  for (const { name, real } of files) {
    if (belongs(basename(name)) === null) continue;
    const hash = await contentHash(real);
    for (const file of dataFiles(real, 'folder', name)) {
      const own = belongs(file.member === null ? basename(name) : basename(file.member.name)) ?? belongs(basename(name))!;
      const spelled = (member: string) => `${hash}${file.member === null ? '' : `/${member}`} ${name}`;
      const member = file.table.replaceAll('%', '%25').replaceAll(' ', '%20');
      parts.push({ part: spelled(member), former: spelled(file.table), file, ...own });
    }
  }
  return parts;
}

/** The first half of its SHA-256. */
async function contentHash(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer);
  return hash.digest('hex').slice(0, 32);
}
