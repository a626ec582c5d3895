/**
 * Checkpoints beside deliveries. DuckDB (1.5) lets others write while it checkpoints where somebody still reads an older state; else the
 * next write waits for all of it (0.2 to 1.3 s at 16 MB of write-ahead log). So before the commit that makes one due, a connection begins to
 * read, and reads nothing. What it costs: deleted rows stay in the file. Writes other than deliveries, which are what deletes, are followed
 * by a checkpoint that clears them, and that the next write waits for.
 *
 * Each column of each table that rows were appended to holds two blocks in memory until the next checkpoint, however few the rows: of many
 * topics that is more than there is, long before their write-ahead log is long. So one is due for that too, and what nobody waits for waits.
 *
 * One beside deliveries leaves the new rows of each table in a group of rows and a block of their own, however few they are; one alone
 * joins them with those before. So those that are due for memory, and not for their log, are to join rows: always while that takes no time,
 * else for a hundredth of the time, and at the latest when half of the file may be such blocks. Where somebody reads an older state just then,
 * DuckDB joins nothing, and the next one has to.
 */
import { statSync } from 'node:fs';
import type { DuckDBInstance } from '@duckdb/node-api';
import type { Bytes, Millis } from '#core';
import type { Change } from './lane.ts';

/** Of write-ahead log. */
const DUE: Bytes = 16_000_000;
/** A checkpoint rewrites the end of every table that it touches: where that takes long, for there are many, the next one waits until this one was a fifth of the time, or until so many times as much is due. */
const PRESSING = 2;
const PAUSES = 4;
/** Of one column: one of its values, and one of which are NULL. */
const BLOCKS_OF_COLUMN = 2;
/** Shares of the engine's memory that such blocks may have until a checkpoint is due, and until only asked-for topics are delivered. */
const [MUCH, CROWDED] = [1 / 4, 1 / 2];
/** Beyond it DuckDB does it by itself, within a commit: only where ours fail. So much is replayed within the time that a start may take. */
export const OVERDUE: Bytes = 48_000_000;
/** The write that comes meanwhile waits so long and nobody minds; one that joins rows and takes longer is followed by so many times as long without. */
const SHORT: Millis = 150;
const JOINLESS = 99;
/** Blocks with a few rows each that may be in the file before it matters what they take. */
const LOOSE: Bytes = 256_000_000;

export interface Checkpoints {
  /** Before the commit of a write. */
  before(changes: readonly Touching[]): Promise<void>;
  /** After it. A checkpoint that was due has begun, and goes on by itself. */
  after(): void;
  /** Where the commit failed. */
  undone(): Promise<void>;
  /** Of write-ahead log that the last checkpoint could not take up, all of which a start after a kill replays; none where it did, or is about to. */
  heldUp(): Bytes;
  /** What was appended holds so much memory, with `more` columns of a write that is yet to be committed, that no more should come before the commit or the end of the checkpoint. */
  crowded(more: number): boolean;
  /** Resolves when none is under way. */
  close(): Promise<void>;
}

type Touching = Pick<Change, 'kind' | 'target' | 'columns'>;

export interface CheckpointRules {
  /** Of write-ahead log, from which on one is due. */
  readonly due?: Bytes;
  /** The engine's. */
  readonly memory: Bytes;
  /** Of the file, which was made with it. */
  readonly block: Bytes;
  readonly now?: () => Millis;
}

/** Of the database in `file`. */
export async function openCheckpoints(
  instance: DuckDBInstance,
  file: string,
  onError: (cause: unknown) => void,
  { due = DUE, memory, block, now = () => performance.now() }: CheckpointRules,
): Promise<Checkpoints> {
  const wal = `${file}.wal`;
  const column: Bytes = BLOCKS_OF_COLUMN * block;
  const [worker, pin] = [await instance.connect(), await instance.connect()];
  let running: Promise<void> | null = null;
  let failed = false;
  let next: 'none' | 'beside' | 'join' | 'alone' = 'none';
  /** When the next one may begin, by `now`. */
  let rested = 0;
  /** Columns of the tables that deliveries appended to since the last one began, and of those that the one under way takes up. */
  let touched = new Map<string, number>();
  let taken = new Map<string, number>();
  /** When the next one may join rows for deliveries alone, by `now`. */
  let joinless = 0;
  /** Blocks that those beside deliveries have left since one was alone. */
  let loose: Bytes = 0;

  /** Of all but the widest: what one table holds is no more after the next rows, which would hold it anew behind each checkpoint. */
  const heldBy = (tables: ReadonlyMap<string, number>): Bytes => {
    const columns = [...tables.values()];
    return column * (columns.reduce((sum, each) => sum + each, 0) - Math.max(0, ...columns));
  };

  const release = async (): Promise<void> => {
    if (next === 'beside') await pin.run('ROLLBACK');
    next = 'none';
  };

  /** One that fails (a write was quicker to begin, or a reader is in the way) is due again at the next commit: `onError` decides what else it means. */
  async function checkpoint(): Promise<void> {
    const began = now();
    [taken, touched] = [touched, new Map()];
    await worker.run('CHECKPOINT').then(
      () => {
        failed = false;
        loose = next === 'beside' ? loose + taken.size * block : 0;
        if (next === 'join') joinless = now() - began <= SHORT ? 0 : now() + JOINLESS * (now() - began);
      },
      (cause: unknown) => {
        failed = true;
        onError(cause);
      },
    );
    // Those of one that failed are held still; to wait for them would be to wait for whoever is in its way.
    taken = new Map();
    const ended = now();
    rested = ended + PAUSES * (ended - began);
    await release();
  }

  return {
    async before(changes) {
      for (const { target, columns = 0 } of changes) if (columns > 0) touched.set(target, columns);
      if (running !== null) return;
      const size = sizeOf(wal);
      const isLong = size >= due && (now() >= rested || size >= PRESSING * due);
      if (!isLong && heldBy(touched) < MUCH * memory) return;
      const appends = changes.every(({ kind }) => kind === 'deliver');
      const joins = (!isLong && now() >= joinless) || (loose >= LOOSE && loose >= sizeOf(file) / 2);
      const kind = !appends ? 'alone' : joins ? 'join' : 'beside';
      if (kind === 'beside') await pin.run('BEGIN TRANSACTION; SELECT 1 FROM millrace.batch LIMIT 1');
      next = kind;
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
    crowded: (more) =>
      more * column >= MUCH * memory || (running !== null && heldBy(touched) + heldBy(taken) + more * column >= CROWDED * memory),
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
