/** PostgreSQL: tables by COPY … TO STDOUT, inside one snapshot per table. */
import type { Socket } from 'node:net';
import type { Client } from 'pg';
import { fail } from '#core';
import { guessDatabase, tooLong } from '../database.ts';
import { postgresFeed } from '../pgoutput/feed.ts';
import type { Rows } from '../rows.ts';
import type { Connection, Hashed, Opened, Source, SourceColumn, SourceTable, Span, Sum } from '../source.ts';
import { ask, connect, connectionOptions, id, literal, worded } from './postgres-connection.ts';
import { copyOut, gathering } from './postgres-copy.ts';
import { describe, withNumerics } from './postgres-describe.ts';
import { canonical, selected } from './postgres-types.ts';

export const postgres: Source = {
  name: 'postgres',
  title: 'PostgreSQL',
  summary: 'Tables of a PostgreSQL server; the user needs SELECT on them, and for mode cdc REPLICATION.',
  options: connectionOptions,
  async open(connection) {
    return opened(await connect(connection), connection);
  },
  guess: (address) => guessDatabase(address, ['postgres:', 'postgresql:'], 5432),
};

function opened(client: Client, connection: Connection): Opened {
  const schema = String(connection['schema']);
  const at = (table: SourceTable) => `${id(schema)}.${id(table.name)}`;

  async function begin(): Promise<void> {
    await ask(client, 'ROLLBACK');
    await ask(client, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  }

  async function enter(snapshot: string | null): Promise<void> {
    if (snapshot === null) {
      await ask(client, 'ROLLBACK');
      return;
    }
    // In one: what is asked in between, as now and then whether the tables are still published, would take a snapshot of its own.
    await ask(client, `ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ${literal(snapshot)}`);
  }

  return {
    async describe(names) {
      const tables = await describe(client, schema);
      for (const wanted of names ?? []) if (!tables.some(({ name }) => name === wanted)) fail('TRANSFER_TABLE', { table: wanted });
      const chosen = names === undefined ? tables : tables.filter(({ name }) => names.includes(name));
      const found: SourceTable[] = [];
      for (const table of chosen) found.push(await withNumerics(client, at(table), table));
      return found;
    },
    async leave() {
      await ask(client, 'ROLLBACK');
    },
    async snapshot(table, cursor, after) {
      await begin();
      if (cursor === null) return { span: { cursor: null, after: null, upTo: null }, without: false };
      const column = id(cursor.name);
      const usable = usableCursor(cursor);
      const [row] = await ask(
        client,
        `SELECT ${cursorText(cursor, `(SELECT max(${column}) FROM ${at(table)} WHERE ${usable})`)} AS newest,
           EXISTS (SELECT 1 FROM ${at(table)} WHERE (${usable}) IS NOT TRUE) AS without`,
        table.name,
      );
      return { span: { cursor, after, upTo: row!['newest'] as string | null }, without: row!['without'] === true };
    },
    read: (table, columns, span, _reading, limit) =>
      read(client, {
        table: table.name,
        columns,
        span,
        select: `SELECT ${[...(span.cursor === null ? [] : [cursorText(span.cursor, id(span.cursor.name))]), ...columns.map(selected)].join(', ')}
          FROM ${at(table)} AS own ${where(span)}${span.cursor === null ? '' : ` ORDER BY own.${id(span.cursor.name)}`}${limit === undefined ? '' : ` LIMIT ${limit}`}`,
      }),
    async checksum(table, columns, span, buckets): Promise<Sum[]> {
      const rows = await ask(
        client,
        `SELECT ${buckets === null ? '0' : bucketOf(columns, buckets)} AS bucket, count(*) AS n,
           coalesce(sum(('x' || substr(${hashOf(columns)}, 1, 15))::bit(60)::bigint), 0)::text AS total
         FROM ${at(table)} ${where(span)} GROUP BY 1`,
        table.name,
      );
      if (rows.length === 0) return buckets === null ? [{ bucket: 0, rows: 0, sum: '0' }] : [];
      return rows.map((row) => ({ bucket: Number(row['bucket']), rows: Number(row['n']), sum: String(row['total']) }));
    },
    async hashes(table, columns, span, key, bucket): Promise<Hashed[]> {
      const keys = key.map((name) => canonical(columns.find((column) => column.name === name)!));
      const within = where(span);
      const rows = await ask(
        client,
        `SELECT ${keys.map((expression, k) => `${expression} AS k${k}`).join(', ')}, ${hashOf(columns)} AS hash
         FROM ${at(table)} ${within === '' ? 'WHERE' : `${within} AND`} ${bucketOf(columns, key)} = ${bucket}`,
        table.name,
      );
      return rows.map((row) => ({ key: JSON.stringify(key.map((_, k) => row[`k${k}`])), hash: String(row['hash']) }));
    },
    feed: (transfer) => postgresFeed({ transfer, connection, client, schema, begin: enter }),
    async close() {
      await client.end().catch(() => {
        // The server was gone before.
      });
    },
  };
}

/** Infinity is no cursor: nothing would ever come after it. */
function usableCursor(cursor: SourceColumn): string {
  return cursor.cursor === 'time' ? `isfinite(${id(cursor.name)})` : `${id(cursor.name)} IS NOT NULL AND ${id(cursor.name)}::text <> 'NaN'`;
}

/** A cursor's text has no zone: instants are given in UTC. */
function cursorText(cursor: SourceColumn, value: string): string {
  return cursor.type === 'TIMESTAMP WITH TIME ZONE' ? `(${value} AT TIME ZONE 'UTC')::text` : `${value}::text`;
}

function where({ cursor, after, upTo }: Span): string {
  if (cursor === null) return '';
  const shape = cursor.cursor === 'number' ? /^-?\d+(\.\d+)?$/ : /^[-\d :.]+$/;
  for (const bound of [after, upTo])
    if (bound !== null && !shape.test(bound))
      fail('TRANSFER_COLUMN', { column: cursor.name, table: '', use: 'cursor', problem: `"${bound}" is no value of it` });
  const value = (bound: string) =>
    cursor.cursor === 'number' ? bound : `${literal(bound)}::${cursor.type === 'TIMESTAMP WITH TIME ZONE' ? 'timestamptz' : cursor.type}`;
  const column = id(cursor.name);
  const bounds = [usableCursor(cursor)];
  if (after !== null) bounds.push(`${column} > ${value(after)}`);
  if (upTo !== null) bounds.push(`${column} <= ${value(upTo)}`);
  return `WHERE ${bounds.join(' AND ')}`;
}

function hashOf(columns: readonly SourceColumn[]): string {
  // concat_ws takes at most a hundred arguments.
  return `md5(array_to_string(ARRAY[${columns.map((column) => `coalesce('=' || ${canonical(column)}, '!')`).join(', ')}], chr(31)))`;
}

function bucketOf(columns: readonly SourceColumn[], key: readonly string[]): string {
  const parts = key.map((name) => canonical(columns.find((column) => column.name === name)!));
  // Keys have no NULL, so nothing is left out between the separators.
  return `('x' || substr(md5(array_to_string(ARRAY[${parts.join(', ')}], chr(31))), 1, 2))::bit(8)::integer`;
}

interface Reading {
  readonly table: string;
  readonly columns: readonly SourceColumn[];
  readonly span: Span;
  /** The cursor's text, where there is one, and the columns. */
  readonly select: string;
}

async function* read(client: Client, { table, columns, span, select }: Reading): AsyncGenerator<Rows> {
  const gathered = gathering(columns, span.cursor !== null);
  const ready: Rows[] = [];
  let failure: unknown = null;
  let ended = false;
  let wake = () => {};
  const socket = (client as unknown as { connection: { stream: Socket } }).connection.stream;
  const lost = () => {
    failure ??= new Error('the connection was lost');
    wake();
  };
  client.once('end', lost);
  const broken = (problem: unknown) => {
    failure ??= problem;
    socket.destroy();
    wake();
  };
  copyOut(client, `COPY (${select}) TO STDOUT`, {
    rows(bytes, from) {
      try {
        const to = gathered.add(bytes, from);
        if (gathered.isBatch()) {
          ready.push(gathered.take());
          socket.pause();
          wake();
        }
        if (to > from) return to;
        broken(new Error('what the server sent is no row of the columns that it was asked for'));
      } catch (thrown) {
        // There is no memory for it.
        broken(thrown);
      }
      return bytes.length;
    },
    beyond: () => broken(tooLong(table)),
    failed(error) {
      failure ??= error;
      wake();
    },
    ended() {
      ended = true;
      wake();
    },
  });
  try {
    for (;;) {
      for (let next = ready.shift(); next !== undefined; next = ready.shift()) yield next;
      if (failure !== null) throw worded(failure, table);
      if (ended) break;
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      socket.resume();
      await promise;
    }
    // Every row up to the end of the span was given.
    if (gathered.count > 0) yield { ...gathered.take(), complete: span.upTo };
  } finally {
    client.removeListener('end', lost);
    if (!ended && failure === null) socket.destroy();
    else socket.resume();
  }
}
