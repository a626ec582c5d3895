import { join } from 'node:path';
import type { Position } from '#core';
import type { Files } from './files.ts';
import { groupCrc, HEADER, readHeader, segmentFirst } from './group.ts';

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

/**
 * Walks the groups of one segment and says where the last good one ends. After a power cut pages land out of order, so
 * the first bad group ends it, whatever follows. Cost: one read of the file (segments have at most 64 MiB and one group).
 */
export function recoverSegment(files: Files, folder: string, first: Position, name: string): Recovered {
  const fd = files.openSync(join(folder, name), 'r+');
  try {
    const size = files.fstatSync(fd).size;
    const bytes = Buffer.allocUnsafe(size);
    let got = 0;
    while (got < size) {
      const n = files.readSync(fd, bytes, got, size - got, got);
      if (n === 0) break;
      got += n;
    }
    let at = 0;
    let records = 0;
    for (;;) {
      const header = readHeader(bytes.subarray(0, got), at);
      if (header === null || at + HEADER + header.length > got) break;
      if (groupCrc(first + at, header.records, bytes.subarray(at + HEADER, at + HEADER + header.length)) !== header.crc) break;
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
