/**
 * The write lane: everything that changes the warehouse goes through here, one at a time, in order (a concurrent ALTER would
 * make a delivery's commit fail). Each write is one transaction with one batch number, and leaves its change record in
 * `millrace.batch` within it.
 */
import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from '@duckdb/node-api';
import type { Position } from '#core';
import type { Checkpoints } from './checkpoint.ts';
import { newInterrupter } from './interrupt.ts';
import { storeFailure } from './open.ts';

export interface Change {
  readonly kind: 'deliver' | 'load' | 'statement' | 'view' | 'transfer';
  /** schema.table */
  readonly target: string;
  readonly topic?: string;
  readonly from?: Position;
  readonly to?: Position;
  /**
   * The idempotency key of a load. Of other changes: `whole` where it can't be told which rows went and came, `types` where columns took
   * other types, `columns` where columns came.
   */
  readonly key?: string;
  readonly rows: number;
  /** Of a delivery: how many the table has, each of which got rows. */
  readonly columns?: number;
  readonly duplicates?: number;
  readonly quarantined?: number;
  readonly minTime?: string | null;
  readonly maxTime?: string | null;
}

export type Row = Record<string, unknown>;

export interface Transaction {
  readonly batch: number;
  /** Without values `sql` may be several statements; the last one's rows are counted or given. */
  run(sql: string, values?: readonly unknown[] | Readonly<Record<string, unknown>>): Promise<number>;
  /** Rows as plain values: bigint for 64-bit integers, text for decimals and times. */
  rows(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  /** The change record of one table that this write touched. */
  changed(change: Change): void;
  /** Ends the statement that is running, or begins next: it fails, and the write with it. */
  interrupt(): void;
}

export interface Lane {
  /** Runs `work` when all earlier writes are done, and `after` before the next. Rolls back and throws when it throws. Errors: those of `work`, STORE_WRITE. */
  write<T>(work: (tx: Transaction) => Promise<T>, after?: () => Promise<void>): Promise<T>;
  /** The newest committed batch. */
  batch(): number;
  close(): Promise<void>;
}

export async function openLane(
  instance: DuckDBInstance,
  checkpoints: Checkpoints,
  hears: { commit(changes: readonly Change[], batch: number): void; error(cause: unknown): void },
): Promise<Lane> {
  const connection = await instance.connect();
  const [last] = await rowsOf(connection, 'SELECT coalesce(max(batch), 0) AS batch FROM millrace.batch');
  const { interrupt, during } = newInterrupter(connection);
  let committed = Number(last!['batch']);
  let tail: Promise<unknown> = Promise.resolve();

  async function one<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const changes: Change[] = [];
    const batch = committed + 1;
    const tx: Transaction = {
      batch,
      run: async (sql, values) => {
        const result = await connection.run(sql, values as DuckDBValue[] | Record<string, DuckDBValue> | undefined);
        return result.rowsChanged;
      },
      rows: (sql, values) => rowsOf(connection, sql, values),
      changed: (change) => changes.push(change),
      interrupt,
    };
    await checkpoints.ready();
    await connection.run('BEGIN TRANSACTION');
    try {
      const result = await during(() => work(tx));
      if (changes.length > 0) await checkpoints.before(changes);
      await connection.run(changes.length > 0 ? `${recordOf(changes, batch)}; COMMIT` : 'COMMIT');
      checkpoints.after();
      if (changes.length > 0) committed = batch;
      hears.commit(changes, batch);
      return result;
    } catch (cause) {
      hears.error(cause);
      // After a failed commit there is nothing left to roll back, and DuckDB says so; what matters is the first error.
      await connection.run('ROLLBACK').catch(() => {});
      await checkpoints.undone();
      return storeFailure(cause);
    }
  }

  return {
    write(work, after = async () => {}) {
      const result = tail.then(() => one(work));
      tail = result.then(after).catch(() => {});
      return result;
    },
    batch: () => committed,
    async close() {
      await tail;
      await checkpoints.close();
      connection.closeSync();
    },
  };
}

function recordOf(changes: readonly Change[], batch: number): string {
  const quote = (value: string | undefined | null) => (value == null ? 'NULL' : `'${value.replaceAll("'", "''")}'`);
  const rows = changes.map(
    (c) =>
      `(${batch}, now(), ${quote(c.kind)}, ${quote(c.target)}, ${quote(c.topic)}, ${c.from ?? 'NULL'}, ${c.to ?? 'NULL'}, ${quote(c.key)}, ` +
      `${c.rows}, ${c.duplicates ?? 0}, ${c.quarantined ?? 0}, ${quote(c.minTime)}, ${quote(c.maxTime)})`,
  );
  return `INSERT INTO millrace.batch VALUES ${rows.join(', ')}`;
}

export async function rowsOf(connection: DuckDBConnection, sql: string, values?: readonly unknown[]): Promise<Row[]> {
  const reader = await connection.runAndReadAll(sql, values as DuckDBValue[] | undefined);
  const names = reader.deduplicatedColumnNames();
  return reader.getRows().map((row) => Object.fromEntries(row.map((value, k) => [names[k]!, plain(value)])));
}

function plain(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return value;
  if ('bytes' in value && value.bytes instanceof Uint8Array) return value.bytes;
  if ('items' in value && Array.isArray(value.items)) return value.items.map(plain);
  return String(value);
}
