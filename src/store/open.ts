/** Opens the one DuckDB file, locked down: no file but the slices' folder, no extension, no settings, always UTC. */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type Bytes, fail, MillraceError } from '#core';
import { OVERDUE } from './checkpoint.ts';
import { text } from './names.ts';
import { hasLog, type Mended, tornBlocks, tornIn, writeChecksums } from './torn.ts';

export interface Opening {
  readonly dataPath: string;
  readonly threads: number;
  /** DuckDB's own limit: a hint, so the process is watched from outside as well. */
  readonly memory: Bytes;
  /** Hears which blocks were half written when the file's process was killed, and were mended. */
  readonly onMended?: (blocks: readonly Mended[]) => void;
}

export interface Engine {
  readonly instance: DuckDBInstance;
  /** Connections for questions, of which DuckDB says how far they are. */
  readonly readers: DuckDBConnection[];
  /** The only folder that SQL can reach: it holds nothing but the slice or file of the moment. */
  readonly slices: string;
  /** Results on their way to clients. */
  readonly spool: string;
  /** The database; its write-ahead log lies beside it, ending in .wal. */
  readonly file: string;
  /** Of that file. */
  readonly block: Bytes;
  /** Of the instance, when all connections are closed. */
  close(): void;
}

export async function openEngine(opening: Opening): Promise<Engine> {
  const slices = join(opening.dataPath, 'tmp', 'slices');
  const spool = join(opening.dataPath, 'tmp', 'spool');
  const temp = join(opening.dataPath, 'tmp', 'duckdb');
  for (const folder of [slices, spool, temp]) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
  const limits = { temp, threads: opening.threads, memory: opening.memory };
  const file = join(opening.dataPath, 'warehouse.duckdb');
  const { instance, mended, close } = await create(file, limits);
  if (mended.length > 0) opening.onMended?.(mended);
  const connection = await instance.connect();
  const readers = await connectReaders(instance);
  await lockDown(connection, [slices], temp);
  await connection.run(SCHEMA);
  const sizes = await connection.runAndReadAll('SELECT block_size FROM pragma_database_size()');
  connection.closeSync();
  return { instance, readers, slices, spool, file, block: Number(sizes.getRows()[0]![0]), close };
}

interface Created {
  readonly instance: DuckDBInstance;
  readonly mended: readonly Mended[];
  close(): void;
}

/** Errors: STORE_LOCKED, STORE_OPEN. */
async function create(path: string, limits: Limits): Promise<Created> {
  let file: number | null = null;
  try {
    if (!existsSync(path)) await make(path, limits);
    // Closed behind the instance: the system lets go of a file's lock when the process closes the file anywhere.
    else if (hasLog(path)) file = openSync(path, 'r+');
    const { instance, mended } = file === null ? { instance: await open(path, limits), mended: [] } : await openKilled(path, file, limits);
    const close = () => {
      instance.closeSync();
      if (file !== null) closeSync(file);
    };
    return { instance, mended, close };
  } catch (cause) {
    if (file !== null) closeSync(file);
    const detail = firstLine(cause);
    throw new MillraceError(/\block\b/i.test(detail) ? 'STORE_LOCKED' : 'STORE_OPEN', { detail }, cause);
  }
}

async function open(path: string, limits: Limits): Promise<DuckDBInstance> {
  return DuckDBInstance.create(path, optionsOf(limits)).catch(async (cause: unknown) => {
    if (!/replaying WAL/.test(String(cause))) throw cause;
    await replay(path, limits);
    return DuckDBInstance.create(path, optionsOf(limits));
  });
}

/** A file that has a log, `file`: a block of its metadata may be torn. */
async function openKilled(path: string, file: number, limits: Limits): Promise<Omit<Created, 'close'>> {
  const mended: Mended[] = [];
  const instance = await open(path, limits).catch(async (cause: unknown) => {
    if (tornIn(cause) === null) throw cause;
    mended.push(...(await mend(path, file, limits, cause)));
    return open(path, limits);
  });
  try {
    mended.push(...(await mendRest(instance, file)));
  } catch (thrown) {
    instance.closeSync();
    throw thrown;
  }
  return { instance, mended };
}

/** Gives torn blocks their checksums until the file can be read; all of them must be metadata's. Else all is as it was, and `cause` is thrown. */
async function mend(path: string, file: number, limits: Limits, cause: unknown): Promise<readonly Mended[]> {
  const mended: Mended[] = [];
  try {
    for (let problem = cause; ; ) {
      const block = tornIn(problem);
      if (block === null || mended.some(({ at }) => at === block.at)) throw cause;
      mended.push(block);
      writeChecksums(file, [block], 'after');
      try {
        const { metadata, torn } = await withMemory(limits, (more) => lookAt(path, file, more));
        if (!mended.every(({ at }) => metadata.has(at))) throw cause;
        writeChecksums(file, torn, 'after');
        return [...mended, ...torn];
      } catch (next) {
        problem = next;
      }
    }
  } catch {
    writeChecksums(file, mended, 'before');
    throw cause;
  }
}

/** With its log, and without a change of either. */
function lookAt(path: string, file: number, limits: Limits): ReturnType<typeof tornBlocks> {
  return within(limits, [`SET TimeZone = 'UTC'`, `ATTACH ${text(path)} AS killed (READ_ONLY)`, 'USE killed'], (connection) =>
    tornBlocks(connection, file),
  );
}

/** What a table has is read when somebody asks for the table, and nobody has yet. */
async function mendRest(instance: DuckDBInstance, file: number): Promise<readonly Mended[]> {
  const connection = await instance.connect();
  try {
    const { torn } = await tornBlocks(connection, file);
    writeChecksums(file, torn, 'after');
    return torn;
  } finally {
    connection.closeSync();
  }
}

/** Under another name first: one that was killed midway leaves no half of a warehouse. */
async function make(path: string, limits: Limits): Promise<void> {
  const unfinished = `${path}.new`;
  rmSync(unfinished, { force: true });
  await within(limits, [`ATTACH ${text(unfinished)} AS made (BLOCK_SIZE ${BLOCK}, STORAGE_VERSION '${FORMAT}')`, 'DETACH made']);
  renameSync(unfinished, path);
}

/**
 * Replays the log of a process that was killed, from another database. While DuckDB (1.5) opens a file it can't bind a function or an
 * operator, and so not replay an ALTER whose USING or DEFAULT has one: after a kill the file could never be opened again. In a
 * database that is open already, it can. And what is replayed is held in memory, some of it fast: where the share is too small for
 * that, a larger one is tried, since a warehouse that does not open serves nobody.
 */
async function replay(path: string, limits: Limits): Promise<void> {
  const statements = [`SET TimeZone = 'UTC'`, `ATTACH ${text(path)} AS killed`, 'CHECKPOINT killed', 'DETACH killed'];
  await withMemory(limits, (more) => within(more, statements));
}

/** With twice the memory, and twice that, where it is too little. */
async function withMemory<T>(limits: Limits, work: (limits: Limits) => Promise<T>): Promise<T> {
  for (let { memory } = limits; ; memory *= 2) {
    try {
      return await work({ ...limits, memory });
    } catch (cause) {
      if (!isOutOfMemory(cause) || memory >= 4 * limits.memory) throw cause;
    }
  }
}

/** In another database, which is gone behind them. */
async function within<T = void>(
  limits: Limits,
  statements: readonly string[],
  look?: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  const instance = await DuckDBInstance.create(':memory:', optionsOf(limits));
  try {
    const connection = await instance.connect();
    try {
      for (const statement of statements) await connection.run(statement);
      return (await look?.(connection)) as T;
    } finally {
      connection.closeSync();
    }
  } finally {
    instance.closeSync();
  }
}

/**
 * Of a file that is made anew (not of the engine, which would sort and join in them too, a little slower); one that is there keeps its own.
 * Each column that was appended to holds two of them, and each table's part of a checkpoint one: with DuckDB's own 256 kB many topics take
 * four times the memory and the disk, and questions are 5 % quicker.
 */
const BLOCK: Bytes = 65_536;
/** Readable by DuckDB 1.4 and later. Texts take a third less than in the format that all versions read, and a checkpoint of few rows a sixth of the time. */
const FORMAT = 'v1.4.0';

/** What a database may take. */
export interface Limits {
  /** Where it puts aside what does not fit in memory. */
  readonly temp: string;
  readonly threads: number;
  readonly memory: Bytes;
}

/**
 * Given as it is opened, not set afterwards: a write-ahead log is replayed before any statement runs, and without a limit takes
 * whatever the machine has (a block of each column of each table that it touches).
 */
export function optionsOf({ temp, threads, memory }: Limits): Record<string, string> {
  return {
    threads: `${threads}`,
    memory_limit: `${Math.floor(memory / 1_000_000)}MB`,
    temp_directory: temp,
    checkpoint_threshold: `${OVERDUE / 1_000_000}MB`,
    // Each file is read once: what was kept of it would only take memory, and be taken for a later file of its name.
    enable_external_file_cache: 'false',
    // Gives freed memory back also while nothing is asked.
    allocator_background_threads: 'true',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
  };
}

/** More than run at once with the limits that roles have by default. */
const READERS = 16;

/** Progress can be asked for on each connection by itself only, and only as long as the configuration is not locked. */
async function connectReaders(instance: DuckDBInstance): Promise<DuckDBConnection[]> {
  const readers: DuckDBConnection[] = [];
  while (readers.length < READERS) {
    const connection = await instance.connect();
    await connection.run('SET enable_progress_bar = true');
    await connection.run('SET enable_progress_bar_print = false');
    readers.push(connection);
  }
  return readers;
}

/** What queries may put aside on disk together, beside half of what is free at the start; beyond it they fail, and the disk stays free for the log. */
const MOST_SPILL: Bytes = 20_000_000_000;

function spillOf(folder: string): string {
  const { bavail, bsize } = statfsSync(folder);
  return `${Math.floor(Math.min(MOST_SPILL, (bavail * bsize) / 2) / 1_000_000)}MB`;
}

/** From here on it reads and writes in these folders only, puts no more aside in `temp` than there is room for, and nobody can change a setting but the memory limit. */
export async function lockDown(connection: DuckDBConnection, folders: readonly string[], temp: string): Promise<void> {
  const settings = [
    `SET GLOBAL TimeZone = 'UTC'`,
    // Small ASOF joins are made in another way, in which a NULL meets nobody; in large ones it meets the last row. A view is joined in parts.
    `SET GLOBAL asof_loop_join_threshold = 0`,
    // Given at the opening, DuckDB (1.5) shows it and does not hold it.
    `SET max_temp_directory_size = '${spillOf(temp)}'`,
    `SET allowed_directories = [${folders.map(text).join(', ')}]`,
    `SET enable_external_access = false`,
    // The one that is watched from outside too (limit.ts).
    `SET allowed_configs = ['memory_limit']`,
    `SET lock_configuration = true`,
  ];
  for (const setting of settings) await connection.run(setting);
}

/**
 * `batch` is appended to, never updated: an updated row would block checkpoints while any older reader is open. `record` of a row in
 * quarantine is the id that the record had, or would have had: NULL where it is not known.
 */
const SCHEMA = `
CREATE SCHEMA IF NOT EXISTS raw;
CREATE SCHEMA IF NOT EXISTS mart;
CREATE SCHEMA IF NOT EXISTS millrace;
CREATE SCHEMA IF NOT EXISTS change;
CREATE SCHEMA IF NOT EXISTS late;
CREATE TABLE IF NOT EXISTS millrace.batch (
  batch BIGINT NOT NULL, committed TIMESTAMPTZ NOT NULL, kind VARCHAR NOT NULL, target VARCHAR NOT NULL,
  topic VARCHAR, from_position BIGINT, to_position BIGINT, key VARCHAR,
  rows BIGINT NOT NULL, duplicates BIGINT NOT NULL, quarantined BIGINT NOT NULL, min_time TIMESTAMPTZ, max_time TIMESTAMPTZ
);
CREATE TABLE IF NOT EXISTS millrace.quarantine (
  id VARCHAR NOT NULL, topic VARCHAR NOT NULL, received TIMESTAMPTZ NOT NULL, code VARCHAR NOT NULL, reason VARCHAR NOT NULL,
  sender VARCHAR, body BLOB, replayed TIMESTAMPTZ, record VARCHAR
);
ALTER TABLE millrace.quarantine ADD COLUMN IF NOT EXISTS record VARCHAR;
CREATE TABLE IF NOT EXISTS millrace.query_log (
  logged TIMESTAMPTZ NOT NULL, job VARCHAR NOT NULL, event VARCHAR NOT NULL, who VARCHAR NOT NULL, role VARCHAR NOT NULL, began TIMESTAMPTZ NOT NULL,
  elapsed_ms BIGINT NOT NULL, rows BIGINT NOT NULL, code VARCHAR, reason VARCHAR, sql VARCHAR NOT NULL
);
`;

export function firstLine(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split('\n', 1)[0]!.slice(0, 500);
}

/** DuckDB refuses everything after an error that leaves the file in doubt (a full disk): the process has to open it anew. */
export function isFatal(cause: unknown): boolean {
  // At the beginning: further on may stand what a user has written.
  return cause instanceof Error && (cause.message.startsWith('FATAL Error') || isFatal(cause.cause));
}

/** The engine's own memory limit was hit (a commit says it in other words): the same work in smaller parts may pass. */
export function isOutOfMemory(cause: unknown): boolean {
  const lacking = /^(Out of Memory Error|TransactionContext Error: .*could not allocate block)/i;
  return cause instanceof Error && (lacking.test(cause.message) || isOutOfMemory(cause.cause));
}

/** The machine failed (a file could not be written, read or opened), whatever the work was: the same may pass later, and no record is to blame. */
export function isMachineFault(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  const { code } = cause as NodeJS.ErrnoException;
  return (
    (typeof code === 'string' && /^E[A-Z]+$/.test(code)) ||
    /^(IO|TransactionContext) Error/.test(cause.message) ||
    isMachineFault(cause.cause)
  );
}

export function storeFailure(cause: unknown): never {
  if (cause instanceof MillraceError) throw cause;
  return fail('STORE_WRITE', { detail: firstLine(cause) }, cause);
}
