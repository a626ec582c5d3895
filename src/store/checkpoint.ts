/**
 * Checkpoints beside deliveries. DuckDB (1.5) lets others write while it checkpoints where somebody still reads an older state; else the
 * next write waits for all of it (0.2 to 1.3 s at 16 MB of write-ahead log). So before the commit that makes one due, a connection begins to
 * read, and reads nothing. What it costs: deleted rows stay in the file. Writes other than deliveries, which are what deletes, are followed
 * by a checkpoint that clears them, and that the next write waits for.
 *
 * Each column of each table that rows were appended to holds two blocks in memory until the next checkpoint, however few the rows: of many
 * topics that is more than there is, long before their write-ahead log is long. So one is due for that too, and what nobody waits for waits.
 *
 * One beside deliveries leaves the new rows of each table in a group of rows and a block of their own, however few they are: 2 kB of memory
 * for each column, beside what the engine counts. One alone joins them with those before, where nobody reads an older state. So those that
 * are due for memory, and not for their log, are to join rows: they wait a moment for who reads, and the next write waits for them; always
 * while that takes no time, else for a hundredth of the time, and for a tenth where much is loose. Where it can't be, for somebody reads
 * all the time, fewer tables are taken at a time, and more seldom: what nobody asks for comes later then, with more rows in a group.
 */
import { statSync } from 'node:fs';
import type { DuckDBInstance } from '@duckdb/node-api';
import type { Bytes, Millis } from '#core';
import type { Change } from './lane.ts';
import type { Readings } from './readings.ts';

/** Of write-ahead log. */
const DUE: Bytes = 16_000_000;
/** A checkpoint rewrites the end of every table that it touches: where that takes long, for there are many, the next one waits until this one was a fifth of the time, or until so many times as much is due. */
const PRESSING = 2;
const PAUSES = 4;
/** Of one column: one of its values, and one of which are NULL. */
const BLOCKS_OF_COLUMN = 2;
/** Shares of the engine's memory that such blocks may have until a checkpoint is due, and until only asked-for topics are delivered: that much in general, and while much is loose. */
const [MUCH, CROWDED, CROWDED_WHEN_LOOSE] = [1 / 4, 1 / 2, 1 / 16];
/** Beyond it DuckDB does it by itself, within a commit: only where ours fail. So much is replayed within the time that a start may take. */
export const OVERDUE: Bytes = 40_000_000;
/** The write that comes meanwhile waits so long and nobody minds; one that is to join rows and takes longer is followed by so many times as long without. */
const SHORT: Millis = 150;
const JOINLESS = 99;
/** Share of the engine's memory beyond which loose blocks matter: rows are joined sooner then, and more patiently. */
const LOOSE = 1 / 8;
const JOINLESS_WHEN_LOOSE = 9;
const PATIENT: Millis = 500;
/** What each column of a group of rows takes. */
const UNCOUNTED: Bytes = 2_000;
/** Of loose blocks beyond that, by which fewer tables are taken for a second more behind one that joined nothing. */
const SLOWER: Bytes = 8_000_000;

export interface Checkpoints {
  /** Before the commit of a write. */
  before(changes: readonly Touching[]): Promise<void>;
  /** After it. A checkpoint that was due has begun, and goes on by itself. */
  after(): void;
  /** Before a write begins: one that is to join rows has waited for those who read an older state, which each commit makes more. */
  ready(): Promise<void>;
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
  readonly readings: Pick<Readings, 'over'>;
  /** Hears how much memory loose blocks take that the engine does not count. */
  readonly onLoose?: (bytes: Bytes) => Promise<void>;
  readonly now?: () => Millis;
}

/** Of the database in `file`. */
export async function openCheckpoints(
  instance: DuckDBInstance,
  file: string,
  onError: (cause: unknown) => void,
  { due = DUE, memory, block, readings, onLoose = async () => {}, now = () => performance.now() }: CheckpointRules,
): Promise<Checkpoints> {
  const wal = `${file}.wal`;
  const column: Bytes = BLOCKS_OF_COLUMN * block;
  const [worker, pin] = [await instance.connect(), await instance.connect()];
  let running: Promise<void> | null = null;
  let waiting: Promise<boolean> | null = null;
  let failed = false;
  let next: 'none' | 'beside' | 'join' | 'alone' = 'none';
  /** When the next one may begin, by `now`. */
  let rested = 0;
  /** Until when few tables are taken, and none is due for memory but at a half of it. */
  let slow = 0;
  /** Columns of the tables that deliveries appended to since the last one began, and of those that the one under way takes up. */
  let touched = new Map<string, number>();
  let taken = new Map<string, number>();
  /** The last one that was to join rows for deliveries alone: when it was over, how long all waited for it where that was long, and whether it did. */
  let join = { over: 0, took: 0, joined: true };
  /** Blocks that those which joined nothing have left since one did. */
  let loose: Bytes = 0;
  let looseColumns = 0;

  /** Of all but the widest: what one table holds is no more after the next rows, which would hold it anew behind each checkpoint. */
  const heldBy = (tables: ReadonlyMap<string, number>): Bytes => {
    const columns = [...tables.values()];
    return column * (columns.reduce((sum, each) => sum + each, 0) - Math.max(0, ...columns));
  };

  const release = async (): Promise<void> => {
    if (next === 'beside') await pin.run('ROLLBACK');
    next = 'none';
  };

  const isLoose = (): boolean => loose >= LOOSE * memory;
  const mayJoin = (): boolean => now() >= join.over + join.took * (join.joined && isLoose() ? JOINLESS_WHEN_LOOSE : JOINLESS);

  /** One that fails (a write was quicker to begin, or a reader is in the way) is due again at the next commit: `onError` decides what else it means. */
  async function checkpoint(): Promise<void> {
    const asked = now();
    waiting = next === 'beside' ? Promise.resolve(false) : readings.over(next === 'alone' ? 0 : isLoose() ? PATIENT : SHORT);
    const joins = await waiting;
    const began = now();
    [taken, touched] = [touched, new Map()];
    const ran = worker.run('CHECKPOINT');
    waiting = null;
    await ran.then(
      () => {
        failed = false;
        loose = joins ? 0 : loose + taken.size * block;
        looseColumns = joins ? 0 : [...taken.values()].reduce((sum, columns) => sum + columns, looseColumns);
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
    slow = ended + (Math.max(0, loose - LOOSE * memory) / SLOWER) * 1000;
    if (next === 'join') join = { over: ended, took: ended - asked > SHORT ? ended - asked : 0, joined: joins && !failed };
    await release();
    await onLoose(looseColumns * UNCOUNTED);
  }

  return {
    async before(changes) {
      for (const { target, columns = 0 } of changes) if (columns > 0) touched.set(target, columns);
      if (running !== null) return;
      const size = sizeOf(wal);
      const isLong = size >= due && (now() >= rested || size >= PRESSING * due);
      const held = heldBy(touched);
      if (!isLong && held < (now() >= slow ? MUCH : CROWDED) * memory) return;
      const appends = changes.every(({ kind }) => kind === 'deliver');
      const kind = !appends ? 'alone' : (!isLong || isLoose()) && mayJoin() ? 'join' : 'beside';
      if (kind === 'beside') await pin.run('BEGIN TRANSACTION; SELECT 1 FROM millrace.batch LIMIT 1');
      next = kind;
    },
    after() {
      if (next === 'none' || running !== null) return;
      running = checkpoint().finally(() => {
        running = null;
      });
    },
    async ready() {
      await waiting;
    },
    async undone() {
      if (running === null) await release();
    },
    crowded(more) {
      const [own, held] = [more * column, heldBy(touched)];
      if (own >= MUCH * memory || (running !== null && held + heldBy(taken) + own >= CROWDED * memory)) return true;
      return (now() < slow || (running !== null && isLoose())) && held + own >= CROWDED_WHEN_LOOSE * memory;
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
