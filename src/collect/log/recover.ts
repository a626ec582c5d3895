import { join } from 'node:path';
import type { Bytes, Position } from '#core';
import type { Files } from './files.ts';
import { groupCrc, HEADER, readHeader, segmentFirst } from './group.ts';
import { readAt } from './segment.ts';

/** Where a topic's log ends after a crash: everything before `end` is whole; `cut` bytes after it were not and are gone. */
export interface Recovered {
  readonly first: Position;
  readonly end: Position;
  readonly records: number;
  readonly cut: number;
}

export function segmentsOf(files: Files, folder: string): Position[] {
  if (!files.existsSync(folder)) return [];
  const found = files
    .readdirSync(folder)
    .map(segmentFirst)
    .filter((first) => first !== null);
  // While a segment is being packed it stands there in both forms.
  return [...new Set(found)].sort((a, b) => a - b);
}

/** Read at once; a longer group is read whole. */
const WINDOW: Bytes = 1024 * 1024;

/**
 * Walks the groups of one segment and says where the last good one ends. After a power cut pages land out of order, so
 * the first bad group ends it, whatever follows. Cost: one read of the file, a window at a time.
 */
export function recoverSegment(files: Files, folder: string, first: Position, name: string): Recovered {
  const fd = files.openSync(join(folder, name), 'r+');
  try {
    const size = files.fstatSync(fd).size;
    let window: Buffer = Buffer.alloc(0);
    let windowAt = 0;
    const bytesAt = (offset: Bytes, length: Bytes): Buffer => {
      if (offset < windowAt || offset + length > windowAt + window.length) {
        window = readAt(files, fd, offset, Math.min(Math.max(length, WINDOW), size - offset));
        windowAt = offset;
      }
      return window.subarray(offset - windowAt, offset - windowAt + length);
    };
    let at = 0;
    let records = 0;
    for (;;) {
      const header = readHeader(bytesAt(at, HEADER), 0);
      if (header === null || at + HEADER + header.length > size) break;
      const lines = bytesAt(at + HEADER, header.length);
      if (groupCrc(first + at, header.records, lines) !== header.crc) break;
      at += HEADER + header.length;
      records += header.records;
    }
    if (at < size) files.ftruncateSync(fd, at);
    // What was found may be in the kernel's memory only, when it was the process that died and not the machine.
    files.fsyncSync(fd);
    return { first, end: first + at, records, cut: size - at };
  } finally {
    files.closeSync(fd);
  }
}
