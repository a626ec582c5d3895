import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import type { Bytes, Position } from '#core';
import type { Files } from './files.ts';
import { packedName, segmentName } from './group.ts';

/** A segment's bytes, packed or not. */
export interface OpenSegment {
  readonly size: Bytes;
  readAt(offset: Bytes, length: Bytes): Buffer;
  close(): void;
}

/** The last packed segment that was read: slices of one follow each other. */
let unpacked: { readonly path: string; readonly bytes: Buffer } | null = null;

/** A packed segment is unpacked whole (it has at most 64 MiB and one group) and kept until another one is read. */
export function openSegment(files: Files, folder: string, first: Position): OpenSegment {
  const path = join(folder, segmentName(first));
  const packed = join(folder, packedName(first));
  if (files.existsSync(path) || !files.existsSync(packed)) return openPlain(files, path);
  if (unpacked?.path !== packed) unpacked = { path: packed, bytes: zstdDecompressSync(readWhole(files, packed)) };
  const { bytes } = unpacked;
  return { size: bytes.length, readAt: (offset, length) => bytes.subarray(offset, offset + length), close: () => {} };
}

function openPlain(files: Files, path: string): OpenSegment {
  const fd = files.openSync(path, 'r');
  return {
    size: files.fstatSync(fd).size,
    readAt: (offset, length) => readAt(files, fd, offset, length),
    close: () => files.closeSync(fd),
  };
}

function readWhole(files: Files, path: string): Buffer {
  const segment = openPlain(files, path);
  try {
    return segment.readAt(0, segment.size);
  } finally {
    segment.close();
  }
}

export function readAt(files: Files, fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let got = 0;
  while (got < length) {
    const n = files.readSync(fd, bytes, got, length - got, offset + got);
    if (n === 0) break;
    got += n;
  }
  return bytes.subarray(0, got);
}
