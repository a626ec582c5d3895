/**
 * Files that a user drops: kept beside the warehouse, looked at, loaded as a transfer of one table, and gone after a day.
 * A file's name is only shown: on disk each is `file` in a folder of its own.
 */
import { randomUUID } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { asMillraceError, type Bytes, fail, type Millis, type MillraceError, type Transfer, type TransferMode } from '#core';
import { codeOf, replaceFile } from '#files';
import type { FileChoice, FileLook } from '#transfer';
import { columnType } from '#workspace';
import type { Transfers } from './transfers.ts';
import type { WarehouseClient } from './warehouse-client.ts';

export interface Upload {
  readonly upload: string;
  /** As the sender calls it. */
  readonly name: string;
  readonly bytes: Bytes;
  readonly expires: string;
  /** Of the load that was begun last. */
  readonly run: string | null;
}

export interface Uploads {
  /** Writes a body to disk as it comes. Errors: UPLOAD_SIZE, DISK_FULL, REQUEST_INVALID when it ends early. */
  take(body: Readable, name: string, unpack: readonly Transform[]): Promise<Upload>;
  list(): Upload[];
  /** The guess, and the first rows as they would be read. Errors: UPLOAD_UNKNOWN and those of the file. */
  look(id: string, choice: FileChoice): Promise<FileLook>;
  /** Begins a load and gives its run. Errors: UPLOAD_UNKNOWN, TRANSFER_BUSY. */
  load(id: string, choice: FileChoice, into: { target: string; mode: TransferMode; key: readonly string[] }): Promise<string>;
  /** Errors: UPLOAD_UNKNOWN, TRANSFER_BUSY while it is being loaded. */
  remove(id: string): void;
  stop(): void;
}

const ROWS = 20;
const KEPT: Millis = 24 * 3_600_000;
const EXPIRE_EVERY: Millis = 60_000;
/** In this file of an upload's folder stands a load that is under way. */
const LOADING = 'loading.json';

export interface UploadsInput {
  readonly dataPath: string;
  readonly transfers: Transfers;
  readonly warehouse: WarehouseClient;
  readonly largest: () => Bytes;
  /** Why nothing may be written now. */
  readonly refusal: () => MillraceError | null;
  readonly log: (level: 'info' | 'warn' | 'error', event: string, facts?: Record<string, unknown>) => void;
}

export function openUploads({ dataPath, transfers, warehouse, largest, refusal, log }: UploadsInput): Uploads {
  const root = join(dataPath, 'uploads');
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const uploads = new Map<string, Upload>();
  /** What the first look said a file is: a load may leave it out. */
  const guesses = new Map<string, Pick<FileLook, 'kind' | 'table'>>();
  let stopped = false;

  const get = (id: string): Upload => uploads.get(id) ?? fail('UPLOAD_UNKNOWN', { upload: id.slice(0, 50) });
  const folderOf = (id: string) => join(root, id);
  const busy = (id: string) => existsSync(join(folderOf(id), LOADING));

  /** What stood here when Millrace ended: a load that was cut off is undone, then the file goes. */
  async function recover(id: string): Promise<void> {
    const loading = join(folderOf(id), LOADING);
    if (existsSync(loading)) {
      const transfer = noted(readFileSync(loading, 'utf8'));
      if (transfer !== null && !(await undo(transfer))) return;
    }
    rmSync(folderOf(id), { recursive: true, force: true });
  }

  /** False when it could not be asked of the warehouse: it is tried again at the next start. */
  async function undo(transfer: Transfer): Promise<boolean> {
    const [table] = transfer.tables;
    const target = { transfer: transfer.name, source: table!.source, target: table!.target, mode: table!.mode };
    while (!stopped) {
      try {
        await warehouse.json('POST', '/transfer/abandon', { target });
        return true;
      } catch (thrown) {
        const error = asMillraceError(thrown);
        if (!error.retryable) {
          log('error', 'upload.undo', { transfer: transfer.name, code: error.code, message: error.message });
          return false;
        }
        await sleep(500, undefined, { ref: false });
      }
    }
    return false;
  }

  /** Ends what would not end by itself: too large a body, a disk that is nearly full. */
  function bounded(count: (bytes: Bytes) => void): Transform {
    let size = 0;
    return new Transform({
      transform(chunk: Buffer, _encoding, done) {
        size += chunk.length;
        count(size);
        const most = largest();
        try {
          if (size > most) fail('UPLOAD_SIZE', { most });
          const full = refusal();
          if (full !== null) throw full;
          done(null, chunk);
        } catch (thrown) {
          done(thrown as Error);
        }
      },
    });
  }

  const expiry = setInterval(() => {
    for (const { upload, expires } of uploads.values()) if (expires < new Date().toISOString() && !busy(upload)) drop(upload);
  }, EXPIRE_EVERY).unref();

  function drop(id: string): void {
    uploads.delete(id);
    guesses.delete(id);
    rmSync(folderOf(id), { recursive: true, force: true });
  }

  for (const id of readdirSync(root)) recover(id).catch((thrown) => log('error', 'upload.left', { upload: id, message: String(thrown) }));

  return {
    list: () => [...uploads.values()],
    async take(body, name, unpack) {
      const full = refusal();
      if (full !== null) throw full;
      const upload = randomUUID();
      mkdirSync(folderOf(upload), { mode: 0o700 });
      let bytes = 0;
      const counted = bounded((size) => {
        bytes = size;
      });
      try {
        await pipeline([body, ...unpack, counted, createWriteStream(join(folderOf(upload), 'file'), { mode: 0o600 })]);
      } catch (thrown) {
        rmSync(folderOf(upload), { recursive: true, force: true });
        throw thrown;
      }
      const taken: Upload = { upload, name, bytes, expires: new Date(Date.now() + KEPT).toISOString(), run: null };
      uploads.set(upload, taken);
      return taken;
    },
    async look(id, choice) {
      const { upload } = get(id);
      const job = { kind: 'look', folder: folderOf(upload), anywhere: false, path: 'file', choice: checked(choice), rows: ROWS } as const;
      const look = (await transfers.ask(job)) as FileLook;
      if (!guesses.has(upload)) guesses.set(upload, look);
      return look;
    },
    async load(id, choice, { target, mode, key }) {
      const { upload } = get(id);
      if (busy(upload)) fail('TRANSFER_BUSY', { transfer: id });
      const folder = folderOf(upload);
      const guess = guesses.get(upload);
      const source = choice.table ?? guess?.table ?? 'file';
      const { options, types } = checked(choice);
      const transfer: Transfer = {
        name: `upload:${upload}`,
        source: choice.kind ?? guess?.kind ?? 'csv',
        connection: { ...options, path: 'file' },
        tables: [{ source, target, mode, key, cursor: null, lookback: null, drift: 'evolve', types }],
      };
      // Whole and durable before anything of the load is: by it a load that is cut off is undone.
      try {
        replaceFile(join(folder, LOADING), JSON.stringify(transfer), 0o600);
      } catch (thrown) {
        rmSync(join(folder, LOADING), { force: true });
        fail('DEFINITION_WRITE', { file: `.millrace/uploads/${upload}/${LOADING}`, problem: codeOf(thrown) }, thrown);
      }
      const { run, ended } = transfers.begin(transfer, 'run', folder);
      uploads.set(upload, { ...get(upload), run });
      void ended.then(async (report) => {
        if (report.outcome === 'failed' && !(await undo(transfer))) return;
        rmSync(join(folder, LOADING), { force: true });
      });
      return run;
    },
    remove(id) {
      const { upload } = get(id);
      if (busy(upload)) fail('TRANSFER_BUSY', { transfer: id });
      drop(upload);
    },
    stop() {
      stopped = true;
      clearInterval(expiry);
    },
  };
}

/** null for a note that was not written to its end: what it would have told of had not begun. */
function noted(text: string): Transfer | null {
  try {
    return JSON.parse(text) as Transfer;
  } catch {
    return null;
  }
}

/** Errors: REQUEST_INVALID for a type that no column can have. */
function checked(choice: FileChoice): FileChoice {
  const types = Object.entries(choice.types).map(([column, given]) => {
    const type = typeof given === 'string' ? columnType(given) : null;
    return [column, type ?? fail('REQUEST_INVALID', { problem: `the type of "${column.slice(0, 100)}" is none for a column` })];
  });
  return { ...choice, types: Object.fromEntries(types) };
}
