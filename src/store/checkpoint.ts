/**
 * Checkpoints beside deliveries. DuckDB (1.5) lets others write while it checkpoints where somebody still reads an older state; else the
 * next write waits for all of it (0.2 to 1.3 s at 16 MB of write-ahead log). So before the commit that makes one due, a connection begins to
 * read, and reads nothing. What it costs: deleted rows stay in the file. Writes other than deliveries, which are what deletes, are followed
 * by a checkpoint that clears them, and that the next write waits for.
 */
import { statSync } from 'node:fs';
import type { DuckDBInstance } from '@duckdb/node-api';
import type { Bytes, Millis } from '#core';

/** Of write-ahead log. */
const DUE: Bytes = 16_000_000;
/** A checkpoint rewrites the end of every table that it touches: where that takes long, for there are many, the next one waits until this one was a fifth of the time, or until so many times as much is due. */
const PRESSING = 2;
const PAUSES = 4;
/** Beyond it DuckDB does it by itself, within a commit: only where ours fail. So much is replayed within the time that a start may take. */
export const OVERDUE: Bytes = 48_000_000;

export interface Checkpoints {
  /** Before the commit of a write; `appends` if it only added rows. */
  before(appends: boolean): Promise<void>;
  /** After it. A checkpoint that was due has begun, and goes on by itself. */
  after(): void;
  /** Where the commit failed. */
  undone(): Promise<void>;
  /** Of write-ahead log that the last checkpoint could not take up, all of which a start after a kill replays; none where it did, or is about to. */
  heldUp(): Bytes;
  /** Resolves when none is under way. */
  close(): Promise<void>;
}

export async function openCheckpoints(
  instance: DuckDBInstance,
  wal: string,
  onError: (cause: unknown) => void,
  due: Bytes = DUE,
  now: () => Millis = () => performance.now(),
): Promise<Checkpoints> {
  const [worker, pin] = [await instance.connect(), await instance.connect()];
  let running: Promise<void> | null = null;
  let failed = false;
  let next: 'none' | 'beside' | 'alone' = 'none';
  /** When the next one may begin, by `now`. */
  let rested = 0;

  const release = async (): Promise<void> => {
    if (next === 'beside') await pin.run('ROLLBACK');
    next = 'none';
  };

  /** One that fails (a write was quicker to begin, or a reader is in the way) is due again at the next commit: `onError` decides what else it means. */
  async function checkpoint(): Promise<void> {
    const began = now();
    await worker.run('CHECKPOINT').then(
      () => {
        failed = false;
      },
      (cause: unknown) => {
        failed = true;
        onError(cause);
      },
    );
    const ended = now();
    rested = ended + PAUSES * (ended - began);
    await release();
  }

  return {
    async before(appends) {
      if (running !== null) return;
      const size = sizeOf(wal);
      if (size < due || (now() < rested && size < PRESSING * due)) return;
      if (appends) await pin.run('BEGIN TRANSACTION; SELECT 1 FROM millrace.batch LIMIT 1');
      next = appends ? 'beside' : 'alone';
    },
    after() {
      if (next === 'none' || running !== null) return;
      running = checkpoint().finally(() => {
        running = null;
      });
    },
    async undone() {
      if (running === null) await release();
    },
    heldUp: () => (failed ? sizeOf(wal) : 0),
    async close() {
      await running;
      worker.closeSync();
      pin.closeSync();
    },
  };
}

function sizeOf(file: string): Bytes {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
