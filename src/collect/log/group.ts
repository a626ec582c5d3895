/**
 * The log on disk. A topic is a folder of segments, `<first position, 16 digits>.log`; a segment is a row of groups; a group
 * is a header line and the lines of its records:
 *
 *     #<length, 10 digits> <crc32, 8 hex> <records, 8 digits>\n
 *     position ⇥ received µs ⇥ time µs ⇥ id ⇥ flags ⇥ exact ⇥ {client's bytes}\n …
 *
 * A position is the byte offset in the topic; a group stands in the file at position − first position. The CRC covers the
 * group's position, its number of records and its lines, so a block that belongs elsewhere is not taken for a good one.
 */
import { crc32 } from 'node:zlib';
import type { Position } from '#core';

export const HEADER = 30;
const NEWLINE = 0x0a;

/** Flags of a record, added up. */
export const Flag = { unknownFields: 1, exact: 2, idFromKey: 4, replay: 8 } as const;

export function groupCrc(position: Position, records: number, lines: Uint8Array): number {
  return crc32(lines, crc32(`${position} ${records}`));
}

export function writeHeader(buffer: Buffer, at: number, position: Position, length: number, records: number): void {
  const crc = groupCrc(position, records, buffer.subarray(at + HEADER, at + HEADER + length));
  buffer.write(
    `#${String(length).padStart(10, '0')} ${crc.toString(16).padStart(8, '0')} ${String(records).padStart(8, '0')}\n`,
    at,
    HEADER,
    'latin1',
  );
}

export interface GroupHeader {
  readonly length: number;
  readonly crc: number;
  readonly records: number;
}

/** The header at `at`, or null when there is none (torn, empty or foreign bytes). */
export function readHeader(buffer: Buffer, at: number): GroupHeader | null {
  if (at + HEADER > buffer.length || buffer[at] !== 0x23 || buffer[at + HEADER - 1] !== NEWLINE) return null;
  const match = /^#(\d{10}) ([0-9a-f]{8}) (\d{8})\n$/.exec(buffer.toString('latin1', at, at + HEADER));
  if (match === null) return null;
  return { length: Number(match[1]), crc: Number.parseInt(match[2]!, 16), records: Number(match[3]) };
}

export function segmentName(first: Position): string {
  return `${String(first).padStart(16, '0')}.log`;
}

/** A segment that was packed (zstd) after it was closed and delivered. */
export function packedName(first: Position): string {
  return `${segmentName(first)}.zst`;
}

/** The first position of a segment from its file name, or null when the file is none of ours. */
export function segmentFirst(name: string): Position | null {
  const match = /^(\d{16})\.log(\.zst)?$/.exec(name);
  return match === null ? null : Number(match[1]);
}
