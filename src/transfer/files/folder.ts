/**
 * A folder whose files come by themselves. Each file is a part of a table with a state of its own, under the hash of its content: one that
 * was loaded is not loaded again, one that was cut off is undone and read again, whatever it is called by then. Where rows replace others,
 * what counts is the newest content of each file's name.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { asMillraceError, fail, type Millis, MillraceError, type Option, type TransferTable } from '#core';
import { filesIn } from '#files';
import type { Connection, Opened, PartTable, Place, SourceTable } from '../source.ts';
import { type DataFile, dataFiles, within } from './bytes.ts';
import { type FileKind, kindOf, kindOfFile } from './kind.ts';
import { openDataFile } from './open.ts';
import type { Constant } from './tables.ts';

export interface Watching {
  readonly path: string;
  readonly pattern: string;
  /** A file that was written to so lately may be half-written. */
  readonly settle: Millis;
  readonly kind: FileKind | null;
  readonly options: Connection;
  /** Of a file that has changed: do its rows replace those that it brought before? */
  readonly replaces: boolean;
  /** Which table a file belongs to and what its name says of all its rows; null for none. */
  readonly belongs: (name: string) => { readonly table: string; readonly constants: readonly Constant[] } | null;
}

interface Part {
  /** `hash name`: the table's name at the source, in the transfer's state. */
  readonly part: string;
  /** How earlier versions spelled it: a space in a zip's member could be taken for the end of the hash. */
  readonly former: string;
  readonly table: string;
  /** Or why it is none: it is told when it is this file's turn. */
  readonly file: DataFile | MillraceError;
  readonly constants: readonly Constant[];
}

export const changedOption: Option = {
  name: 'changed',
  type: 'choice',
  choices: ['add', 'replace'],
  summary: 'With append, of a file that has changed: its rows are added to those that it brought before, or replace them.',
  default: 'add',
};

const MOST_FILES = 100_000;

/** Errors: TRANSFER_FILE, TRANSFER_PATH. */
export async function openFolder(watching: Watching, place: Place): Promise<Opened> {
  const { parts, others } = await partsOf(watching, place);
  const formers = await formersOf(watching, place, parts, others);
  let opened: { readonly part: string; readonly source: Opened } | null = null;
  const close = async () => {
    const last = opened;
    opened = null;
    await last?.source.close();
  };
  /** One part after the other is described and read: there may be a hundred thousand, and each may be unpacked on the disk. */
  const openPart = async (part: Part): Promise<Opened> => {
    if (opened?.part === part.part) return opened.source;
    await close();
    opened = { part: part.part, source: await open(watching, part) };
    return opened.source;
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
    /** Of the part that is open. */
    get found() {
      return opened?.source.found ?? {};
    },
    async describe(wanted) {
      const found: SourceTable[] = [];
      for (const name of wanted ?? names) {
        const [own] = await (await openPart(find(name))).describe();
        found.push({ ...own!, name });
      }
      return found;
    },
    parts: (tables) => tables.flatMap((definition) => partsFor(definition, parts, place.done ?? new Set(), formers)),
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
    async eachHash(given, columns, span, key, take) {
      const { source, table } = await inner(given);
      await source.eachHash!(table, columns, span, key, take);
    },
    close,
  };
}

/** The files of a table that were not loaded yet, each as a table of the run. */
function partsFor(
  definition: TransferTable,
  parts: readonly Part[],
  done: ReadonlySet<string>,
  formers: (part: string) => readonly string[],
): PartTable[] {
  if (definition.mode === 'full')
    fail('TRANSFER_OPTION', { source: 'folder', option: 'mode', problem: 'each file adds rows: use append, or merge with a key' });
  const loaded = new Set([...done].map(hashOf));
  const newest = definition.mode === 'merge' ? new Map([...done].map((part) => [placeOf(part), hashOf(part)])) : new Map<string, string>();
  const taken = new Set<string>();
  return parts
    .filter(({ table, part, former }) => {
      const hash = hashOf(part);
      const last = newest.get(placeOf(part));
      const known = last === undefined ? loaded.has(hash) || done.has(former) : last === hash;
      if (table !== definition.source || known || taken.has(hash)) return false;
      taken.add(hash);
      return true;
    })
    .map(({ part }) => ({ ...definition, source: part, ...(definition.mode === 'append' && { replaces: [part, ...formers(part)] }) }));
}

/**
 * The parts whose rows a part takes the place of: those of the same content that are to be read again, and by the name of its file those
 * that were cut off, and with `replaces` those that were loaded; none of these whose content is still there under another name.
 */
async function formersOf(
  { path, replaces }: Watching,
  place: Place,
  parts: readonly Part[],
  others: readonly string[],
): Promise<(part: string) => string[]> {
  const open = [...(place.cut ?? []), ...(place.again ?? [])];
  // The same content under another name.
  const twins = (part: string) => open.filter((each) => each !== part && hashOf(each) === hashOf(part));
  const gone = [...(place.cut ?? []), ...(replaces ? [...(place.done ?? []), ...(place.again ?? [])] : [])];
  const here = new Set(parts.map(({ part }) => part.slice(0, HASH)));
  const byName = Map.groupBy(gone, nameOf);
  const changed = parts.some(({ part }) => byName.get(nameOf(part))?.some((former) => !here.has(former.slice(0, HASH))));
  if (!changed) return twins;
  // Nothing has changed in these since they were loaded; one that never was may hold what another brought.
  const known = new Map([...(place.done ?? [])].map((part) => [nameOf(part), part.slice(0, HASH)]));
  const folder = within(path, place, 'folder');
  for (const name of others) here.add(known.get(name) ?? (await hashOfFile(name, folder)) ?? '');
  const last = new Map(parts.map(({ part }) => [nameOf(part), part]));
  return (part) => {
    const members = new Set(parts.filter((each) => nameOf(each.part) === nameOf(part)).map((each) => placeOf(each.part)));
    const own = (former: string) => placeOf(former) === placeOf(part) || (last.get(nameOf(part)) === part && !members.has(placeOf(former)));
    return [...twins(part), ...(byName.get(nameOf(part)) ?? []).filter((former) => !here.has(former.slice(0, HASH)) && own(former))];
  };
}

async function hashOfFile(name: string, folder: string): Promise<string | null> {
  try {
    const real = realFile(name, folder);
    return real === null ? null : await contentHash(real);
  } catch {
    // Why it can't be read is told when it is its turn.
    return null;
  }
}

/** A file that has another name now is the same one. */
export const isSamePart = (a: string, b: string): boolean => a === b || (/^[0-9a-f]{32}(\/.*)? /.test(a) && hashOf(a) === hashOf(b));

/**
 * By the states of a table's parts in the order of their ends: the one that a merge brought a part with last; null where the next run brings
 * it, as another content has come under its name since.
 */
export function broughtWith<State extends { readonly source: string }>(whole: readonly State[]): (part: string) => State | null {
  const byPlace = new Map(whole.map((state) => [placeOf(state.source), state]));
  const byHash = new Map(whole.map((state) => [hashOf(state.source), state]));
  return (part) => {
    const last = byPlace.get(placeOf(part));
    return last !== undefined && hashOf(last.source) !== hashOf(part) ? null : (byHash.get(hashOf(part)) ?? null);
  };
}

/** Characters of a content's hash. */
const HASH = 32;
const hashOf = (part: string): string => part.slice(0, part.indexOf(' '));
const nameOf = (part: string): string => part.slice(part.indexOf(' ') + 1);
/** The name of a file, or of one in a zip, whatever its content. */
const placeOf = (part: string): string => part.slice(HASH);

async function open({ kind, options }: Watching, { file, constants }: Part): Promise<Opened> {
  if (file instanceof MillraceError) throw file;
  return openDataFile(file, kind ?? (file.member === null ? await kindOf(file.path) : await kindOfFile(file)), options, { constants });
}

/** The oldest first, so that of two rows with one key the newer file's stays. */
async function partsOf({ path, pattern, settle, belongs }: Watching, place: Place): Promise<{ parts: Part[]; others: string[] }> {
  const folder = within(path, place, 'folder');
  const before = Date.now() - settle;
  const found = await filesIn(folder, pattern, MOST_FILES);
  if (found.length > MOST_FILES) fail('TRANSFER_FILE', { file: path, format: 'folder', problem: `it has more than ${MOST_FILES} files` });
  const files = found
    .filter(({ name, mtimeMs }) => mtimeMs <= before && belongs(basename(name)) !== null && place.came?.has(name) !== false)
    .sort((a, b) => a.mtimeMs - b.mtimeMs || (a.name < b.name ? -1 : 1));
  const parts: Part[] = [];
  for (const { name } of files) parts.push(...(await partsIn(name, folder, belongs)));
  const names = new Set(files.map(({ name }) => name));
  return { parts, others: found.map(({ name }) => name).filter((name) => !names.has(name)) };
}

/** A file is one part, a zip one for each of its files. None where the file is gone by now: whoever brings files may take them away. */
async function partsIn(name: string, folder: string, belongs: Watching['belongs']): Promise<Part[]> {
  const real = realFile(name, folder);
  if (real === null) return [];
  try {
    const hash = await contentHash(real);
    return dataFiles(real, 'folder', name).map((file) => {
      const own = belongs(file.member === null ? basename(name) : basename(file.member.name)) ?? belongs(basename(name))!;
      const spelled = (member: string) => `${hash}${file.member === null ? '' : `/${member}`} ${name}`;
      const member = file.table.replaceAll('%', '%25').replaceAll(' ', '%20');
      return { part: spelled(member), former: spelled(file.table), file, ...own };
    });
  } catch (thrown) {
    if (isGone(thrown)) return [];
    const problem = (thrown as NodeJS.ErrnoException).code ?? '';
    const file =
      thrown instanceof MillraceError ? thrown : new MillraceError('TRANSFER_FILE', { file: name, format: 'folder', problem }, thrown);
    const part = `${createHash('sha256').update(name).digest('hex').slice(0, HASH)} ${name}`;
    return [{ part, former: part, file, ...belongs(basename(name))! }];
  }
}

/** Null where it is gone. Errors: TRANSFER_PATH where a link leads out of the folder. */
function realFile(name: string, folder: string): string | null {
  try {
    return within(name, { folder, anywhere: false }, 'folder');
  } catch (thrown) {
    if (isGone(asMillraceError(thrown).cause)) return null;
    throw thrown;
  }
}

const isGone = (thrown: unknown): boolean => (thrown as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';

/** The first half of its SHA-256. */
async function contentHash(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer);
  return hash.digest('hex').slice(0, HASH);
}
