import { join } from 'node:path';
import { fail, type Position } from '#core';
import { type Files, realFiles } from './files.ts';
import { groupCrc, HEADER, readHeader, segmentName } from './group.ts';
import { segmentsOf } from './recover.ts';

/** A run of whole groups of one topic: the lines without the headers. */
export interface Slice {
  readonly from: Position;
  /** Where the next slice begins. Always a group's end. */
  readonly to: Position;
  readonly lines: readonly Buffer[];
  readonly records: number;
}

/**
 * Reads whole groups from `from` up to the durable watermark, about `maxBytes` of them (one group at least). Returns null
 * when there is nothing. A gap that an abandoned segment left is stepped over.
 * Errors: LOG_CORRUPT when a group below the watermark is not whole.
 */
export function readSlice(
  root: string,
  topic: string,
  from: Position,
  durable: Position,
  maxBytes: number,
  files: Files = realFiles,
): Slice | null {
  if (from >= durable) return null;
  const folder = join(root, topic);
  const segments = segmentsOf(files, folder);
  let at = from;
  for (let k = segments.findLastIndex((first) => first <= from); k < segments.length; k++) {
    const first = k < 0 ? undefined : segments[k];
    if (first === undefined) continue;
    at = Math.max(at, first);
    const slice = readSegment(files, folder, first, at, durable, maxBytes);
    if (slice !== null) return { ...slice, from };
    if (k + 1 === segments.length) break;
  }
  return at === from && segments.length > 0
    ? fail('LOG_CORRUPT', { file: `${topic}`, at: from, problem: 'no whole group stands there' })
    : null;
}

function readSegment(files: Files, folder: string, first: Position, at: Position, durable: Position, maxBytes: number): Slice | null {
  const name = segmentName(first);
  const fd = files.openSync(join(folder, name), 'r');
  try {
    const size = Math.min(files.fstatSync(fd).size, durable - first);
    const offset = at - first;
    if (offset + HEADER > size) return null;
    let bytes = readAt(files, fd, offset, Math.min(maxBytes, size - offset));
    const head = readHeader(bytes, 0);
    if (head === null) return fail('LOG_CORRUPT', { file: name, at, problem: 'a group’s header is not there' });
    if (HEADER + head.length > bytes.length) bytes = readAt(files, fd, offset, HEADER + head.length);
    const lines: Buffer[] = [];
    let records = 0;
    let k = 0;
    for (;;) {
      const header = readHeader(bytes, k);
      if (header === null || k + HEADER + header.length > bytes.length) break;
      const payload = bytes.subarray(k + HEADER, k + HEADER + header.length);
      if (groupCrc(at + k, payload) !== header.crc) return fail('LOG_CORRUPT', { file: name, at: at + k, problem: 'the checksum differs' });
      lines.push(payload);
      records += header.records;
      k += HEADER + header.length;
    }
    if (k === 0) return fail('LOG_CORRUPT', { file: name, at, problem: 'a group is cut' });
    return { from: at, to: at + k, lines, records };
  } finally {
    files.closeSync(fd);
  }
}

function readAt(files: Files, fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let got = 0;
  while (got < length) {
    const n = files.readSync(fd, bytes, got, length - got, offset + got);
    if (n === 0) break;
    got += n;
  }
  return bytes.subarray(0, got);
}
