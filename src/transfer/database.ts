/** What connections to databases have in common. */
import { readFileSync } from 'node:fs';
import querystring from 'node:querystring';
import { type Bytes, MillraceError, type Option } from '#core';
import type { Connection, Source } from './source.ts';

/** Options of every database, before and behind those of one. */
export function databaseOptions(port: number): { readonly server: readonly Option[]; readonly safety: readonly Option[] } {
  return {
    server: [
      { name: 'host', type: 'text', summary: 'The server’s name or address.', default: '127.0.0.1' },
      { name: 'port', type: 'integer', summary: 'The server’s port.', default: port },
      { name: 'user', type: 'text', summary: 'Who reads.', required: true },
      { name: 'password', type: 'text', summary: 'The user’s password.', secret: true, default: '' },
      { name: 'database', type: 'text', summary: 'The database that holds the tables.', required: true },
    ],
    safety: [
      {
        name: 'tls',
        type: 'boolean',
        summary: 'TLS with a checked certificate. Default: on unless the server is this machine.',
        default: null,
      },
      { name: 'ca', type: 'text', summary: 'A PEM file with the authority that signed the server’s certificate.', default: null },
      { name: 'lock_wait', type: 'integer', summary: 'Seconds that a locked table is waited for.', default: 60 },
    ],
  };
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1|\[::1\])$/;

/** Where the server is and who asks, as both client libraries take it. */
export function addressOf(options: Connection): { host: string; port: number; user: string; password: string; database: string } {
  return {
    host: String(options['host']).replace(/^\[|\]$/g, ''),
    port: Number(options['port']),
    user: String(options['user']),
    password: String(options['password'] ?? ''),
    database: String(options['database']),
  };
}

/** TLS with a checked certificate, or none. Errors: TRANSFER_OPTION when the authority's file can't be read. */
export function tlsOf(options: Connection): { rejectUnauthorized: true; ca?: string } | null {
  const wanted = options['tls'] ?? !LOOPBACK.test(String(options['host']));
  return wanted === true ? { rejectUnauthorized: true, ...authority(options['ca']) } : null;
}

function authority(ca: Connection[string] | undefined): { ca?: string } {
  if (ca === null || ca === undefined) return {};
  try {
    return { ca: readFileSync(String(ca), 'utf8') };
  } catch (thrown) {
    const problem = `it can't be read (${(thrown as NodeJS.ErrnoException).code ?? 'unknown'})`;
    throw new MillraceError('TRANSFER_OPTION', { source: 'database', option: 'ca', problem }, thrown);
  }
}

/**
 * Drivers put a row together before they hand it over, however long it is: `beyond` is called when more than `most` has come of one.
 * `row` is to be called with each that is whole.
 */
export function boundRows(socket: NodeJS.ReadableStream, most: Bytes, beyond: () => void): { row(): void; end(): void } {
  let since = 0;
  const count = (chunk: Buffer) => {
    since += chunk.length;
    if (since > most) beyond();
  };
  socket.on('data', count);
  return {
    row() {
      since = 0;
    },
    end() {
      socket.removeListener('data', count);
    },
  };
}

/** A row that is too long to be read. */
export function tooLong(table: string): MillraceError {
  return new MillraceError('TRANSFER_ROW', { table, most: '64 MiB' });
}

/** A connection from `scheme://user:password@host:port/database`, the password by reference; null for any other address. */
export function guessDatabase(address: string, schemes: readonly string[], port: number): ReturnType<Source['guess']> {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || !schemes.includes(url.protocol)) return null;
  // A percent sign that stands for nothing, as in a password that was put in as it is, stays one.
  const database = querystring.unescape(url.pathname.slice(1));
  const secretName = `${database.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}_PASSWORD`;
  const password = querystring.unescape(url.password);
  return {
    connection: {
      // An address of IPv6 stands in brackets only there.
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? port : Number(url.port),
      user: querystring.unescape(url.username),
      password: { env: secretName },
      database,
    },
    secrets: password === '' ? {} : { [secretName]: password },
  };
}
