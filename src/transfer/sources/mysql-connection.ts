/** Connections to MySQL and MariaDB, and their errors in our words. */
import { createConnection as createSocket, type Socket } from 'node:net';
import { createConnection, type Connection as MysqlConnection } from 'mysql2';
import { MillraceError, type Option } from '#core';
import { addressOf, databaseOptions, tlsOf } from '../database.ts';
import type { Connection } from '../source.ts';

const common = databaseOptions(3306);

export const connectionOptions: readonly Option[] = [
  ...common.server,
  ...common.safety,
  {
    name: 'server_id',
    type: 'integer',
    summary: 'cdc: the number by which the server knows this reader of its log. Default: a random one.',
    default: null,
  },
];

export async function connect(options: Connection): Promise<MysqlConnection> {
  const tls = tlsOf(options);
  const address = addressOf(options);
  const connection = createConnection({
    ...address,
    charset: 'utf8mb4',
    connectTimeout: 10_000,
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    ...(tls === null ? {} : { ssl: { ...tls, verifyIdentity: true }, stream: () => named(address) }),
  });
  // Between two questions a lost connection is seen by the next one.
  connection.on('error', () => {});
  try {
    await new Promise<void>((resolve, reject) => connection.connect((error) => (error === null ? resolve() : reject(error))));
    // Instants in UTC; zero dates may be compared; a slow reader is waited for.
    await ask(connection, `SET SESSION time_zone = '+00:00', sql_mode = '', net_write_timeout = 3600, wait_timeout = 28800`);
    const wait = Math.max(1, Number(options['lock_wait']));
    await ask(connection, `SET SESSION lock_wait_timeout = ${wait}, innodb_lock_wait_timeout = ${wait}`);
  } catch (thrown) {
    connection.destroy();
    throw worded(thrown, 'the server');
  }
  return connection;
}

/**
 * The driver has a certificate checked against a name; where the host is an address, Node takes the one of the socket, which only a
 * resolved name has set, else "localhost".
 */
function named({ host, port }: { host: string; port: number }): Socket {
  const socket = createSocket({ host, port, noDelay: true, keepAlive: true });
  return Object.assign(socket, { _host: host });
}

export type Answer = Record<string, unknown>;

export async function ask(connection: MysqlConnection, sql: string, table = 'the server'): Promise<Answer[]> {
  try {
    const [rows] = await connection.promise().query(sql);
    return Array.isArray(rows) ? (rows as Answer[]) : [];
  } catch (thrown) {
    throw worded(thrown, table);
  }
}

const DENIED = new Set(['ER_ACCESS_DENIED_ERROR', 'ER_DBACCESS_DENIED_ERROR', 'ER_TABLEACCESS_DENIED_ERROR', 'ER_BAD_DB_ERROR']);

export function worded(thrown: unknown, table: string): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  const { code = '', message = '' } = thrown as { code?: string; message?: string };
  const problem = (message || code).replace(/\.$/, '');
  if (DENIED.has(code)) return new MillraceError('TRANSFER_DENIED', { source: 'mysql', problem }, thrown);
  if (code === 'ER_LOCK_WAIT_TIMEOUT') return new MillraceError('TRANSFER_LOCKED', { table }, thrown);
  if (code === 'ER_NO_SUCH_TABLE') return new MillraceError('TRANSFER_TABLE', { table }, thrown);
  if (
    /^(E[A-Z]+|PROTOCOL_\w+|HANDSHAKE_\w+|CERT_\w+|ERR_TLS\w+|DEPTH_\w+|SELF_SIGNED\w*|UNABLE_TO\w+)$/.test(code) &&
    !code.startsWith('ER_')
  )
    return new MillraceError('TRANSFER_CONNECT', { source: 'mysql', problem }, thrown);
  return new MillraceError('TRANSFER_READ', { table, problem }, thrown);
}

export function id(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
