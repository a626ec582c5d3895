/**
 * Blocks of which half was written when the process was killed, or the power went.
 *
 * DuckDB (1.5) gathers its metadata in blocks of 64 parts, and a checkpoint writes such a block again in its place while the checkpoint
 * before it still needs others of its parts. Those are the same before and after, byte for byte; but one checksum stands over the whole
 * block, and Linux ends a write between two pages for a signal that kills. Then the checksum is that of neither, and the file could never be
 * opened again, or a table in it never be read. All that was needed is there: the block gets the checksum of what stands in it.
 *
 * Only metadata is written in place, and only by a checkpoint, during which there is a write-ahead log. So any other block whose checksum is
 * wrong, and any where there is no log, is broken in another way, and stays as it is.
 */
import { fdatasyncSync, readSync, statSync, writeSync } from 'node:fs';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Bytes } from '#core';

export interface Mended {
  /** Where in the file the block begins, with its checksum. */
  readonly at: Bytes;
  readonly before: bigint;
  readonly after: bigint;
}

/** The headers; the first block begins behind them. */
const HEADERS: Bytes = 3 * 4096;
const LOGS = ['.wal', '.wal.checkpoint', '.wal.recovery'];

/** Was it written to since a checkpoint that is whole? */
export function hasLog(file: string): boolean {
  return LOGS.some((ending) => (statSync(file + ending, { throwIfNoEntry: false })?.size ?? 0) > 0);
}

/** The block that could not be read, in the engine's words; null where it was something else. */
export function tornIn(cause: unknown): Mended | null {
  const [, after, before, at] =
    /computed checksum (\d+) does not match stored checksum (\d+) in block at location (\d+)/.exec(String(cause)) ?? [];
  return at === undefined ? null : { at: Number(at), before: BigInt(before!), after: BigInt(after!) };
}

/** Writes the checksums that blocks are to have, or those that they had. */
export function writeChecksums(descriptor: number, blocks: readonly Mended[], which: 'before' | 'after'): void {
  const sum = Buffer.alloc(8);
  for (const block of blocks) {
    sum.writeBigUInt64LE(block[which]);
    writeSync(descriptor, sum, 0, sum.length, block.at);
  }
  if (blocks.length > 0) fdatasyncSync(descriptor);
}

const METADATA = `SELECT block_id, block_size FROM pragma_metadata_info(), pragma_database_size() WHERE database_name = current_database()`;

/** Where a database has its metadata, and which of these blocks are torn. It is open, in use (USE), and its file is `descriptor`'s. 0.1 ms of computing for each. */
export async function tornBlocks(
  connection: DuckDBConnection,
  descriptor: number,
): Promise<{ readonly metadata: ReadonlySet<Bytes>; readonly torn: readonly Mended[] }> {
  const reader = await connection.runAndReadAll(METADATA);
  const metadata = new Set<Bytes>();
  const torn: Mended[] = [];
  for (const [id, size] of reader.getRows()) {
    const at = HEADERS + Number(id) * Number(size);
    const block = Buffer.alloc(Number(size));
    metadata.add(at);
    if (readSync(descriptor, block, 0, block.length, at) < block.length) continue;
    const [before, after] = [block.readBigUInt64LE(0), checksumOf(block)];
    if (before !== after) torn.push({ at, before, after });
  }
  return { metadata, torn };
}

/** DuckDB's factor (src/common/checksum.cpp) is 0xbf58476d1ce4e5b9. */
const [UPPER, LOWER, LOWER_HIGH, LOWER_LOW] = [0xbf58_476d, 0x1ce4_e5b9, 0x1ce4, 0xe5b9] as const;

/** What stands, or should stand, in a block's first eight bytes: 5381, and by exclusive or each later word times the factor, in 64 bits. */
export function checksumOf(block: Buffer): bigint {
  const words = new Uint32Array(block.buffer, block.byteOffset, block.length / 4);
  let low = 5381;
  let high = 0;
  for (let k = 2; k < words.length; k += 2) {
    const [a, b] = [words[k]!, words[k + 1]!];
    // The upper half of a times the factor's lower one: all below 2^53.
    const carried = Math.floor((a * LOWER_HIGH + Math.floor((a * LOWER_LOW) / 0x1_0000)) / 0x1_0000);
    low ^= Math.imul(a, LOWER);
    high ^= (Math.imul(a, UPPER) + Math.imul(b, LOWER) + carried) | 0;
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
