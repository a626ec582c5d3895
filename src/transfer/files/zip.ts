/** Members of a zip file (APPNOTE.TXT 6.3.10: 4.3.7 local header, 4.3.12 central directory, 4.3.14–16 end records). */
import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { crc32, createInflateRaw } from 'node:zlib';
import { type Bytes, fail } from '#core';

export interface ZipMember {
  readonly name: string;
  readonly deflated: boolean;
  readonly packed: Bytes;
  readonly size: Bytes;
  readonly crc: number;
  /** Of its local header. */
  readonly at: number;
}

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const MEMBER = 0x02014b50;
const LOCAL = 0x04034b50;
const LARGEST_DIRECTORY: Bytes = 32 * 1024 * 1024;
const CHUNK: Bytes = 1024 * 1024;
/** Text does not pack better than about 1:200; what does, and is large, was made to fill memory or disk. */
const HIGHEST_RATIO = 250;
const HARMLESS: Bytes = 256 * 1024 * 1024;

/** Why so many bytes are not unpacked; null where they may be. */
export function bombProblem(size: Bytes, packed: Bytes): string | null {
  return size > HARMLESS && size > packed * HIGHEST_RATIO ? `it unpacks to more than ${HIGHEST_RATIO} times its size` : null;
}

function damaged(file: string, problem: string): never {
  return fail('TRANSFER_FILE', { file: basename(file), format: 'zip', problem });
}

/** Files, in the directory's order; folders and what macOS adds are left out. Errors: TRANSFER_FILE. */
export function zipMembers(file: string): ZipMember[] {
  const handle = openSync(file, 'r');
  try {
    const { at, size, count } = directoryOf(handle, file);
    if (size > LARGEST_DIRECTORY) damaged(file, 'its directory has more than 32 MiB');
    const all = membersOf(readAt(handle, file, at, size), count, file);
    boundedTogether(all, fstatSync(handle).size, file);
    return all.filter(({ name }) => !/\/$|(^|\/)(__MACOSX\/|\.)/.test(name));
  } finally {
    closeSync(handle);
  }
}

/** What one member may unpack to, thousands of the same bytes may not; no member unpacks to more than its directory says. */
function boundedTogether(members: readonly ZipMember[], total: Bytes, file: string): void {
  const sum = (of: 'packed' | 'size') => members.reduce((bytes, member) => bytes + member[of], 0);
  if (sum('packed') > total) damaged(file, 'its files lie over one another, or are cut off');
  const problem = bombProblem(sum('size'), total);
  if (problem !== null) damaged(file, problem);
}

function readAt(handle: number, file: string, at: number, size: Bytes): Buffer {
  const bytes = Buffer.alloc(size);
  if (at < 0 || readSync(handle, bytes, 0, size, at) !== size) damaged(file, 'it is cut off');
  return bytes;
}

function directoryOf(handle: number, file: string): { at: number; size: number; count: number } {
  const { size: total } = fstatSync(handle);
  const from = Math.max(0, total - 65_557);
  const tail = readAt(handle, file, from, total - from);
  let end = tail.length - 22;
  while (end >= 0 && tail.readUInt32LE(end) !== END) end--;
  if (end < 0) damaged(file, 'it has no directory at its end; was it cut off?');
  const own = { count: tail.readUInt16LE(end + 10), size: tail.readUInt32LE(end + 12), at: tail.readUInt32LE(end + 16) };
  if (own.at !== 0xffffffff && own.size !== 0xffffffff && own.count !== 0xffff) return own;
  if (end < 20 || tail.readUInt32LE(end - 20) !== LOCATOR_64) return own;
  const large = readAt(handle, file, Number(tail.readBigUInt64LE(end - 12)), 56);
  if (large.readUInt32LE(0) !== END_64) damaged(file, 'its directory is damaged');
  return {
    count: Number(large.readBigUInt64LE(32)),
    size: Number(large.readBigUInt64LE(40)),
    at: Number(large.readBigUInt64LE(48)),
  };
}

function membersOf(directory: Buffer, count: number, file: string): ZipMember[] {
  const members: ZipMember[] = [];
  for (let at = 0; members.length < count; ) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== MEMBER) damaged(file, 'its directory is damaged');
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => directory.readUInt16LE(at + offset)) as [
      number,
      number,
      number,
    ];
    const flags = directory.readUInt16LE(at + 8);
    const method = directory.readUInt16LE(at + 10);
    const next = at + 46 + nameLength + extraLength + commentLength;
    if (next > directory.length) damaged(file, 'its directory is damaged');
    const name = directory.toString('utf8', at + 46, at + 46 + nameLength);
    if ((flags & 1) !== 0) damaged(file, `"${name.slice(0, 100)}" is encrypted`);
    if (method !== 0 && method !== 8) damaged(file, `"${name.slice(0, 100)}" is packed by the method ${method}; only deflate is read`);
    const sizes = sizesOf(directory, at, at + 46 + nameLength, at + 46 + nameLength + extraLength);
    members.push({ name, deflated: method === 8, crc: directory.readUInt32LE(at + 16), ...sizes });
    at = next;
  }
  return members;
}

/** 32-bit fields that are full stand in the zip64 extra field, in this order. */
function sizesOf(directory: Buffer, at: number, extra: number, end: number): { size: number; packed: number; at: number } {
  const found = { size: directory.readUInt32LE(at + 24), packed: directory.readUInt32LE(at + 20), at: directory.readUInt32LE(at + 42) };
  for (let k = extra; k + 4 <= end; k += 4 + directory.readUInt16LE(k + 2)) {
    if (directory.readUInt16LE(k) !== 1) continue;
    let from = k + 4;
    for (const field of ['size', 'packed', 'at'] as const) {
      if (found[field] !== 0xffffffff || from + 8 > end) continue;
      found[field] = Number(directory.readBigUInt64LE(from));
      from += 8;
    }
  }
  return found;
}

/** The member's bytes; its length and CRC are checked at the end. Errors: TRANSFER_FILE. */
export async function* memberBytes(file: string, member: ZipMember): AsyncGenerator<Buffer> {
  const handle = openSync(file, 'r');
  let start: number;
  try {
    const local = readAt(handle, file, member.at, 30);
    if (local.readUInt32LE(0) !== LOCAL) damaged(file, `"${member.name}" is not where the directory says`);
    start = member.at + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
  } finally {
    closeSync(handle);
  }
  if (member.packed === 0) return;
  const plain = createReadStream(file, { start, end: start + member.packed - 1, highWaterMark: CHUNK });
  const unpacked = member.deflated ? plain.pipe(createInflateRaw({ chunkSize: CHUNK })) : plain;
  plain.on('error', (error) => unpacked.destroy(error));
  let size = 0;
  let crc = 0;
  try {
    for await (const chunk of unpacked as AsyncIterable<Buffer>) {
      size += chunk.length;
      crc = crc32(chunk, crc);
      if (size > member.size) damaged(file, `"${member.name}" is larger than its directory says`);
      yield chunk;
    }
  } finally {
    plain.destroy();
  }
  if (size !== member.size || crc !== member.crc) damaged(file, `"${member.name}" does not have the checksum that its directory says`);
}
