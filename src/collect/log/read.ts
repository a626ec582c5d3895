import { join } from 'node:path';
import { fail, type Position } from '#core';
import { type Files, realFiles } from './files.ts';
import { type GroupHeader, groupCrc, HEADER, readHeader, segmentName } from './group.ts';
import { segmentsOf } from './recover.ts';
import { openSegment } from './segment.ts';

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
 * when there is nothing. A gap that an abandoned segment left is stepped over; a slice of no lines says that only a gap was there.
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
  for (
    let k = Math.max(
      0,
      segments.findLastIndex((first) => first <= from),
    );
    k < segments.length;
    k++
  ) {
    const first = segments[k]!;
    // Nothing is durable there yet: a power cut may take that segment away, and other records would stand at these positions.
    if (first >= durable) return { from, to: durable, lines: [], records: 0 };
    at = Math.max(at, first);
    const slice = readSegment(files, folder, { first, next: segments[k + 1] ?? null }, at, durable, maxBytes);
    if (slice !== null) return { ...slice, from };
  }
  if (at < durable) fail('LOG_CORRUPT', { file: topic, at, problem: 'no whole group stands there' });
  return { from, to: at, lines: [], records: 0 };
}

interface Segment {
  readonly first: Position;
  /** Where the next one begins; null for the last. */
  readonly next: Position | null;
}

/** Null when no group begins at `at` or after it in the segment. */
function readSegment(files: Files, folder: string, segment: Segment, at: Position, durable: Position, maxBytes: number): Slice | null {
  const name = segmentName(segment.first);
  const file = openSegment(files, folder, segment.first);
  try {
    const whole = file.size;
    // The group whose sync failed may stand at its end, whole or torn. Its sender was told that it is not there.
    const abandoned = segment.next !== null && segment.first + whole < segment.next;
    const size = Math.min(whole, durable - segment.first);
    const offset = at - segment.first;
    if (offset >= size) return null;
    let bytes = file.readAt(offset, Math.min(Math.max(maxBytes, HEADER), size - offset));
    const head = readHeader(bytes, 0);
    if (head !== null && HEADER + head.length > bytes.length) bytes = file.readAt(offset, Math.min(HEADER + head.length, size - offset));
    const lines: Buffer[] = [];
    let records = 0;
    let k = 0;
    for (;;) {
      const header = readHeader(bytes, k);
      if (header === null || k + HEADER + header.length > bytes.length) break;
      const payload = bytes.subarray(k + HEADER, k + HEADER + header.length);
      if (groupCrc(at + k, header.records, payload) !== header.crc) break;
      if (abandoned && at + k + HEADER + header.length === segment.next! - 1) break;
      lines.push(payload);
      records += header.records;
      k += HEADER + header.length;
    }
    if (k > 0) return { from: at, to: at + k, lines, records };
    return abandoned ? null : fail('LOG_CORRUPT', { file: name, at, problem: problemOf(head, bytes) });
  } finally {
    file.close();
  }
}

function problemOf(head: GroupHeader | null, bytes: Buffer): string {
  if (head === null) return 'a group’s header is not there';
  return HEADER + head.length > bytes.length ? 'a group is cut' : 'the checksum differs';
}
