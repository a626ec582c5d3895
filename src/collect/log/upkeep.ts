/** What happens to segments after they are delivered: packed soon, deleted when nobody may want to read them again. */
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { type Bytes, fail, type Millis, type Position } from '#core';
import { realFiles, syncFolder } from './files.ts';
import { packedName, segmentName } from './group.ts';
import { segmentsOf } from './recover.ts';

export interface Upkept {
  readonly packed: number;
  readonly deleted: number;
  readonly saved: Bytes;
}

/**
 * Packs (zstd) the closed segments of a topic that are wholly in the warehouse, and deletes those that were closed longer ago than
 * `keep`. The last segment, which is being written, is left alone. Stopped at any moment, it leaves a segment whole in one form or both.
 */
export async function keepUp(root: string, topic: string, delivered: Position, keep: Millis, now: Millis = Date.now()): Promise<Upkept> {
  const folder = join(root, topic);
  const segments = segmentsOf(realFiles, folder);
  const upkept = { packed: 0, deleted: 0, saved: 0 };
  for (const [k, first] of segments.slice(0, -1).entries()) {
    if (segments[k + 1]! > delivered) break;
    const plain = join(folder, segmentName(first));
    const packed = join(folder, packedName(first));
    const isPlain = realFiles.existsSync(plain);
    const { mtimeMs, size } = await stat(isPlain ? plain : packed);
    if (now - mtimeMs > keep) {
      await rm(plain, { force: true });
      await rm(packed, { force: true });
      upkept.deleted++;
      upkept.saved += size;
    } else if (isPlain) {
      upkept.saved += size - (await packSegment(plain, packed));
      upkept.packed++;
    }
  }
  if (upkept.packed + upkept.deleted > 0) syncFolder(realFiles, folder);
  return upkept;
}

/** The plain file goes only after the packed one is durable and unpacks to the same bytes. Piece by piece: a segment has 64 MB and more. */
async function packSegment(plain: string, packed: string): Promise<Bytes> {
  const { atime, mtime } = await stat(plain);
  const beside = `${packed}.new`;
  const [before, after] = [newSum(), newSum()];
  const file = await open(beside, 'w', 0o600);
  try {
    await pipeline(createReadStream(plain), before.through, createZstdCompress(), createWriteStream('', { fd: file.fd, autoClose: false }));
    await pipeline(createReadStream(beside), createZstdDecompress(), after.through, nowhere());
    if (before.sum() !== after.sum()) fail('LOG_CORRUPT', { file: plain, at: 0, problem: 'it does not survive packing' });
    await file.utimes(atime, mtime);
    await file.sync();
  } finally {
    await file.close();
  }
  const { size } = await stat(beside);
  await rename(beside, packed);
  syncFolder(realFiles, join(packed, '..'));
  await rm(plain);
  return size;
}

/** Length and checksum of what goes through. */
function newSum(): { through: (source: AsyncIterable<Buffer>) => AsyncIterable<Buffer>; sum(): string } {
  let length = 0;
  let sum = 0;
  return {
    async *through(source) {
      for await (const piece of source) {
        length += piece.length;
        sum = crc32(piece, sum);
        yield piece;
      }
    },
    sum: () => `${length} ${sum}`,
  };
}

const nowhere = (): Writable => new Writable({ write: (_piece, _encoding, done) => done() });
