import { join } from 'node:path';
import { type Bytes, MillraceError, type Position } from '#core';
import { type Files, syncFolder } from './files.ts';
import { HEADER, segmentName, writeHeader } from './group.ts';
import { type Recovered, recoverSegment, segmentsOf } from './recover.ts';

const FIRST_BUFFER = 256 * 1024;
const KEEP_BUFFER = 4 * 1024 * 1024;

/**
 * The writer of one topic's log. Lines are put into `buffer` at `used` (ask for `room` first), then `sync` makes the group
 * durable. A writer never retries a failed sync (the kernel may have dropped the pages and say "fine" the second time): the
 * segment is abandoned, `failures` grows, and whoever waits for that group must not acknowledge.
 */
export interface TopicWriter {
  readonly name: string;
  /** Readers never pass it. */
  readonly durable: Position;
  /** Records made durable since the process began, and found at start in the last segment. */
  readonly records: number;
  readonly failures: number;
  buffer: Buffer;
  used: number;
  /** Records in the group that is being filled. */
  count: number;
  /** The position of the next line. */
  position(): Position;
  /** Makes place for a line of at most `bytes`. */
  room(bytes: number): void;
  dirty(): boolean;
  /** Writes and syncs the group; false when it failed (`failure` says why). Blocks the loop for one write and one fdatasync. */
  sync(): boolean;
  readonly failure: MillraceError | null;
  close(): void;
}

export function openTopicWriter(
  files: Files,
  root: string,
  name: string,
  segmentBytes: Bytes,
  onRecovered: (topic: string, recovered: Recovered) => void,
): TopicWriter {
  const folder = join(root, name);
  files.mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Also when the folder was there: a process that was killed may have made it and not come to this line.
  syncFolder(files, root);
  let fd = -1;
  let first = 0;
  let durable = 0;
  /** Where the next group begins: at `durable`, or behind what an abandoned segment may still hold. */
  let next = 0;
  let records = 0;
  let failures = 0;
  let failure: MillraceError | null = null;

  const last = segmentsOf(files, folder).at(-1);
  if (last !== undefined) {
    const recovered = recoverSegment(files, folder, last, segmentName(last));
    syncFolder(files, folder);
    onRecovered(name, recovered);
    first = recovered.first;
    durable = recovered.end;
    next = recovered.end;
    records = recovered.records;
    fd = files.openSync(join(folder, segmentName(first)), 'r+');
  }

  /** Opened once more after its folder could not be synced, a segment is still empty. */
  function openSegment(position: Position): void {
    first = position;
    fd = files.openSync(join(folder, segmentName(first)), 'w', 0o600);
    syncFolder(files, folder);
  }

  /** The group's bytes may or may not be on disk: leave the segment for good and go on behind them. */
  function abandon(cause: unknown, attempted: number): void {
    try {
      files.ftruncateSync(fd, durable - first);
    } catch {
      // What stays there was never acknowledged; `readSlice` steps over it.
    }
    giveUp(cause);
    // One more than a whole group would take: so an abandoned segment is shorter than the way to the next one (`readSlice` knows it by that).
    next += attempted + 1;
  }

  function giveUp(cause: unknown): void {
    failures++;
    failure = new MillraceError('LOG_FAILED', { problem: cause instanceof Error ? cause.message : String(cause) }, cause);
    const given = fd;
    fd = -1;
    try {
      if (given >= 0) files.closeSync(given);
    } catch {
      // The descriptor is given up either way.
    }
  }

  const writer = {
    name,
    buffer: Buffer.allocUnsafe(FIRST_BUFFER),
    used: HEADER,
    count: 0,
    get durable() {
      return durable;
    },
    get records() {
      return records;
    },
    get failures() {
      return failures;
    },
    get failure() {
      return failure;
    },
    position: () => next + writer.used,
    dirty: () => writer.count > 0,
    room(bytes: number) {
      if (writer.used + bytes <= writer.buffer.length) return;
      const larger = Buffer.allocUnsafe(Math.max(writer.buffer.length * 2, writer.used + bytes));
      writer.buffer.copy(larger, 0, 0, writer.used);
      writer.buffer = larger;
    },
    sync(): boolean {
      const total = writer.used;
      const group = writer.buffer;
      const count = writer.count;
      writer.used = HEADER;
      writer.count = 0;
      if (group.length > KEEP_BUFFER) writer.buffer = Buffer.allocUnsafe(FIRST_BUFFER);
      try {
        if (fd < 0) openSegment(next);
      } catch (cause) {
        giveUp(cause);
        return false;
      }
      try {
        writeHeader(group, 0, next, total - HEADER, count);
        let written = 0;
        while (written < total) written += files.writeSync(fd, group, written, total - written, next - first + written);
        files.fdatasyncSync(fd);
      } catch (cause) {
        abandon(cause, total);
        return false;
      }
      next += total;
      durable = next;
      records += count;
      failure = null;
      if (durable - first >= segmentBytes) {
        files.closeSync(fd);
        fd = -1;
      }
      return true;
    },
    close() {
      if (fd >= 0) files.closeSync(fd);
      fd = -1;
    },
  };
  return writer;
}
