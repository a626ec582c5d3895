import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Topic } from '#core';
import { type Delivery, openStore, type Row, type Store } from '#store';

type After = { after: (fn: () => unknown) => void };

export function folder(t: After): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-store-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export const opening = (dataPath: string) => ({ dataPath, memory: 500_000_000, threads: 2 });

/** A warehouse in a folder of its own, closed after the test. */
export async function freshStore(t: After, dataPath = folder(t)): Promise<Store> {
  mkdirSync(dataPath, { recursive: true });
  const store = await openStore(opening(dataPath));
  t.after(() => store.close());
  return store;
}

/** A record as it stands in a line of the log. */
export interface Record {
  readonly json: string;
  readonly id?: string;
  /** µs */
  readonly time?: number;
  readonly received?: number;
  readonly exact?: string;
  /** Whether it has fields that the topic does not declare (default: yes). */
  readonly unknown?: boolean;
}

/** Lines of the log from `from` on, as one group without its header. */
export function delivery(topic: Topic, from: number, records: readonly Record[]): Delivery {
  let position = from;
  const lines = records.map((record) => {
    const flags = (record.unknown === false ? 0 : 1) + (record.exact === undefined ? 0 : 2);
    const line = `${position}\t${record.received ?? 1_772_323_200_000_000}\t${record.time ?? ''}\t${record.id ?? ''}\t${flags}\t${record.exact ?? ''}\t${record.json}\n`;
    position += Buffer.byteLength(line);
    return Buffer.from(line);
  });
  return { topic, from, to: position, lines };
}

export const count = async (store: Store, sql: string): Promise<number> =>
  Number((await store.rows(`SELECT count(*) AS n FROM ${sql}`))[0]!['n']);

export const column = async (store: Store, sql: string): Promise<unknown[]> =>
  (await store.rows(sql)).map((row: Row) => Object.values(row)[0]);

/** The columns of a table that are filled from fields, with their types. */
export async function columnsOf(store: Store, table: string): Promise<{ [name: string]: string }> {
  const found = (await store.tables()).find(({ schema, name }) => `${schema}.${name}` === table);
  const own = new Set(['_position', '_batch', '_received', '_time', '_id', 'data']);
  return Object.fromEntries((found?.columns ?? []).filter(({ name }) => !own.has(name)).map(({ name, type }) => [name, type]));
}
