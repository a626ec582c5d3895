/** Files as the sources read them: found inside their folder, unpacked, and never larger in memory than a few chunks. */
import { closeSync, createReadStream, mkdtempSync, openSync, readSync, realpathSync, rmSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, isAbsolute, join, relative, resolve } from 'node:path';
import { createGunzip } from 'node:zlib';
import { type Bytes, fail, MillraceError } from '#core';
import type { Place } from '../source.ts';
import { bombProblem, memberBytes, type ZipMember, zipMembers } from './zip.ts';

/** A file, or one of a zip. */
export interface DataFile {
  readonly path: string;
  /** As people call it. */
  readonly name: string;
  readonly table: string;
  /** For messages and for the entry's options (the format). */
  readonly format: string;
  readonly member: ZipMember | null;
}

const CHUNK: Bytes = 1024 * 1024;

/** The real path of a regular file. Errors: TRANSFER_FILE, TRANSFER_PATH. */
export function placed(path: string, place: Place, format: string): string {
  const real = within(path, place, format);
  if (!statSync(real).isFile()) fail('TRANSFER_FILE', { file: path, format, problem: 'it is not a regular file' });
  return real;
}

/** A real path inside the place's folder: links are followed before the decision. Errors: TRANSFER_FILE, TRANSFER_PATH. */
export function within(path: string, { folder, anywhere }: Place, format: string): string {
  let real: string;
  try {
    real = realpathSync(resolve(folder, path));
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    return fail(
      'TRANSFER_FILE',
      { file: path, format, problem: code === undefined || code === 'ENOENT' ? 'it is not there' : code },
      thrown,
    );
  }
  const inside = relative(realpathSync(folder), real);
  // What Millrace keeps (tokens, the warehouse) is no source.
  if (!anywhere && (inside.startsWith('..') || isAbsolute(inside) || /^\.millrace([\\/]|$)/.test(inside)))
    fail('TRANSFER_PATH', { file: path });
  return real;
}

/** The first bytes of a file, as they lie there. */
export function headOf(path: string, size: Bytes): Buffer {
  const head = Buffer.alloc(size);
  const handle = openSync(path, 'r');
  try {
    return head.subarray(0, readSync(handle, head));
  } finally {
    closeSync(handle);
  }
}

/** A zip begins with a member, or with its end where it has none. */
export const isZip = (head: Buffer): boolean => head.length >= 4 && [0x04034b50, 0x06054b50].includes(head.readUInt32LE(0));
const isGzip = (head: Buffer): boolean => head[0] === 0x1f && head[1] === 0x8b;

/** The file itself, or each file of a zip: each is a table. `name` is what people call it. Errors: TRANSFER_FILE. */
export function dataFiles(path: string, format: string, name = basename(path)): DataFile[] {
  if (!isZip(headOf(path, 4))) return [{ path, name, table: stemOf(name), format, member: null }];
  const members = zipMembers(path);
  if (members.length === 0) fail('TRANSFER_FILE', { file: name, format, problem: 'the zip holds no file' });
  return members.map((member) => ({ path, name: `${name}: ${member.name}`, table: stemOf(member.name), format, member }));
}

function stemOf(name: string): string {
  return name.replace(/(\.\w+)?\.(gz|zip)$|\.\w+$/i, '') || name;
}

/** Unpacked. Errors: TRANSFER_FILE. */
export async function* bytesOf({ path, name, format, member }: DataFile): AsyncGenerator<Buffer> {
  const packed = member?.packed ?? statSync(path).size;
  let size = 0;
  try {
    for await (const chunk of member === null ? plainBytes(path) : memberBytes(path, member)) {
      size += chunk.length;
      const problem = bombProblem(size, packed);
      if (problem !== null) fail('TRANSFER_FILE', { file: name, format, problem });
      yield chunk;
    }
  } catch (thrown) {
    if (thrown instanceof MillraceError) throw thrown;
    fail('TRANSFER_FILE', { file: name, format, problem: (thrown as Error).message }, thrown);
  }
}

async function* plainBytes(path: string): AsyncGenerator<Buffer> {
  const plain = createReadStream(path, { highWaterMark: CHUNK });
  const unpacked = isGzip(headOf(path, 2)) ? plain.pipe(createGunzip({ chunkSize: CHUNK })) : plain;
  plain.on('error', (error) => unpacked.destroy(error));
  try {
    yield* unpacked as AsyncIterable<Buffer>;
  } finally {
    plain.destroy();
  }
}

/** The file unpacked on the disk, for readers that jump about in it. */
export async function onDisk(file: DataFile): Promise<{ path: string; remove(): void }> {
  if (file.member === null && !isGzip(headOf(file.path, 2))) return { path: file.path, remove() {} };
  const folder = mkdtempSync(join(tmpdir(), 'millrace-file-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const path = join(folder, 'file');
    await writeFile(path, bytesOf(file), { mode: 0o600 });
    return { path, remove };
  } catch (thrown) {
    remove();
    throw thrown;
  }
}
