/** Connections to PostgreSQL, and its errors in our words. */
import { Client } from 'pg';
import { MillraceError, type Option } from '#core';
import { addressOf, databaseOptions, tlsOf } from '../database.ts';
import type { Connection } from '../source.ts';

const common = databaseOptions(5432);

export const connectionOptions: readonly Option[] = [
  ...common.server,
  { name: 'schema', type: 'text', summary: 'The schema that holds the tables.', default: 'public' },
  ...common.safety,
  { name: 'slot', type: 'text', summary: 'cdc: the replication slot. Default: millrace_ and the transfer’s name.', default: null },
  {
    name: 'publication',
    type: 'text',
    summary: 'cdc: the publication. Default: the slot’s name; it is made if there is none.',
    default: null,
  },
];

/** `replication` opens a connection on which the replication commands are understood. Errors: TRANSFER_CONNECT, TRANSFER_DENIED. */
export async function connect(options: Connection, replication = false): Promise<Client> {
  const client = new Client({
    ...addressOf(options),
    application_name: 'millrace',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    ssl: tlsOf(options) ?? false,
    ...(replication ? ({ replication: 'database' } as object) : {}),
  });
  // Between two questions a lost connection is seen by the next one.
  client.on('error', () => {});
  try {
    await client.connect();
    // Instants in UTC and values as text that the warehouse reads, whatever the server's or the role's settings are; a slow reader is waited for.
    for (const setting of SETTINGS) await client.query(`SET ${setting}`);
    // Such a database has bytes, and no encoding that the server could take them from: it would refuse whole tables for one value.
    const { rows } = await client.query('SHOW server_encoding');
    if (rows[0].server_encoding === 'SQL_ASCII') await client.query("SET client_encoding = 'SQL_ASCII'");
    await client.query(`SET lock_timeout = ${Math.max(1, Number(options['lock_wait'])) * 1000}`);
  } catch (thrown) {
    client.end().catch(() => {});
    throw worded(thrown, 'the server', true);
  }
  return client;
}

const SETTINGS = [
  "TimeZone = 'UTC'",
  "DateStyle = 'ISO, YMD'",
  // The only style with signs that the warehouse reads.
  "IntervalStyle = 'postgres_verbose'",
  'extra_float_digits = 1',
  "bytea_output = 'hex'",
  "client_encoding = 'UTF8'",
  'standard_conforming_strings = on',
  'statement_timeout = 0',
  'idle_in_transaction_session_timeout = 0',
];

export type Answer = Record<string, unknown>;

export async function ask(client: Client, sql: string, table = 'the server'): Promise<Answer[]> {
  try {
    return (await client.query(sql)).rows as Answer[];
  } catch (thrown) {
    throw worded(thrown, table);
  }
}

/** SQLSTATE (appendix A of the manual): invalid authorization, no such database, insufficient privilege. */
const DENIED = /^(28|3D000|42501)/;
const CONNECTION = /^(08|57P0|53300|E[A-Z]+$|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO|ERR_TLS)/;

/** `connecting`: whatever has no code of the server's is the connection's. */
export function worded(thrown: unknown, table: string, connecting = false): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  const { code = '', message = '' } = thrown as { code?: string; message?: string };
  const problem = (message || code).replace(/\.$/, '');
  if (DENIED.test(code)) return new MillraceError('TRANSFER_DENIED', { source: 'postgres', problem }, thrown);
  if (code === '42P01') return new MillraceError('TRANSFER_TABLE', { table }, thrown);
  if (code === '55P03') return new MillraceError('TRANSFER_LOCKED', { table }, thrown);
  if (CONNECTION.test(code) || (connecting && code === ''))
    return new MillraceError('TRANSFER_CONNECT', { source: 'postgres', problem }, thrown);
  return new MillraceError('TRANSFER_READ', { table, problem }, thrown);
}

export function id(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
