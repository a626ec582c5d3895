import { join } from 'node:path';
import { type Bytes, MillraceError, type Position } from '#core';
import { type Files, syncFolder } from './files.ts';
import { HEADER, segmentName, writeHeader } from './group.ts';
import { type Recovered, recoverSegment, segmentsOf } from './recover.ts';

const FIRST_BUFFER = 256 * 1024;
const KEEP_BUFFER = 4 * 1024 * 1024;

/**
 * The writer of one topic's log. Lines are put into `buffer` at `used` (ask for `room` first), then `sync` makes the group
 * durable while the next one fills. A writer never retries a failed sync (the kernel may have dropped the pages and say "fine"
 * the second time): the segment is abandoned with what has been filled since, whose positions stand behind what was lost;
 * `failures` grows, and whoever waits for either group must not acknowledge.
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
  /** Writes and syncs the group in the thread pool; `done` is called in a later turn, whether it is durable or has failed. One at a time. */
  sync(done: () => void): void;
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
  /** Where the group that fills begins: behind the one that is being synced, or behind what an abandoned segment may still hold. */
  let next = 0;
  let records = 0;
  let failures = 0;
  let failure: MillraceError | null = null;
  /** The buffer of the group that was synced last, for the one after the next. */
  let spare: Buffer | null = null;

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
  function abandon(cause: unknown, end: Position): void {
    try {
      files.ftruncateSync(fd, durable - first);
    } catch {
      // What stays there was never acknowledged; `readSlice` steps over it.
    }
    // One more than a whole group would take: so an abandoned segment is shorter than the way to the next one (`readSlice` knows it by that).
    giveUp(cause, end + 1);
  }

  function giveUp(cause: unknown, goOnAt: Position): void {
    failures++;
    failure = new MillraceError('LOG_FAILED', { problem: cause instanceof Error ? cause.message : String(cause) }, cause);
    next = goOnAt;
    writer.used = HEADER;
    writer.count = 0;
    const given = fd;
    fd = -1;
    try {
      if (given >= 0) files.closeSync(given);
    } catch {
      // The descriptor is given up either way.
    }
  }

  function isDurable(group: Buffer, end: Position, count: number): void {
    durable = end;
    records += count;
    failure = null;
    if (group.length <= KEEP_BUFFER) spare = group;
    if (durable - first < segmentBytes) return;
    files.closeSync(fd);
    fd = -1;
  }

  const writer = {
    name,
    buffer: Buffer.allocUnsafe(FIRST_BUFFER) as Buffer,
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
    sync(done: () => void): void {
      const group = writer.buffer;
      const [from, end, total, count] = [next, next + writer.used, writer.used, writer.count];
      writer.buffer = spare ?? Buffer.allocUnsafe(FIRST_BUFFER);
      spare = null;
      writer.used = HEADER;
      writer.count = 0;
      next = end;
      try {
        if (fd < 0) openSegment(from);
      } catch (cause) {
        // From a later turn on, as all failures: those who wait for the group before this one must not take it for theirs.
        setImmediate(() => {
          giveUp(cause, from);
          done();
        });
        return;
      }
      writeHeader(group, 0, from, total - HEADER, count);
      const ended = (cause: Error | null) => {
        if (cause === null) isDurable(group, end, count);
        else abandon(cause, end);
        done();
      };
      const write = (at: number): void =>
        files.write(fd, group, at, total - at, from - first + at, (cause, written) => {
          if (cause !== null) ended(cause);
          else if (at + written < total) write(at + written);
          else files.fdatasync(fd, ended);
        });
      write(0);
    },
    close() {
      if (fd >= 0) files.closeSync(fd);
      fd = -1;
    },
  };
  return writer;
}
